"""From counts per image to scores: against brute force over images and pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.errors import DataError
from pixelwise.evaluation.classes import class_order, label_map_table
from pixelwise.evaluation.tally import ClassificationCounts, tally_classification, tally_segmentation
from pixelwise.metrics import ClassCounts, calibration_bins, confusion_matrix


def never():
    pass


def names(count):
    return [f"class {index}" for index in range(count)]


def classified(truth, predicted, rank):
    counts = ClassificationCounts()
    for row in zip(truth, predicted, rank, strict=True):
        counts.add(*map(int, row))
    return counts


@given(seed=st.integers(0, 1000), num_classes=st.integers(2, 8), n=st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_classification_scores_equal_brute_force(seed, num_classes, n):
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(0, num_classes, (2, n))
    rank = np.where(truth == predicted, 0, rng.integers(1, num_classes, n))
    bins = calibration_bins(rng.random(n), truth == predicted)
    tally = tally_classification(
        classified(truth, predicted, rank), bins, names(num_classes), seed=0, should_stop=never
    )
    by_name = {score.name: score for score in tally.scores}
    assert by_name["top1"].value == pytest.approx((truth == predicted).mean())
    assert ("top5" in by_name) == (num_classes > 5)
    if num_classes > 5:
        assert by_name["top5"].value == pytest.approx((rank < 5).mean())
    f1 = []
    for c, found in enumerate(tally.classes):
        right, is_c, said_c = ((truth == c) & (predicted == c)).sum(), (truth == c).sum(), (predicted == c).sum()
        assert found.n == is_c
        assert found.values["recall"] == (pytest.approx(right / is_c) if is_c else None)
        assert found.values["precision"] == (pytest.approx(right / said_c) if said_c else None)
        if is_c + said_c:
            f1.append(2 * right / (is_c + said_c))
    assert by_name["macro_f1"].value == pytest.approx(np.mean(f1))
    assert {score.n for score in tally.scores} == {n}
    assert by_name["ece"].low is None
    if n == 1:
        assert all(score.low is None and score.high is None for score in tally.scores)
        assert all(interval is None for one in tally.classes for interval in one.intervals.values())
    elif (truth == predicted).any() and (truth != predicted).any():
        assert by_name["top1"].low <= by_name["top1"].value <= by_name["top1"].high


def test_the_interval_of_the_accuracy_is_the_binomial_one():
    truth = np.zeros(400, int)
    predicted = (np.arange(400) < 100).astype(int)
    bins = calibration_bins(np.ones(400), truth == predicted)
    tally = tally_classification(classified(truth, predicted, predicted), bins, names(2), seed=0, should_stop=never)
    top1 = tally.scores[0]
    half = 1.96 * (0.75 * 0.25 / 400) ** 0.5
    assert (top1.low, top1.high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.006)


@given(seed=st.integers(0, 1000), num_classes=st.integers(2, 5), n=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_segmentation_scores_equal_brute_force(seed, num_classes, n):
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(0, num_classes, (2, n, 4, 4)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.4] = 255
    truth[0, 0, 0] = 0
    each = [confusion_matrix(t, p, num_classes, ignore=255) for t, p in zip(truth, predicted, strict=True)]
    tally = tally_segmentation(
        ClassCounts.from_confusion(np.stack(each)), names(num_classes), seed=0, should_stop=never
    )
    counted = truth != 255
    iou = []
    for c in range(num_classes):
        inter = ((truth == c) & (predicted == c) & counted).sum()
        union = (((truth == c) | (predicted == c)) & counted).sum()
        expected = inter / union if union else None
        assert tally.classes[c].values["iou"] == (pytest.approx(expected) if union else None)
        assert tally.classes[c].n == (truth == c).sum()
        if union:
            iou.append(expected)
    by_name = {score.name: score for score in tally.scores}
    assert by_name["mean_iou"].value == pytest.approx(np.mean(iou))
    assert by_name["pixel_accuracy"].value == pytest.approx((truth == predicted)[counted].mean())
    labelled = counted.any((1, 2)).sum()
    assert {score.n for score in tally.scores} == {labelled}
    if labelled == 1:
        assert by_name["mean_iou"].low is None


def test_a_stop_is_honoured_while_intervals_are_made():
    def stop():
        raise KeyboardInterrupt

    counts = ClassCounts.from_confusion(np.ones((3, 2, 2), int))
    with pytest.raises(KeyboardInterrupt):
        tally_segmentation(counts, names(2), seed=0, should_stop=stop)


def test_the_order_of_the_model_wins():
    order = class_order(("dog", "ant"), ("ant", "cat", "dog"))
    assert order.tolist() == [2, 0]
    table = label_map_table(order)
    assert table[[0, 1, 2, 255]].tolist() == [2, 0, 255, 255]


def test_classes_that_the_model_does_not_know_are_refused():
    with pytest.raises(DataError) as caught:
        class_order(("dogs", "cat"), ("cat", "dog"))
    assert caught.value.came == "The data has dogs, which the model does not know"
    assert caught.value.expected == "only classes of the model: cat, dog"
    assert caught.value.do == (
        "Give the classes the names that the model was trained with, or leave them out. Did you mean dog?"
    )
    with pytest.raises(DataError) as caught:
        class_order(names(12), ("x", "y"))
    assert caught.value.came.endswith("class 7 and 4 more, which the model does not know")
    assert caught.value.do == "Give the classes the names that the model was trained with, or leave them out"
