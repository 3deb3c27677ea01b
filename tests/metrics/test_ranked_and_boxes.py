"""Average precision, thresholds and overlaps of boxes: against definitions computed by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.metrics import (
    average_precision,
    best_threshold,
    bootstrap_interval,
    box_iou,
    corners,
    resampled_interval,
)


def by_definition(scores, truth):
    """Sum over the distinct scores of the step in recall times the precision."""
    total, before = 0.0, 0.0
    for level in sorted(set(scores), reverse=True):
        taken = scores >= level
        recall = truth[taken].sum() / truth.sum()
        total += (recall - before) * truth[taken].mean()
        before = recall
    return total


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 30), levels=st.integers(1, 40))
def test_average_precision_is_its_definition(seed, n, levels):
    rng = np.random.default_rng(seed)
    scores, truth = rng.integers(0, levels, n) / levels, rng.random(n) < 0.4
    got = average_precision(scores, truth)
    assert got.shape == (1,)
    if truth.any():
        assert got[0] == pytest.approx(by_definition(scores, truth))
    else:
        assert np.isnan(got[0])


def test_average_precision_of_known_orders():
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    assert average_precision(scores, np.array([1, 1, 0, 0]))[0] == 1
    assert average_precision(scores, np.array([0, 1, 0, 1]))[0] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert average_precision(scores, np.ones(4))[0] == 1
    assert average_precision(np.zeros(4), np.array([1, 0, 0, 0]))[0] == 1 / 4  # no order, no skill


def test_resamples_count_pictures_as_often_as_they_were_drawn():
    rng = np.random.default_rng(1)
    scores, truth = rng.random(12).round(1), rng.random(12) < 0.5
    counts = rng.integers(0, 3, (5, 12))
    got = average_precision(scores, truth, counts)
    for row, value in zip(counts, got, strict=True):
        repeated = average_precision(scores.repeat(row), truth.repeat(row))[0]
        assert value == pytest.approx(repeated)


def test_intervals_of_orders_and_of_sums_come_from_the_same_draws():
    summands = np.random.default_rng(2).random((40, 3))
    sums = bootstrap_interval(summands, lambda total: total, seed=5)
    np.testing.assert_allclose(resampled_interval(40, lambda counts: counts @ summands, seed=5), sums)
    assert np.isnan(resampled_interval(1, lambda counts: counts @ summands[:1])).all()


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 25), levels=st.integers(1, 12))
def test_no_threshold_gives_a_better_f1(seed, n, levels):
    rng = np.random.default_rng(seed)
    probabilities, truth = rng.integers(0, levels, n) / levels, rng.random(n) < 0.4

    def f1(threshold):
        shown = probabilities >= threshold
        return 2 * (shown & truth).sum() / max(shown.sum() + truth.sum(), 1)

    chosen = best_threshold(probabilities, truth)
    assert 0 <= chosen <= 1
    assert f1(chosen) == pytest.approx(max(f1(t) for t in np.linspace(0, 1, 241)))
    if not truth.any():
        assert chosen == 0.5


def test_of_equally_good_thresholds_the_middle_one_is_taken():
    assert best_threshold(np.array([0.01, 0.02, 0.98, 0.99]), np.array([0, 0, 1, 1])) == 0.5
    assert best_threshold(np.array([0.1, 0.2, 0.3]), np.array([0, 1, 1])) == pytest.approx(0.15)


def test_overlaps_of_boxes():
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 4, 4], [2, 2, 2, 2], [1, 1, 1, 1]])
    others = torch.tensor([[0.0, 0, 4, 4], [2, 2, 6, 6], [4, 0, 8, 4], [0, 0, 4, 4], [1, 1, 1, 1]])
    torch.testing.assert_close(box_iou(boxes, others), torch.tensor([1, 4 / 28, 0, 0, 0]))
    rng = np.random.default_rng(0)
    low = rng.integers(0, 30, (2, 50, 2))
    pairs = np.concatenate([low, low + rng.integers(1, 20, (2, 50, 2))], 2)
    for one, other, got in zip(*pairs, box_iou(*map(torch.from_numpy, pairs.astype(float))), strict=True):
        cells = np.zeros((2, 50, 50), bool)
        for layer, (x_min, y_min, x_max, y_max) in zip(cells, (one, other), strict=True):
            layer[y_min:y_max, x_min:x_max] = True
        assert got.item() == pytest.approx((cells[0] & cells[1]).sum() / (cells[0] | cells[1]).sum())


def test_corners_of_boxes():
    torch.testing.assert_close(corners(torch.tensor([[0.5, 0.25, 0.2, 0.5]])), torch.tensor([[0.4, 0.0, 0.6, 0.5]]))
