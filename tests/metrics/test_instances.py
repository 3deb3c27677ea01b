"""Scores of objects against their definitions, pair by pair with sets of pixels."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.errors import DataError
from pixelwise.metrics import (
    InstanceCounts,
    aggregated_jaccard,
    instance_average_precision,
    instance_counts,
    panoptic_quality,
)


def objects_of(labels):
    return [set(np.flatnonzero(labels == number)) for number in np.unique(labels) if number]


def iou(one, other):
    return len(one & other) / len(one | other)


def most_pairs(truth, prediction, threshold):
    """The size of the largest matching, by trying all orders of the fewer objects."""
    few, many = sorted([truth, prediction], key=len)
    return max(
        sum(iou(one, other) >= threshold for one, other in zip(few, order, strict=True))
        for order in itertools.permutations(many, len(few))
    )


def brute_jaccard(truth, prediction):
    shared = joint = 0
    used = set()
    for one in truth:
        overlaps = [iou(one, other) for other in prediction]
        if not overlaps or max(overlaps) == 0:
            joint += len(one)
            continue
        best = int(np.argmax(overlaps))
        used.add(best)
        shared, joint = shared + len(one & prediction[best]), joint + len(one | prediction[best])
    joint += sum(len(other) for place, other in enumerate(prediction) if place not in used)
    return shared / joint if joint else math.nan


def random_labels(rng, count):
    labels = np.zeros((9, 11), np.int32)
    for number in range(count):
        top, left = rng.integers(0, 8), rng.integers(0, 10)
        labels[top : top + rng.integers(1, 6), left : left + rng.integers(1, 6)] = 3 * number + 1
    return labels


@given(seed=st.integers(0, 10**6), own=st.integers(0, 5), other=st.integers(0, 5), close=st.booleans())
@settings(max_examples=120, deadline=None)
def test_scores_equal_set_arithmetic(seed, own, other, close) -> None:
    rng = np.random.default_rng(seed)
    truth = random_labels(rng, own)
    prediction = np.roll(truth, 1, axis=rng.integers(2)) * 7 if close else random_labels(rng, other)
    these, those = objects_of(truth), objects_of(prediction)
    np.testing.assert_allclose(aggregated_jaccard(truth, prediction), brute_jaccard(these, those))
    matches = [iou(one, other) for one in these for other in those if iou(one, other) > 0.5]
    total = len(these) + len(those)
    expected = (
        sum(matches) / (total / 2) if total else math.nan,
        sum(matches) / len(matches) if matches else math.nan,
        len(matches) / (total / 2) if total else math.nan,
    )
    np.testing.assert_allclose(panoptic_quality(truth, prediction), expected)
    thresholds = (0.1, 0.3, 0.5, 0.75)
    precisions = instance_average_precision(truth, prediction, thresholds)
    for threshold, precision in zip(thresholds, precisions, strict=True):
        pairs = most_pairs(these, those, threshold)
        np.testing.assert_allclose(precision, pairs / (total - pairs) if total else math.nan)


def test_quality_is_the_product_of_its_parts() -> None:
    rng = np.random.default_rng(0)
    truth = random_labels(rng, 6)
    quality, segmentation, recognition = panoptic_quality(truth, np.roll(truth, 1, 0))
    assert quality == pytest.approx(segmentation * recognition)
    assert 0 < quality < 1


def test_an_object_halved_is_one_match_at_a_half() -> None:
    truth, prediction = np.ones((2, 4), int), np.array([[1, 1, 2, 2]] * 2)
    np.testing.assert_allclose(instance_average_precision(truth, prediction, (0.5, 0.55)), [1 / 2, 0])
    assert panoptic_quality(truth, prediction)[2] == 0


def test_empty_images() -> None:
    nothing, something = np.zeros((4, 4), int), np.eye(4, dtype=int)
    for truth, prediction, expected in (
        (nothing, nothing, math.nan),
        (something, nothing, 0.0),
        (nothing, something, 0.0),
        (something, 9 * something, 1.0),
    ):
        quality, segmentation, recognition = panoptic_quality(truth, prediction)
        scores = [aggregated_jaccard(truth, prediction), quality, recognition]
        np.testing.assert_equal([*scores, *instance_average_precision(truth, prediction)], [expected] * 13)
        np.testing.assert_equal(segmentation, expected or math.nan)


def test_ignored_pixels_leave_both() -> None:
    truth, prediction = np.array([1, 1, 2, 0, 0]), np.array([5, 5, 5, 6, 0])
    ignored = np.array([False, False, True, True, False])
    counts = instance_counts(truth, prediction, ignored=ignored)
    assert (counts.truth, counts.predicted, counts.aggregated_jaccard()) == (1, 1, 1)


def test_counts_of_images_are_added() -> None:
    rng = np.random.default_rng(3)
    counts = [instance_counts(random_labels(rng, 4), random_labels(rng, 4)) for _ in range(3)]
    rows = np.stack([one.row() for one in counts])
    pooled = InstanceCounts.from_row(rows.sum(0, keepdims=True))
    total = sum(one.truth + one.predicted for one in counts)
    np.testing.assert_allclose(pooled.panoptic_quality(), [2 * sum(one.panoptic_iou for one in counts) / total])
    np.testing.assert_allclose(
        pooled.aggregated_jaccard(), [sum(one.shared for one in counts) / sum(one.joint for one in counts)]
    )
    right = sum(one.matches for one in counts)
    np.testing.assert_allclose(pooled.average_precision(), [right / (total - right)])


def test_bad_arguments() -> None:
    with pytest.raises(DataError) as caught:
        instance_counts(np.zeros((2, 2), int), np.zeros((2, 3), int))
    assert str(caught.value) == (
        "The prediction has shape (2, 3). Expected (2, 2), as the truth. Compare label images of the same picture."
    )
    with pytest.raises(DataError) as caught:
        instance_counts(np.zeros(2, int), np.zeros(2, int), thresholds=(0.0,))
    assert str(caught.value) == "thresholds=(0.0,). Expected numbers above 0, at most 1. Correct them."
