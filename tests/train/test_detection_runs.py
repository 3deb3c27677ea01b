"""Boxes of clothes that lie about, from a folder to scores, predictions and a report."""

import csv
import dataclasses
import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import pixelwise as pw
from pixelwise.cli.main import app
from pixelwise.data.samples.scenes import write_laundry
from pixelwise.errors import UsageError
from pixelwise.metrics import BoxSet, box_average_precision
from pixelwise.predict.predictor import Predictor
from pixelwise.runs.model import load_model


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detection")
    data = write_laundry(folder / "laundry", train=24, test=6, num_classes=2, side_px=56)
    settings = {"widths": "4,8", "epochs": "1", "augment": "none", "batch_size": "8"}
    return pw.train(data, "unet16", out=folder / "run", settings=settings, quiet=True)


def truth_of(run):
    """Boxes of the test pictures, read from the table itself."""
    rows = {}
    with (run.path.parent / "laundry" / "boxes.csv").open() as file:
        for row in csv.DictReader(file):
            if row["split"] == "test":
                boxes = rows.setdefault(row["path"], [])
                if row["label"]:
                    boxes.append((row["label"], [float(row[edge]) for edge in ("x_min", "y_min", "x_max", "y_max")]))
    return rows


def test_scores_are_cocos_on_what_the_predictor_says(run):
    scores = json.loads((run.path / "scores.json").read_text())
    model = pw.load(run.path)
    classes = list(model.classes)
    truth, said = [], []
    for path, boxes in truth_of(run).items():
        prediction = model.predict(run.path.parent / "laundry" / path)
        labels = np.array([classes.index(label) for label, _ in boxes], int)
        truth.append(BoxSet(corners=np.array([box for _, box in boxes]).reshape(-1, 4), classes=labels))
        said.append(
            BoxSet(
                corners=np.array([one.box for one in prediction.candidates]).reshape(-1, 4),
                classes=np.array([one.index for one in prediction.candidates], int),
                scores=np.array([one.probability for one in prediction.candidates]),
            )
        )
    table = box_average_precision(truth, said, len(classes))
    values = {score["name"]: score["value"] for score in scores["scores"]}
    assert scores["metric"] == "ap50"
    assert values["ap50"] == pytest.approx(np.nanmean(table[:, 0]), abs=1e-6)
    assert values["ap"] == pytest.approx(np.nanmean(table), abs=1e-6)
    assert len(load_model(run.path / "model").task.thresholds) == 2
    assert pw.evaluate(run.path).class_rows()[0][:2] == ["class", "objects"]


def test_predictions_are_tables_overlays_and_json(run, tmp_path):
    model = pw.load(run.path)
    path = run.path.parent / "laundry" / next(iter(truth_of(run)))
    prediction = model.predict(path)
    assert prediction.size_px == (56, 56)
    assert prediction.counts().keys() == set(model.classes)
    assert sum(prediction.counts().values()) == len(prediction.objects) == len(prediction.shapes)
    assert [one["label"] for one in prediction.to_json()["objects"]] == [one.label for one in prediction.objects]
    assert prediction.overlay(path, legend=True).shape[0] > 56
    for one in prediction.candidates:
        assert 0 <= one.box[0] < one.box[2] <= 56
        assert 0 <= one.box[1] < one.box[3] <= 56
    arguments = ["predict", str(run.path), str(path), "--out", str(tmp_path / "out"), "--overlays", "--write", "coco"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert (tmp_path / "out" / "counts.csv").exists()
    written = next((tmp_path / "out").rglob("*coco*.json"))
    assert len(json.loads(written.read_text())["annotations"]) == len(prediction.objects)


def test_boxes_fit_pictures_of_another_size(run):
    """The same picture twice as wide, through a model that resizes it back: boxes twice as wide."""
    path = run.path.parent / "laundry" / next(iter(truth_of(run)))
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    model = load_model(run.path / "model")
    stretching = dataclasses.replace(
        model, preprocess=dataclasses.replace(model.preprocess, resize="stretch", size=(56, 56))
    )
    plain = Predictor(stretching).predict(picture)
    wide = Predictor(stretching).predict(np.repeat(picture, 2, axis=1))
    assert len(plain.candidates) == len(wide.candidates)
    for one, other in zip(plain.candidates, wide.candidates, strict=True):
        assert other.box == pytest.approx([2 * one.box[0], one.box[1], 2 * one.box[2], one.box[3]], abs=1e-3)


def test_a_report_shows_boxes(run):
    page = pw.report(run.path).read_text()
    assert "true box" in page
    assert "objects" in page


def test_ensembles_and_other_views_are_refused(run):
    with pytest.raises(UsageError, match="An ensemble of 2 models for detection"):
        pw.load([run.path, run.path / "model"])
    with pytest.raises(UsageError, match="protocol flip for detection"):
        pw.load(run.path, protocol="flip")
    with pytest.raises(UsageError, match="gives no probability of each class"):
        pw.load(run.path).probabilities(np.zeros((56, 56), np.uint8))
