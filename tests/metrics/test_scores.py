"""Ratios per class, ranks, calibration: against definitions written a second time."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.metrics import (
    ClassCounts,
    calibration_bins,
    confusion_matrix,
    expected_calibration_error,
    mean_defined,
    rank_of_truth,
)


def divided(part, whole):
    return part / whole if whole else math.nan


@given(seed=st.integers(0, 10_000), num_classes=st.integers(2, 6), n=st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_ratios_equal_set_arithmetic(seed, num_classes, n):
    rng = np.random.default_rng(seed)
    truth, prediction = rng.integers(0, num_classes, (2, n))
    counts = ClassCounts.from_confusion(confusion_matrix(truth, prediction, num_classes, ignore=None))
    for c in range(num_classes):
        is_c, said_c = set(np.flatnonzero(truth == c)), set(np.flatnonzero(prediction == c))
        both = len(is_c & said_c)
        expected = {
            "precision": divided(both, len(said_c)),
            "recall": divided(both, len(is_c)),
            "iou": divided(both, len(is_c | said_c)),
            "f1": divided(2 * both, len(is_c) + len(said_c)),
        }
        missed, wrong = len(is_c - said_c), len(said_c - is_c)
        for beta in (0.5, 1, 2):
            expected_f = divided((1 + beta**2) * both, (1 + beta**2) * both + beta**2 * missed + wrong)
            np.testing.assert_allclose(counts.f_beta(beta)[c], expected_f, rtol=1e-12)
        for name, value in expected.items():
            np.testing.assert_allclose(getattr(counts, name)()[c], value, rtol=1e-12)
    np.testing.assert_allclose(counts.accuracy(), divided(int((truth == prediction).sum()), n))
    defined = [value for value in counts.iou() if not math.isnan(value)]
    np.testing.assert_allclose(mean_defined(counts.iou()), divided(sum(defined), len(defined)))


def test_the_empty_class_rule():
    # class 0 found; 1 never found; 2 predicted but absent; 3 neither
    truth, prediction = np.array([0, 0, 1, 0]), np.array([0, 0, 2, 2])
    counts = ClassCounts.from_confusion(confusion_matrix(truth, prediction, 4, ignore=None))
    np.testing.assert_allclose(counts.iou(), [2 / 3, 0, 0, math.nan])
    np.testing.assert_allclose(counts.f1(), [0.8, 0, 0, math.nan])
    np.testing.assert_allclose(counts.precision(), [1, math.nan, 0, math.nan])
    np.testing.assert_allclose(counts.recall(), [2 / 3, 0, math.nan, math.nan])
    assert mean_defined(counts.iou()) == pytest.approx(2 / 9)


def test_f1_follows_from_iou():
    counts = ClassCounts.from_confusion(np.random.default_rng(0).integers(1, 99, (5, 5)))
    np.testing.assert_allclose(counts.f1(), 2 * counts.iou() / (1 + counts.iou()))


def test_counts_of_many_matrices_come_at_once():
    confusion = np.random.default_rng(0).integers(0, 9, (7, 4, 4))
    together = ClassCounts.from_confusion(confusion).iou()
    apart = np.stack([ClassCounts.from_confusion(one).iou() for one in confusion])
    np.testing.assert_array_equal(together, apart)


@given(seed=st.integers(0, 10_000), k=st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_ranks_equal_a_stable_sort(seed, k):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (9, 6)).astype(np.float32)  # full of ties
    target = rng.integers(0, 6, 9)
    order = np.argsort(-scores, axis=1, kind="stable")
    expected = [list(row).index(label) for row, label in zip(order, target, strict=True)]
    assert rank_of_truth(torch.from_numpy(scores), torch.from_numpy(target)).tolist() == expected
    in_top = [label in row[:k] for row, label in zip(order, target, strict=True)]
    assert [rank < k for rank in expected] == in_top


def test_scores_that_are_not_numbers_are_never_right():
    ranks = rank_of_truth(torch.full((2, 8), math.nan), torch.tensor([0, 7]))
    assert ranks.tolist() == [7, 7]


def test_calibration_by_hand():
    # bins of width 1/4: two empty ones; (.25, .5] holds .5 right, .3 wrong; (.75, 1] holds .8 wrong, 1 right, 1 right
    bins = calibration_bins(np.array([0.5, 0.3, 0.8, 1.0, 1.0]), np.array([1, 0, 0, 1, 1]), num_bins=4)
    assert [one.n for one in bins] == [0, 2, 0, 3]
    assert [(one.low, one.high) for one in bins] == [(0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1)]
    assert bins[0].confidence is None
    assert bins[0].accuracy is None
    assert bins[1].confidence == pytest.approx(0.4)
    assert bins[1].accuracy == 0.5
    assert bins[3].accuracy == pytest.approx(2 / 3)
    # 2/5 * |.5 - .4| + 3/5 * |2/3 - 2.8/3|
    assert expected_calibration_error(bins) == pytest.approx(0.04 + 0.16)


def test_calibration_of_nothing_is_undefined():
    assert expected_calibration_error(calibration_bins(np.array([]), np.array([]))) is None


def test_calibration_keeps_every_sample_at_the_edges():
    bins = calibration_bins(np.array([0.0, 1.0]), np.array([0, 1]))
    assert len(bins) == 15
    assert (bins[0].n, bins[-1].n) == (1, 1)
    assert expected_calibration_error(bins) == 0


def test_honest_confidences_are_calibrated_and_boasting_ones_are_not():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.1, 1, 50_000)
    right = rng.random(50_000) < confidence
    assert expected_calibration_error(calibration_bins(confidence, right)) < 0.01
    assert expected_calibration_error(calibration_bins(np.ones(50_000), right)) == pytest.approx(0.45, abs=0.01)
