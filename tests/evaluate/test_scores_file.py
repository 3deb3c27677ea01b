"""Scores as a file and as text."""

import json

import numpy as np
import pytest

from pixelwise.errors import RunError
from pixelwise.evaluation.scores import ClassScores, SampleScore, Score, Scores
from pixelwise.metrics import calibration_bins


def example(**changes):
    fields = {
        "task": "classification",
        "split": "test",
        "num_images": 3,
        "metric": "top1",
        "scores": (Score("top1", 2 / 3, 3, "fraction", 1 / 3, 1.0), Score("macro_f1", None, 3, "fraction", None, None)),
        "classes": (
            ClassScores("Bär", 2, {"f1": 0.5}, {"f1": (0.25, 0.75)}),
            ClassScores("dog", 0, {"f1": None}, {"f1": None}),
        ),
        "confusion": np.array([[2, 1], [0, 0]]),
        "calibration": calibration_bins(np.array([0.9, 0.6, 0.7]), np.array([1, 1, 0])),
        "samples": (
            SampleScore("a/b.png", -1, 0.9, "Bär", "Bär", 0.9),
            SampleScore("a/\udcff.png", 4, 0.3, "Bär", "dog", 0.7),
        ),
        "notes": ("Careful.",),
    }
    return Scores(**(fields | changes))


def test_scores_survive_a_file(tmp_path):
    scores = example()
    scores.save(tmp_path / "scores.json")
    again = Scores.load(tmp_path / "scores.json")
    assert again.to_json() == scores.to_json()
    assert again.classes == scores.classes
    assert again.calibration == scores.calibration
    assert again.samples == scores.samples
    np.testing.assert_array_equal(again.confusion, scores.confusion)
    segmentation = example(task="segmentation", calibration=(), samples=(), notes=())
    segmentation.save(tmp_path / "scores.json")
    assert Scores.load(tmp_path / "scores.json").to_json() == segmentation.to_json()


def test_the_file_has_the_documented_form(tmp_path):
    example().save(tmp_path / "scores.json")
    text = (tmp_path / "scores.json").read_text()
    content = json.loads(text)
    assert content["format"] == 1
    assert content["scores"][0] == {
        "name": "top1", "value": 2 / 3, "n": 3, "unit": "fraction", "low": 1 / 3, "high": 1.0,
    }  # fmt: skip
    assert content["classes"][1] == {"name": "dog", "n": 0, "f1": None, "interval": {"f1": None}}
    assert content["confusion"] == [[2, 1], [0, 0]]
    # bins of a fifteenth: .6 alone, .7 alone, .9 alone
    assert content["calibration"]["ece"] == pytest.approx((0.4 + 0.7 + 0.1) / 3)
    assert content["samples"][0]["path"] == "a/b.png"
    assert "absent from truth and prediction" in content["empty_class_rule"]
    assert len(text.splitlines()) < 50  # a confusion matrix of 1,000 classes must not become a million lines


def test_rows_are_text_for_people():
    scores = example()
    assert scores.rows() == [("top1", "66.67 %", "33.33 to 100.00 %", "3"), ("macro_f1", "undefined", "", "3")]
    assert scores.class_rows() == (["class", "images", "f1"], [["Bär", "2", "50.00 %"], ["dog", "0", "undefined"]])
    assert example(task="segmentation").class_rows()[0][1] == "pixels"


def test_a_score_is_found_by_name():
    assert example()["top1"].high == 1.0
    with pytest.raises(KeyError, match="top9"):
        example()["top9"]


def test_damaged_and_newer_files_are_refused(tmp_path):
    content = example().to_json()
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(content | {"format": 2}))
    with pytest.raises(RunError) as caught:
        Scores.load(path)
    assert str(caught.value) == (
        f"{path} has format 2. Expected format 1 or older. Update pixelwise: a newer version wrote it."
    )
    for damage in ({"confusion": [[1]]}, {"scores": [{"name": "top1"}]}, {"classes": None}, {"notes": 3}):
        path.write_text(json.dumps(content | damage))
        with pytest.raises(RunError, match=r"is damaged \(.*Evaluate the run again\.$"):
            Scores.load(path)
    path.write_text("[]")
    with pytest.raises(RunError, match="is damaged"):
        Scores.load(path)
    path.write_text("{")
    with pytest.raises(RunError, match="is damaged"):
        Scores.load(path)
