"""``--tile`` and ``--memory`` of predict and evaluate: the same results, and a note that says so."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pixelwise.cli.main import app
from pixelwise.runs.model import save_model
from small_models import segmenter


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiles")
    save_model(root / "model", segmenter())
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (root / "data" / kind).mkdir(parents=True)
    for name in ("a", "b"):
        Image.fromarray(rng.integers(0, 255, (90, 131)).astype(np.uint8)).save(root / "data/images" / f"{name}.png")
        Image.fromarray(rng.integers(0, 2, (90, 131)).astype(np.uint8)).save(root / "data/masks" / f"{name}.png")
    (root / "data" / "classes.txt").write_text("background\ncell\n")
    return root


def _run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_predict_in_tiles_writes_the_same_masks(folder: Path, tmp_path: Path) -> None:
    pictures = folder / "data" / "images"
    _run("predict", folder / "model", pictures, "--out", tmp_path / "whole")
    said = _run("predict", folder / "model", pictures, "--out", tmp_path / "tiled", "--tile", 64)
    assert "exact: as if the whole were seen at once: 2" in said.replace("\n", " ")
    for mask in sorted((tmp_path / "whole").rglob("*.png")):
        other = tmp_path / "tiled" / mask.relative_to(tmp_path / "whole")
        assert np.array_equal(np.asarray(Image.open(mask)), np.asarray(Image.open(other)))


def test_evaluate_in_tiles_gives_the_same_scores(folder: Path) -> None:
    arguments = ("evaluate", folder / "model", folder / "data", "--json")
    whole, tiled = (json.loads(_run(*arguments, *more)) for more in ((), ("--memory", "500kB")))
    assert whole["scores"] == tiled["scores"]


def test_a_tile_that_is_too_small_is_said(folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["evaluate", str(folder / "model"), str(folder / "data"), "--tile", "10", "--json"]
    )
    assert result.exit_code != 0
    assert "tile=10 is smaller than what unet16 sees around a block of pixels" in str(result.exception)
