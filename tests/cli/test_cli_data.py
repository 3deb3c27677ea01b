"""``pixelwise check``: the table, JSON, and exit codes 0, 1 and 2."""

import json

import pytest

from pixelwise.cli import progress


def test_a_sound_folder_is_exit_code_0(pixelwise, sides):
    done = pixelwise("check", sides)
    assert done.code == 0
    assert done.out.splitlines()[0] == f"{sides}: 24 samples, classification"
    assert done.out.splitlines()[-1] == "0 errors, 0 warnings"
    assert "left" in done.out
    quiet = pixelwise("check", sides, "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


def test_a_damaged_picture_is_exit_code_1_and_skipping_makes_it_a_warning(pixelwise, sides):
    (sides / "left" / "broken.png").write_bytes((sides / "left" / "0.png").read_bytes()[:40])
    done = pixelwise("check", sides)
    assert done.code == 1
    assert "ERROR " in done.out
    assert "  where: left/broken.png" in done.out
    assert "  fix:   " in done.out
    assert done.out.splitlines()[-1].startswith("1 error, ")
    assert pixelwise("check", sides, "--bad-images", "skip").code == 0


def test_masks_have_pixels_and_shares(pixelwise, squares):
    done = pixelwise("check", squares)
    assert done.code == 0
    assert "pixels" in done.out
    assert " %" in done.out
    content = json.loads(pixelwise("check", squares, "--json", "--ignore", "0", "--classes", "a,b").out)
    assert content["classes"][0]["name"] == "a"
    assert content["classes"][0]["pixels"] == 0
    assert json.loads(pixelwise("check", squares, "--json", "--ignore", "-1").out)["num_samples"] == 8


def test_many_classes_are_cut_short(pixelwise, tmp_path, sides):
    for number in range(60):
        folder = tmp_path / "many" / f"class{number:02d}"
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes((sides / "left" / "0.png").read_bytes())
    assert "… and 10 more classes: --json lists all" in pixelwise("check", tmp_path / "many").out


def test_usage_is_exit_code_2(pixelwise, tmp_path):
    assert pixelwise("check").code == 2
    assert pixelwise("chek", tmp_path).code == 2
    assert pixelwise("check", tmp_path, "--ignore", "256").code == 2
    assert pixelwise("check", tmp_path / "missing").code == 1


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_bar_is_drawn_on_terminals_only(monkeypatch, is_terminal):
    from io import StringIO

    from rich.console import Console

    screen = Console(file=StringIO(), force_terminal=is_terminal, width=100)
    monkeypatch.setattr(progress, "error_console", lambda: screen)
    with progress.progress_bar("checking", quiet=False) as draw:
        draw(1, 2)
        draw(2, 2)
    assert ("checking" in screen.file.getvalue()) is is_terminal
