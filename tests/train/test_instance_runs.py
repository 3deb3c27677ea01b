"""Touching objects from a folder of numbered masks to a label image, outlines, tables and a report."""

import csv
import json
import re

import numpy as np
import pytest
import tifffile
from PIL import Image

import pixelwise as pw
from pixelwise.cli.main import app
from pixelwise.errors import UsageError
from pixelwise.evaluation.scores import Scores
from pixelwise.predict.instance_prediction import InstancePrediction
from pixelwise.predict.postprocess import Pipeline, Threshold
from pixelwise.predict.predictor import Predictor
from pixelwise.runs.model import RECORD_FILE, load_model, save_model

SIDE = 48
TINY = {"widths": "4,8", "augment": "none", "batch_size": "4"}


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two touching discs and one apart, bright in noise; their numbers are 7, 8 and 9."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    top = int(rng.integers(10, 20))
    objects = np.zeros((SIDE, SIDE), np.uint16)
    for number, (row, column) in enumerate(((top, 13), (top + 2, 28), (37, int(rng.integers(10, 38)))), start=7):
        objects[((y - row) ** 2 + (x - column) ** 2 <= 64) & (objects == 0)] = number
    shade = np.where(objects > 0, 170, 40) + rng.normal(0, 12, objects.shape)
    return np.clip(shade, 0, 255).astype(np.uint8), objects


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("discs")
    for split, seeds in (("train", range(16)), ("val", range(16, 20)), ("test", range(20, 24))):
        for kind in ("images", "masks"):
            (folder / kind / split).mkdir(parents=True)
        for seed in seeds:
            image, objects = scene(seed)
            Image.fromarray(image).save(folder / "images" / split / f"{seed}.png")
            tifffile.imwrite(folder / "masks" / split / f"{seed}.tif", objects)
    (folder / "classes.txt").write_text("background\ndisc\n")
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    settings = {**TINY, "epochs": "20", "widths": "8,16,32", "learning_rate": "0.01"}
    options = pw.DataOptions(task="instances")
    out = tmp_path_factory.mktemp("runs") / "discs"
    return pw.train(data, "unet16", out=out, options=options, settings=settings, quiet=True, should_check=False)


def cli(*arguments):
    return app([str(argument) for argument in arguments], standalone_mode=False)


def test_touching_discs_are_told_apart(run, data):
    by_name = {score.name: score for score in Scores.load(run.path / "scores.json").scores}
    assert list(by_name) == [
        "ap50", "ap75", "mean_ap", "aggregated_jaccard", "panoptic_quality", "object_f1", "count_error",
    ]  # fmt: skip
    assert by_name["ap50"].value > 0.8
    assert by_name["count_error"].value < 0.2
    prediction = pw.load(run.path).predict(data / "images" / "test" / "20.png")
    assert isinstance(prediction, InstancePrediction)
    assert prediction.counts() == {"disc": 3}
    truth = tifffile.imread(data / "masks" / "test" / "20.tif")
    first, second = (np.bincount(prediction.labels[truth == number]).argmax() for number in (7, 8))
    assert 0 != first != second != 0


def test_the_threshold_was_chosen_and_is_stored(run):
    stored = json.loads((run.path / "model" / RECORD_FILE).read_text())["post"]
    pipeline = Pipeline.from_json(stored)
    assert pipeline.threshold is not None
    assert pw.load(run.path).pipeline == pipeline
    assert pw.load(run.path, post="none").pipeline == Pipeline()


def test_prediction_writes_labels_tables_and_outlines(run, data, tmp_path):
    out = tmp_path / "out"
    cli("predict", run.path, data / "images" / "test", "--out", out, "--write", "geojson,coco,overlays", "--pixel-size",
        "0.5", "--quiet")  # fmt: skip
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert names == sorted(
        ["coco.json", "counts.csv", "objects.csv"]
        + [f"{kind}/{n}{end}" for kind, end in (("labels", ".tif"), ("geojson", ".geojson"), ("overlays", ".png"))
           for n in range(20, 24)]
    )  # fmt: skip
    labels = tifffile.imread(out / "labels" / "20.tif")
    assert labels.dtype == np.uint16
    with (out / "objects.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["path"].endswith("20.png")]
    assert [int(row["area_px"]) for row in rows] == np.bincount(labels.ravel())[1:].tolist()
    assert {row["class"] for row in rows} == {"disc"}
    assert float(rows[0]["area_um2"]) == pytest.approx(int(rows[0]["area_px"]) / 4)
    content = json.loads((out / "coco.json").read_text())
    assert len(content["images"]) == 4
    assert sum(one["image_id"] == 1 for one in content["annotations"]) == len(rows)
    with pytest.raises(UsageError, match=re.escape("--write geojsn. Expected overlays, probabilities, geojson, coco.")):
        cli("predict", run.path, data / "images" / "test", "--out", tmp_path / "b", "--write", "geojsn", "--quiet")
    with pytest.raises(UsageError, match=re.escape("--pixel-size 0. Expected a positive number of micrometres")):
        cli("predict", run.path, data / "images" / "test", "--out", tmp_path / "b", "--pixel-size", "0", "--quiet")
    with pytest.raises(UsageError, match="would be replaced"):
        cli("predict", run.path, data / "images" / "test", "--out", out, "--write", "coco", "--quiet")


def test_other_steps_serve_a_trained_model_at_once(run, data, tmp_path):
    cli("predict", run.path, data / "images" / "test" / "20.png", "--out", tmp_path / "a", "--post",
        "threshold,largest", "--format", "jsonl", "--quiet")  # fmt: skip
    (row,) = map(json.loads, (tmp_path / "a" / "counts.jsonl").read_text().splitlines())
    assert row["counts"] == {"disc": 1}
    (only,) = map(json.loads, (tmp_path / "a" / "objects.jsonl").read_text().splitlines())
    assert only["frame"] is None


def test_the_report_shows_found_and_missed(run):
    page = pw.report(run.path).read_text()
    assert "not found" in page
    assert "Average precision at IoU 0.5" in page
    assert "Truth: 3" in page


@pytest.mark.parametrize("separate", ["weights", "none"])
def test_steps_that_are_given_are_kept_as_they_are(data, tmp_path, separate):
    cli("train", data, "--task", "instances", "--net", "unet16", "--separate", separate, "--post",
        "threshold(value=0.35),remove_small(area=4)", "--out", tmp_path / "run", "--set", "epochs=1", "--quiet",
        *(part for key, value in TINY.items() for part in ("--set", f"{key}={value}")))  # fmt: skip
    model = load_model(tmp_path / "run")
    assert model.task.separation == separate
    assert model.network.num_classes == 2
    assert Predictor(model).pipeline.to_text() == "threshold(value=0.35),remove_small(area=4)"
    save_model(tmp_path / "again", model)
    assert load_model(tmp_path / "again").post == model.post
    assert Pipeline.from_json(model.post).threshold == Threshold(value=0.35)


def test_an_image_writer_refuses_what_it_cannot_hold(run, data, tmp_path):
    prediction = pw.load(run.path).predict(data / "images" / "test" / "20.png")
    prediction.save(tmp_path / "a.png")
    assert np.array_equal(np.array(Image.open(tmp_path / "a.png")), prediction.labels)
    with pytest.raises(UsageError, match=re.escape("is to hold numbered objects. Expected a name that ends in .tif")):
        prediction.save(tmp_path / "a.jpg")
    many = np.arange(256 * 260, dtype=np.int32).reshape(256, 260)
    crowded = InstancePrediction(("background", "disc"), many, np.ones(many.size, np.uint8), prediction.objects)
    with pytest.raises(UsageError) as refusal:
        crowded.save(tmp_path / "b.png")
    assert str(refusal.value) == (
        f"{tmp_path}/b.png is to number 66,559 objects. Expected at most 65,535 in a PNG. "
        "Choose a name that ends in .tif."
    )
    crowded.save(tmp_path / "b.tif")
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), many)
    with pytest.raises(pw.errors.ImageError, match="The picture has 5 x 5 pixels and the label image 48 x 48"):
        prediction.overlay(np.zeros((5, 5), np.uint8))


def test_steps_serve_segmentation_too(data, tmp_path):
    options = pw.DataOptions(task="segmentation", mask_kind="instance")
    settings = {**TINY, "epochs": "1", "post": "fill_holes"}
    run = pw.train(
        data, "unet16", out=tmp_path / "run", settings=settings, options=options, quiet=True, should_check=False
    )
    picture = data / "images" / "test" / "20.png"
    plain = pw.load(run.path, post="none").predict(picture).label_map
    cleaned = pw.load(run.path, post="threshold(value=0.3),remove_small(area=9),largest").predict(picture)
    assert cleaned.label_map.dtype == np.uint8
    assert cleaned.label_map.shape == plain.shape
    assert len(cleaned.shapes) <= 1
    assert pw.load(run.path).pipeline.to_text() == "fill_holes"
