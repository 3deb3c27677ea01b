"""What a table says of pictures reaches the network, is standardised, stored, and asked for again at prediction."""

import csv
import re

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import pixelwise as pw
from pixelwise.cli.main import app
from pixelwise.data.images import read_stored
from pixelwise.data.metadata import Metadata, MetadataColumn, measure_metadata
from pixelwise.data.regions import opening
from pixelwise.errors import DataError, SpecError, UsageError
from pixelwise.networks.segmentation.unet import UNetSpec
from pixelwise.runs.model import load_model
from pixelwise.training.announce import describe_plan

SETTINGS = {"widths": "4,8", "epochs": "4", "augment": "none", "batch_size": "4", "learning_rate": "0.02"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Every picture shows the same: what is foreground, the dark or the bright half, only the table knows."""
    root = tmp_path_factory.mktemp("metadata") / "data"
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    rng, rows = np.random.default_rng(0), [["path", "target", "age"]]
    for number in range(24):
        picture = rng.integers(0, 20, (16, 16), np.uint8)
        picture[:, :8] += 200
        mask = np.zeros((16, 16), np.uint8)
        bright = number % 2 == 0
        mask[:, :8] = bright
        mask[:, 8:] = not bright
        cv2.imwrite(str(root / "images" / f"{number:02}.png"), picture)
        cv2.imwrite(str(root / "masks" / f"{number:02}.png"), mask)
        rows.append([f"images/{number:02}.png", "bright" if bright else "dark", str(20 + number)])
    with (root / "about.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return root


@pytest.fixture(scope="module")
def run(folder):
    options = pw.DataOptions(metadata=("target", "age"))
    return pw.train(folder, "unet16", out=folder.parent / "run", settings=SETTINGS, options=options, quiet=True)


def test_the_network_learns_what_only_the_table_says(run, folder):
    model = pw.load(run.path)
    picture = folder / "images" / "00.png"
    bright, dark = (model.predict(picture, metadata={"target": of, "age": 25}).label_map for of in ("bright", "dark"))
    assert (bright[:, :8] == 1).mean() > 0.9
    assert (dark[:, 8:] == 1).mean() > 0.9
    assert pw.evaluate(run.path)["mean_iou"].value > 0.8


def test_how_columns_become_numbers_is_stored_with_the_model(run):
    stored = load_model(run.path / "model").preprocess.metadata
    ages = [20.0 + index for index in run.manifest.indices("train").tolist()]
    assert stored.names == ("target", "age")
    assert stored.columns[0].values == ("bright", "dark")
    assert stored.columns[1].mean == pytest.approx(np.mean(ages))
    assert stored.columns[1].std == pytest.approx(np.std(ages))
    assert stored.encode({"target": "dark", "age": "30"}, "x").tolist() == pytest.approx(
        [0, 1, (30 - np.mean(ages)) / np.std(ages)]
    )
    assert Metadata.from_json(stored.to_json()) == stored


def test_tiles_are_told_the_same(run, folder):
    picture = np.tile(cv2.imread(str(folder / "images" / "00.png"), cv2.IMREAD_GRAYSCALE), (6, 6))
    said = {"target": "bright", "age": 25}
    whole = pw.load(run.path).predict(picture, metadata=said, probabilities=True).probabilities
    tiled = pw.load(run.path, tile=64).predict(picture, metadata=said, probabilities=True)
    assert any("tiles" in note for note in tiled.notes)
    np.testing.assert_allclose(tiled.probabilities, whole, atol=1e-5)


def test_large_pictures_are_told_the_same(run, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "LARGE_PIXELS", 1000)
    picture = np.tile(cv2.imread(str(folder / "images" / "00.png"), cv2.IMREAD_GRAYSCALE), (6, 6))
    (tmp_path / "new").mkdir()
    cv2.imwrite(str(tmp_path / "new" / "a.tif"), picture)
    (tmp_path / "said.csv").write_text("path,target,age\na.tif,dark,25\n")
    out = tmp_path / "out"
    command = ["predict", run.path, tmp_path / "new", "--out", out, "--metadata", tmp_path / "said.csv", "--tile", "64"]
    outcome = CliRunner().invoke(app, list(map(str, command)))
    assert outcome.exit_code == 0, outcome.output
    assert (out / "summaries" / "a.json").exists()  # it went from file to file
    expected = pw.load(run.path).predict(picture, metadata={"target": "dark", "age": 25}).label_map
    assert (read_stored(out / "masks" / "a.tif")[1][..., 0] == expected).all()
    assert (expected == 1).any()


def test_a_large_picture_of_which_nothing_is_said_fails_alone(run, tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "LARGE_PIXELS", 1000)
    (tmp_path / "new").mkdir()
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / "new" / f"{name}.tif"), np.zeros((50, 60), np.uint8))
    (tmp_path / "said.csv").write_text("path,target,age\nb.tif,dark,25\n")
    out = tmp_path / "out"
    command = ["predict", run.path, tmp_path / "new", "--out", out, "--metadata", tmp_path / "said.csv", "--tile", "64"]
    outcome = CliRunner().invoke(app, list(map(str, command)))
    assert outcome.exit_code == 3, outcome.output
    assert f"Nothing is said of target, age for {tmp_path / 'new' / 'a.tif'}. Expected" in outcome.output
    assert [path.name for path in (out / "summaries").iterdir()] == ["b.json"]


def test_prediction_from_the_command_line_takes_a_table(run, folder, tmp_path):
    arguments = ["predict", str(run.path), str(folder / "images"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*arguments, "--metadata", str(folder / "about.csv")])
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "out" / "masks").glob("*.png"))) == 24
    silent = CliRunner().invoke(app, [*arguments, "--overwrite"])
    assert isinstance(silent.exception, UsageError)
    assert str(silent.exception).startswith("Nothing is said of target, age for any of the pictures. Expected")


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        (None, UsageError, "Nothing is said of target, age for The array. Expected target, age, which the model was"),
        ({"age": 3}, UsageError, "Nothing is said of target for The array"),
        ({"age": "old", "target": "dark"}, DataError, "The array: age is 'old'. Expected a number, as in training"),
        (
            {"age": 3, "target": "drak"},
            DataError,
            "target is 'drak'. Expected a value that a training picture had. Did",
        ),
    ],
)
def test_what_is_missing_or_unknown_is_an_error(run, said, error, message):
    with pytest.raises(error) as caught:
        pw.load(run.path).predict(np.zeros((16, 16), np.uint8), metadata=said)
    assert message in str(caught.value)


def test_tables_that_do_not_serve_are_refused(folder, tmp_path):
    def train(columns, net="unet16"):
        pw.train(folder, net, out=tmp_path / "run", settings=SETTINGS, options=pw.DataOptions(metadata=columns))

    with pytest.raises(DataError, match="has no table with the columns path and weight"):
        train(("weight",))
    with pytest.raises(SpecError, match="segnet cannot be conditioned on metadata"):
        pw.train(
            folder, "segnet", out=tmp_path / "run", settings={"epochs": "1"}, options=pw.DataOptions(metadata=("age",))
        )
    with pytest.raises(DataError, match="says 'a' of every training picture"):
        measure_metadata(["x"], [["a"], ["a"]])
    with pytest.raises(DataError, match="65 values that are not all numbers"):
        measure_metadata(["x"], [[f"v{number}"] for number in range(65)])


def test_the_plan_says_what_the_network_is_told(run):
    lines = list(describe_plan(run.config, run.path))
    assert "pictures of 1 channel, as they are." in lines[0]
    assert re.fullmatch(
        r"Metadata: target is one of bright, dark; age is a number, [\d.]+ on average \(.*\)\.", lines[1]
    )


def test_a_resumed_run_is_the_same(run, folder):
    assert pw.resume(run.path).status == "finished"
    options = pw.DataOptions(metadata=("target", "age"))
    again = pw.train(
        folder, "unet16", out=run.path, settings=SETTINGS, options=options, on_existing="resume", quiet=True
    )
    assert again.path == run.path


def test_an_untrained_modulation_changes_nothing():
    spec = UNetSpec(name="tiny", widths=(2, 3, 4))
    told = spec.replace(metadata=2).build(3, 2).eval()
    plain = spec.build(1, 2).eval()
    plain.load_state_dict({name: value for name, value in told.state_dict().items() if "film" not in name})
    x = torch.randn(1, 3, 20, 24)
    torch.testing.assert_close(told(x), plain(x[:, :1]))
    with torch.no_grad():
        told.film.modulation.weight.normal_()
    assert not torch.allclose(told(x), plain(x[:, :1]))
    with pytest.raises(SpecError, match="in_channels=2 with metadata=2"):
        spec.replace(metadata=2).build(2, 2)


def test_one_column_is_one_number_or_one_for_each_value():
    assert MetadataColumn(name="x").width == 1
    assert MetadataColumn(name="x", values=("a", "b", "c")).width == 3
