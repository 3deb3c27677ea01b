"""A prediction can be printed, saved and drawn."""

import json

import numpy as np
import pytest

from pixelwise.data.masks import read_mask_raw
from pixelwise.data.writing import write_png
from pixelwise.errors import ImageError, OutputError, UsageError
from pixelwise.predict.overlay import draw_overlay, with_legend
from pixelwise.predict.prediction import ClassPrediction, MaskPrediction

CLASSES = tuple("abcdefg")
CHANCES = np.array([0.01, 0.3, 0.02, 0.25, 0.25, 0.1, 0.07], np.float32)
MASK = MaskPrediction(("background", "cell", "debris"), np.array([[0, 1, 1, 255], [0, 0, 0, 0]], np.uint8))


def test_a_class_prediction_names_its_best_five():
    prediction = ClassPrediction(CLASSES, CHANCES)
    assert (prediction.index, prediction.label) == (1, "b")
    assert prediction.probability == pytest.approx(0.3)
    assert [name for name, _ in prediction.top5] == ["b", "d", "e", "f", "g"]
    assert str(prediction) == "b 30.0%, d 25.0%, e 25.0%, f 10.0%, g 7.0%"


def test_a_class_prediction_is_saved_as_json(tmp_path):
    ClassPrediction(CLASSES, CHANCES).save(tmp_path / "p.json")
    content = json.loads((tmp_path / "p.json").read_text())
    assert content["label"] == "b"
    assert list(content["probabilities"]) == list(CLASSES)
    assert list(content["probabilities"].values()) == pytest.approx(CHANCES.tolist())


def test_a_mask_prediction_counts_its_classes():
    assert MASK.areas_px == {"background": 5, "cell": 2, "debris": 0}
    assert MASK.fractions == {"background": 0.625, "cell": 0.25, "debris": 0}
    assert str(MASK) == "2 x 4 px: background 62.5%, cell 25.0%, no class 12.5%"
    assert MASK.to_json() == {
        "height_px": 2,
        "width_px": 4,
        "areas_px": MASK.areas_px,
        "fractions": MASK.fractions,
    }


def test_a_mask_prediction_is_saved_as_an_indexed_png(tmp_path):
    MASK.save(str(tmp_path / "m.png"))
    assert np.array_equal(read_mask_raw(tmp_path / "m.png"), MASK.label_map)
    with pytest.raises(UsageError) as caught:
        MASK.save(tmp_path / "m.jpg")
    assert str(caught.value) == (
        f"{tmp_path}/m.jpg is to hold a mask. Expected a name that ends in .png. Change the name."
    )
    with pytest.raises(OutputError):
        MASK.save(tmp_path / "nowhere" / "m.png")


def test_a_mask_prediction_is_drawn_over_its_picture(tmp_path):
    image = np.arange(8, dtype=np.uint8).reshape(2, 4, 1) * 20
    expected = draw_overlay(image, MASK.label_map, MASK.classes)
    assert np.array_equal(MASK.overlay(image), expected)
    write_png(tmp_path / "i.png", image)
    assert np.array_equal(MASK.overlay(tmp_path / "i.png"), expected)
    assert np.array_equal(MASK.overlay(image, legend=True), with_legend(expected, MASK.label_map, MASK.classes))
    with pytest.raises(ImageError, match="2 x 3 pixels and the label map 2 x 4"):
        MASK.overlay(image[:, :3])
