"""``pixelwise predict`` for large pictures: what it prints, and how it is stopped and gone on with."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
import torch

from large_pictures import field_of
from pixelwise.cli.large import parse_memory
from pixelwise.data.images import read_stored
from pixelwise.errors import UsageError
from pixelwise.predict.large import work
from pixelwise.predict.large.work import Work
from pixelwise.predict.tiling import planner

PICTURE = np.random.default_rng(4).integers(0, 200, (90, 110), np.uint8)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Follow each network's graph once."""

    monkeypatch.setattr(planner, "receptive_field", field_of)
    monkeypatch.setattr(work, "block_sides", lambda size, fmt: (48, 48))
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def array(tmp_path):
    np.save(tmp_path / "array.npy", PICTURE)
    return tmp_path / "array.npy"


def test_large_and_ordinary_pictures_by_one_command(pixelwise, trained, array, tmp_path):
    small = tmp_path / "small.tif"
    tifffile.imwrite(small, PICTURE)
    out = tmp_path / "out"
    done = pixelwise("predict", trained / "masks", array, small, "--out", out, "--tile", 48, "--write", "probabilities")
    assert done.code == 0, done.err
    first, second = done.out.splitlines()
    assert first.startswith(f"{array}: 90 x 110 px in ")
    assert "exact: as if the whole were seen at once; " in first
    assert first.endswith(f"Results: {out / 'summaries' / 'array.json'}")
    assert second.startswith("2 predicted, 0 failed")
    with (out / "areas.csv").open() as file:
        large, ordinary = csv.DictReader(file)
    assert (large["path"], large["mask"]) == (str(array), "masks/array.tif")
    assert (ordinary["path"], ordinary["mask"]) == (str(small), "masks/small.png")
    for column in large.keys() - {"path", "mask", "notes"}:
        assert large[column] == ordinary[column]
    np.testing.assert_array_equal(
        read_stored(out / "masks" / "array.tif")[1], read_stored(out / "masks" / "small.png")[1]
    )
    assert (out / "probabilities" / "array.tif").exists()
    again = pixelwise("predict", trained / "masks", array, "--out", out, "--tile", 48)
    assert again.code == 2
    assert again.err == (
        f"pixelwise: {out / 'areas.csv'} would be replaced. Expected a folder without results. "
        "Choose another --out, or allow it with --overwrite.\n"
    )


def test_a_large_picture_that_cannot_be_used_does_not_stop_the_others(pixelwise, trained, array, tmp_path):
    bad = tmp_path / "bad.npy"
    bad.write_bytes(array.read_bytes()[:-9])
    command = ("predict", trained / "masks", bad, array, "--tile", 48, "--large-format", "zarr")
    done = pixelwise(*command, "--out", tmp_path / "out", "-q")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f"pixelwise: {bad} is damaged or truncated: ")
    assert (tmp_path / "out" / "masks" / "array.zarr" / "zarr.json").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_was_done_and_the_same_command_goes_on(
    pixelwise, trained, array, tmp_path, monkeypatch, number, code
):
    command = ("predict", trained / "masks", array, "--tile", 48, "--out", tmp_path / "out")
    write, calls = Work._write, iter(range(100))

    def signalled(self, *arguments):
        if next(calls) == 2:
            os.kill(os.getpid(), number)
        write(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Work, "_write", signalled)
        stopped = pixelwise(*command)
    assert stopped.code == code
    cause = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    assert stopped.err.startswith(f"pixelwise: Stopped by {cause}. 3 of ")
    assert stopped.err.endswith(f" tiles of {array} are done and kept: the same command goes on from there.\n")
    assert not (tmp_path / "out" / "summaries").exists()
    assert pixelwise(*command).code == 0
    assert json.loads((tmp_path / "out" / "summaries" / "array.json").read_text())["size_px"] == [90, 110]


def test_options_that_do_not_go_with_large_pictures(pixelwise, trained, array, tmp_path):
    command = ("predict", trained / "masks", array, "--out", tmp_path / "out")
    refused = pixelwise(*command, "--memory", "1.2 GB", "--protocol", "centre+flip")
    assert refused.code == 2
    assert "is predicted tile by tile with 1 models and the protocol" in refused.err
    refused = pixelwise(*command, "--memory", "lots")
    assert refused.err == ("pixelwise: --memory lots. Expected a number with its unit. For example --memory 4GB.\n")


def test_amounts_of_memory():
    amounts = {"4GB": 4 * 10**9, "1.5gib": 3 * 2**29, "500 MB": 5 * 10**8, "123": 123, "2k": 2000, "1KiB": 1024}
    assert {text: parse_memory(text) for text in amounts} == amounts
    for text in ("", "GB", "4 lots", "-1GB", "4XB", "4iB"):
        with pytest.raises(UsageError):
            parse_memory(text)


def predict_in_a_process(trained, picture, out, *options):
    code = "from pixelwise.cli.main import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "predict",
        trained / "masks",
        picture,
        "--out",
        out,
        "--tile",
        "48",
        *options,
    ]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_in_the_same_bytes(trained, tmp_path):
    """SIGKILL, five times, each a few tiles after the last."""
    np.save(tmp_path / "a.npy", np.random.default_rng(4).integers(0, 200, (300, 400), np.uint8))
    process = predict_in_a_process(trained, tmp_path / "a.npy", tmp_path / "once")
    assert process.communicate()[1] == ""
    journal = tmp_path / "twice" / "masks" / "a.journal"
    kills = 0
    for _ in range(5):
        process = predict_in_a_process(trained, tmp_path / "a.npy", tmp_path / "twice")
        before, deadline = journal.stat().st_size if journal.exists() else 0, time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if journal.exists() and journal.stat().st_size > before + 1000:
                process.kill()
                break
            time.sleep(0.002)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    assert kills >= 2
    process = predict_in_a_process(trained, tmp_path / "a.npy", tmp_path / "twice")
    assert process.communicate()[1] == ""
    assert process.returncode == 0 or not journal.exists()
    once, twice = (tmp_path / name / "masks" / "a.tif" for name in ("once", "twice"))
    assert once.read_bytes() == twice.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("fmt", ["tiff", "zarr"])
def test_a_small_disk_that_fills_up(trained, tmp_path, fmt):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.strip()}")
    try:
        np.save(tmp_path / "a.npy", np.random.default_rng(4).integers(0, 200, (400, 500), np.uint8))
        options = ("--probabilities", "--large-format", fmt)  # 1.6 MB of them
        process = predict_in_a_process(trained, tmp_path / "a.npy", place / "out", *options)
        complaint = process.communicate()[1]
        assert process.returncode == 4
        assert complaint.startswith("pixelwise: The disk is full: ")
        assert "the same command then goes on" in complaint
        assert not (place / "out" / "summaries").exists()
        assert not list((place / "out" / "masks").glob("a.*[fr]"))
        subprocess.run(["mount", "-o", "remount,size=16m", str(place)], check=True)
        process = predict_in_a_process(trained, tmp_path / "a.npy", place / "out", *options)
        assert process.communicate()[1] == ""
        assert (place / "out" / "summaries" / "a.json").exists()
    finally:
        subprocess.run(["umount", str(place)], check=True)
