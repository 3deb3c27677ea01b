"""Predictions of several labels and of boxes: what they say, and what is drawn."""

import json

import numpy as np
import pytest

from pixelwise.errors import UsageError
from pixelwise.predict.box_prediction import BoxPrediction
from pixelwise.predict.overlay import draw_box
from pixelwise.predict.palette import distinct_colours
from pixelwise.predict.prediction import ClassPrediction
from pixelwise.predict.set_prediction import SetPrediction

NAMES = ("bird", "fox", "owl")


def values(*numbers):
    return np.array(numbers, np.float32)


def test_a_set_holds_what_reaches_its_threshold():
    prediction = SetPrediction(NAMES, values(0.25, 0.9, 0.4), (0.25, 0.95, 0.3))
    assert prediction.labels == ("owl", "bird")
    assert prediction.shown.tolist() == [True, False, True]
    assert str(prediction) == "owl 40.0%, bird 25.0%"
    assert prediction.columns(NAMES) == ["labels", "p(bird)", "p(fox)", "p(owl)"]
    assert prediction.cells() == ["owl;bird", "0.25", "0.9", "0.4"]
    assert prediction.counts() == {"owl": 1, "bird": 1}
    nothing = SetPrediction(NAMES, values(0.1, 0.1, 0.1), (0.5,) * 3)
    assert (nothing.labels, str(nothing), nothing.cells()[0]) == ((), "no class", "")


@pytest.mark.parametrize(
    "prediction",
    [SetPrediction(NAMES, values(0.1, 0.2, 0.3), (0.5,) * 3), ClassPrediction(NAMES, values(0.1, 0.2, 0.7))],
)
def test_classes_have_no_place(prediction):
    with pytest.raises(UsageError) as caught:
        prediction.overlay(np.zeros((4, 4), np.uint8))
    assert str(caught.value) == "classes have no place in the picture where they could be drawn. Leave the overlay out."


def test_a_box_says_class_and_place(tmp_path):
    prediction = BoxPrediction(NAMES, values(0.2, 0.7, 0.1), (2.25, 3.0, 9.5, 8.0))
    assert (prediction.label, prediction.index) == ("fox", 1)
    assert str(prediction) == "fox 70.0% at x 2 to 10, y 3 to 8"
    assert prediction.columns(NAMES)[2:6] == ["x_min", "y_min", "x_max", "y_max"]
    assert prediction.cells() == ["fox", "0.7", "2.25", "3.00", "9.50", "8.00", "0.2", "0.7", "0.1"]
    prediction.save(tmp_path / "box.json")
    assert json.loads((tmp_path / "box.json").read_text())["box_px"] == {
        "x_min": 2.25, "y_min": 3.0, "x_max": 9.5, "y_max": 8.0
    }  # fmt: skip


def test_a_box_is_drawn_just_inside_its_edges():
    picture = np.full((20, 30), 99, np.uint8)
    prediction = BoxPrediction(NAMES, values(0.2, 0.7, 0.1), (4, 6, 14, 12))
    drawn = prediction.overlay(picture)
    line = (drawn == distinct_colours(3)[1]).all(-1)
    expected = np.zeros((20, 30), bool)
    expected[6:12, 4:14] = True
    expected[7:11, 5:13] = False
    np.testing.assert_array_equal(line, expected)
    assert (drawn[~line] == 99).all()
    assert prediction.overlay(picture, legend=True).shape[0] > 20 * 9  # enlarged ninefold, and the words below


@pytest.mark.parametrize("box", [(0, 0, 300, 200), (-5, -5, 400, 300), (300, 200, 300, 200), (10, 10, 10, 10)])
def test_boxes_at_the_edge_are_drawn(box):
    large = draw_box(np.zeros((200, 300, 3), np.uint8), box, (255, 0, 0))
    assert large.shape == (200, 300, 3)
    assert (large == (255, 0, 0)).all(-1).any()
