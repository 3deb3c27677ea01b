"""The documents say what the program does: Python runs, commands parse, tables and links are right."""

import contextlib
import dataclasses
import inspect
import io
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

import pixelwise as pw
from pixelwise.cli.main import app
from pixelwise.data import samples
from pixelwise.data.augment import AUGMENTATIONS
from pixelwise.data.volumes.augment import VOLUME_AUGMENTATIONS
from pixelwise.metrics import EMPTY_CLASS_RULE
from pixelwise.predict.predictor import Predictor
from pixelwise.training.recipe import Recipe
from pixelwise.training.recipes import RECIPES

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TUTORIAL = DOCS / "tutorial" / "first-models.md"
COUNTING = DOCS / "how-to" / "count-cells.md"
COMMANDS = typer.main.get_command(app).commands
QUICK = {"epochs": "1"}


def name(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


def text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language; "" for those that name none."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [content for written, content in fences if written == language]


# --- Python ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data sets, runs and files that the pages speak of, small."""
    folder = tmp_path_factory.mktemp("documents")
    samples.write_fashion(folder / "flowers", train=200, test=60)
    samples.write_nuclei(folder / "cells")
    for data, net in (("flowers", "lenet5_relu"), ("cells", "unet16")):
        pw.train(folder / data, net, out=folder / "runs" / data, settings=QUICK, quiet=True, should_check=False)
    shutil.copytree(folder / "runs" / "flowers", folder / "runs" / "digits")
    return folder


def run_python(code: str, folder: Path) -> str:
    """Run a page's code as a program of its own would run in ``folder``; return what it prints."""
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        exec(compile(code, "page", "exec"), {"__name__": "page"})
    return printed.getvalue()


PYTHON_PAGES = [page for page in PAGES if blocks(page, "python") and page not in (TUTORIAL, COUNTING)]


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=name)
def test_python_of_a_page_runs(page: Path, made: Path) -> None:
    code = "\n".join(blocks(page, "python"))
    if "tensorboard" in code:
        pytest.importorskip("tensorboard")
    if "resnet50-0676ba61.pth" in code:
        import torch

        torch.save(pw.create("resnet50", in_channels=3, num_classes=1000).state_dict(), made / "resnet50-0676ba61.pth")
    run_python(code, made)


def test_the_tutorial_runs_at_the_size_that_it_names_for_a_first_look(tmp_path: Path) -> None:
    code = "\n".join(blocks(TUTORIAL, "python"))
    small, found = re.subn(r"= [\d, ]+(  # for a first look of some seconds: )([\d, ]+)\n", r"= \2\1\2\n", code)
    assert found == 1
    printed = run_python(small, tmp_path)
    assert "mean_iou" in printed
    assert (tmp_path / "r2c3-overlay.png").exists()


def test_cells_are_counted_at_the_size_that_the_page_names_for_a_first_look(tmp_path: Path) -> None:
    code = "\n".join(blocks(COUNTING, "python"))
    small, found = re.subn(r"= \d+(  # for a first look of some seconds: )(\d+)\n", r"= \2\1\2\n", code)
    assert found == 1
    printed = run_python(small, tmp_path)
    assert re.search(r"^512 x 128 px: nucleus \d+", printed, re.MULTILINE)
    assert re.search(r"^\d+ counted, \d+ drawn, AP at IoU 0.5: [\d.]+$", printed, re.MULTILINE)
    assert (tmp_path / "slide-labels.tif").exists()


@pytest.mark.slow
def test_cells_are_counted_well_in_full(tmp_path: Path) -> None:
    printed = run_python("\n".join(blocks(COUNTING, "python")), tmp_path)
    found = re.search(r"^(\d+) counted, (\d+) drawn, AP at IoU 0.5: ([\d.]+)$", printed, re.MULTILINE)
    assert found is not None
    assert abs(int(found[1]) - int(found[2])) <= 0.3 * int(found[2])
    assert float(found[3]) > 0.55


@pytest.mark.slow
def test_the_tutorial_runs_in_full_and_prints_what_it_shows(tmp_path: Path) -> None:
    printed = run_python("\n".join(blocks(TUTORIAL, "python")), tmp_path)

    def score(which: str, where: str) -> float:
        found = re.search(rf"^{which} +([\d.]+) %", where, re.MULTILINE)
        assert found is not None
        return float(found[1])

    for which in ("top1", "mean_iou"):  # other processors round differently
        assert score(which, printed) == pytest.approx(score(which, text("tutorial/first-models.md")), abs=3)
    assert printed.strip().splitlines()[-1] in text("tutorial/first-models.md")


# --- commands -------------------------------------------------------------------------------------------------------


def shown_commands(page: Path) -> list[str]:
    """Commands of console blocks, without the shell around them."""
    lines = [line.split(" #")[0] for block in blocks(page, "console") for line in block.splitlines()]
    parts = [part.strip() for line in lines for part in re.split(r";|&&|\|\|", line)]
    return [part for part in (re.sub(r"^(then|else) ", "", part) for part in parts) if part.startswith("pixelwise ")]


@pytest.mark.parametrize("command", [command for page in PAGES for command in shown_commands(page)])
def test_a_shown_command_parses(command: str) -> None:
    _, which, *arguments = shlex.split(command)
    COMMANDS[which].make_context(which, arguments)


def test_commands_in_the_text_have_the_options_that_they_name() -> None:
    checked = 0
    for page in PAGES:
        spans = re.findall(r"`(pixelwise [^`]*)`", page.read_text(encoding="utf-8"))
        for span in spans + [
            line for block in blocks(page, "") for line in block.splitlines() if line[:10] == "pixelwise "
        ]:
            words = span.replace("[", " ").replace("]", " ").split()
            which = next((word for word in words[1:] if re.fullmatch(r"[a-z]+", word)), None)
            if which is None:  # `pixelwise --help`
                continue
            assert which in COMMANDS, f"{name(page)}: {span}"
            known = {
                option for parameter in COMMANDS[which].params for option in parameter.opts + parameter.secondary_opts
            }
            flags = {word for word in words if word.startswith("--")}
            assert flags <= known | {"--help"}, f"{name(page)}: {span}"
            checked += 1
    assert checked > 20


def test_options_in_the_text_exist() -> None:
    known = {option for command in COMMANDS.values() for p in command.params for option in p.opts + p.secondary_opts}
    others = {
        "--help",
        "--version",
        "--check",
        "--work",
        "--data",
        "--compete",
    }  # the first two are everybody's, the rest scripts'
    for page in PAGES:
        spans = re.findall(r"`(--[a-z-]+)[^`]*`", page.read_text(encoding="utf-8"))
        assert set(spans) <= known | others, name(page)


@pytest.mark.parametrize("script", ["command-line-reference", "networks-reference"])
def test_generated_references_are_up_to_date(script: str) -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / script, "--check"], check=False)
    assert done.returncode == 0, f"run scripts/{script}"


# --- tables ---------------------------------------------------------------------------------------------------------


def show(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return ",".join(map(show, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def rows_of(items: dict[str, object]) -> list[str]:
    rows = []
    for key, item in items.items():
        fields = [(field.name, getattr(item, field.name), field.default) for field in dataclasses.fields(item)]
        changed = [f"`{field}={show(value)}`" for field, value, default in fields if value != default]
        rows.append(f"| `{key}` | {' '.join(changed)} |")
    return rows


@pytest.mark.parametrize(
    ("mark", "items"),
    [
        ("recipes", {key: make() for key, make in RECIPES.items()}),
        ("augmentations", AUGMENTATIONS),
        ("augmentations of volumes", VOLUME_AUGMENTATIONS),
    ],
)
def test_tables_of_recipes_and_augmentations(mark: str, items: dict[str, object]) -> None:
    found = re.search(rf"<!-- {mark} -->(.*?)<!-- end of {mark} -->", text("reference/recipes.md"), re.DOTALL)
    assert found is not None
    assert found[1].strip().splitlines()[2:] == rows_of(items)


def test_fields_of_recipes_with_their_defaults() -> None:
    section = text("reference/recipes.md").split("## Fields")[1].split("\n## ")[0]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| `")]
    written = {field.strip(" `"): default.strip() for field, default in rows}
    assert list(written) == [field.name for field in dataclasses.fields(Recipe)]
    for field in dataclasses.fields(Recipe):
        assert written[field.name] == ("()" if field.default == () else show(field.default)) or (
            isinstance(field.default, float) and float(written[field.name]) == field.default
        ), field.name


def test_every_recipe_and_its_source_are_described() -> None:
    section = text("reference/recipes.md").split("## Fields")[0]
    for recipe in RECIPES:
        assert len(re.findall(rf"^\| `{recipe}` \|", section, re.MULTILINE)) == 2, recipe


FUNCTIONS = [entry for entry in pw.__all__ if callable(getattr(pw, entry)) and not inspect.isclass(getattr(pw, entry))]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_parameters_of_the_python_reference(function: str) -> None:
    """Of each function every parameter is named in its section, and in a table no others are."""
    found = re.search(
        rf"^## .*?pw\.{function}\((.*?)\).*?$(.*?)(?=^## )", text("reference/python.md"), re.DOTALL | re.MULTILINE
    )
    assert found is not None
    written = set(re.findall(r"\w+", found[1]))
    for line in found[2].splitlines():
        if line.startswith("| `") and "…" in found[1]:
            written |= set(re.findall(r"`(\w+)`", line.split("|")[1]))
    assert written == set(inspect.signature(getattr(pw, function)).parameters)


def test_fields_of_the_options_about_data() -> None:
    section = text("reference/python.md").split("## pw.Recipe, pw.DataOptions")[1].split("\n## ")[0]
    assert {field.name for field in dataclasses.fields(pw.DataOptions)} <= set(re.findall(r"`(\w+)`", section))


@pytest.mark.parametrize("method", ["predict", "predict_many", "probabilities", "logits"])
def test_methods_of_the_predictor(method: str) -> None:
    found = re.search(rf"^\| `{method}\((.*?)\)` \|", text("reference/python.md"), re.MULTILINE)
    assert found is not None
    assert set(re.findall(r"\w+", found[1])) == set(inspect.signature(getattr(Predictor, method)).parameters) - {"self"}


def test_every_finding_of_the_check_is_listed() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "src/pixelwise/data/check").glob("*.py"))
    patterns = (
        r'_Kind\(\s*"([a-z0-9-]+)"', r'findings\.add\(\s*"\w+",\s*"([a-z0-9-]+)"',
        r'"(?:warning|info)" if [^,]+,\s*"([a-z0-9-]+)"', r'\("(\w+)", \("',
    )  # fmt: skip
    codes = {code for pattern in patterns for code in re.findall(pattern, sources)}
    assert len(codes) > 50
    listed = set(re.findall(r"`([a-z0-9-]+)`", text("reference/layouts.md").split("looks for")[1]))
    assert codes <= listed, codes - listed


def test_the_rule_for_empty_classes_stands_as_it_is_applied() -> None:
    assert f"> {EMPTY_CLASS_RULE}" in text("reference/scores.md")


# --- links and pictures ---------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_pictures_are_small_used_and_made_by_a_script() -> None:
    pictures = sorted((DOCS / "images").iterdir())
    everything = "\n".join(page.read_text(encoding="utf-8") for page in [*PAGES, ROOT / "README.md"])
    scripts = "\n".join(path.read_text() for path in (ROOT / "scripts").iterdir())
    for picture in pictures:
        assert picture.name in everything, f"{picture.name} is shown nowhere"
        assert f'"{picture.name}"' in scripts
        assert picture.stat().st_size <= 150_000
    assert sum(picture.stat().st_size for picture in pictures) <= 600_000
