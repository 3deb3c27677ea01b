"""The challenge's scores against pairs of pixels, entropies and topology counted a second time."""

import math

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.errors import DataError
from pixelwise.metrics import (
    best_over_thresholds,
    pixel_error,
    rand_error,
    segments,
    thin_borders,
    v_info,
    v_rand,
    warping_error,
    warping_mistakes,
)


def restricted(truth, prediction):
    """The labels of the truth's foreground, with a number of its own for each pixel that the proposal leaves out."""
    own, other = truth[truth > 0], prediction[truth > 0].copy()
    alone = other == 0
    other[alone] = 10_000 + np.arange(alone.sum())
    return own, other


def entropy(labels):
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return -sum(share * math.log(share) for share in shares)


@given(seed=st.integers(0, 10**6), own=st.integers(1, 5), other=st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_scores_equal_pairs_and_entropies(seed, own, other) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, own + 1, (6, 7)) * 3
    truth[0, 0] = 3
    prediction = rng.integers(0, other + 1, (6, 7)) * 5
    these, those = restricted(truth, prediction)
    same_truth, same_other = (
        these[:, None] == these,
        those[:, None] == those,
    )  # all ordered pairs, a pixel with itself too
    both = (same_truth & same_other).sum()
    expected = (2 * both / (same_truth.sum() + same_other.sum()), both / same_truth.sum(), both / same_other.sum())
    np.testing.assert_allclose(v_rand(truth, prediction), expected)
    np.testing.assert_allclose(rand_error(truth, prediction), 1 - expected[0])
    of_truth, of_other = entropy(these), entropy(those)
    shared = of_truth + of_other - entropy(these * 100_000 + those)
    expected = [shared / part if part > 1e-12 else 1 for part in ((of_truth + of_other) / 2, of_other, of_truth)]
    np.testing.assert_allclose(v_info(truth, prediction), expected, atol=1e-9)


def test_splits_and_mergers_show_where_they_belong() -> None:
    whole, halves = np.ones((4, 6), int), np.repeat([[1, 1, 1, 2, 2, 2]], 4, axis=0)
    assert v_rand(whole, halves) == pytest.approx((2 / 3, 0.5, 1))
    assert v_rand(halves, whole) == pytest.approx((2 / 3, 1, 0.5))
    assert v_info(whole, halves) == pytest.approx((0, 0, 1))
    assert v_info(halves, whole) == pytest.approx((0, 1, 0))
    assert v_info(whole, whole) == v_rand(halves, halves * 4) == (1, 1, 1)


def test_a_truth_without_segments_is_undefined() -> None:
    nothing = np.zeros((3, 3), int)
    assert np.isnan([*v_rand(nothing, nothing + 1), *v_info(nothing, nothing), rand_error(nothing, nothing)]).all()
    # a proposal without segments is one segment for each pixel
    assert v_rand(nothing + 1, nothing).split == pytest.approx(1 / 9)


def test_segments_touching_at_corners_are_two() -> None:
    np.testing.assert_array_equal(segments(np.eye(2)), [[1, 0], [0, 2]])
    np.testing.assert_array_equal(segments(np.ones((2, 2, 2))), np.ones((2, 2, 2)))


@pytest.mark.parametrize("shape", [(40, 50), (10, 12, 14)])
def test_thinned_borders_are_one_pixel_wide_and_keep_segments_apart(shape) -> None:
    rng = np.random.default_rng(1)
    labels = segments(scipy.ndimage.gaussian_filter(rng.normal(size=shape), 2) > 0.05)
    thinned = thin_borders(labels)
    assert labels.max() > 3
    assert (thinned[labels > 0][thinned[labels > 0] > 0] == labels[labels > 0][thinned[labels > 0] > 0]).all()
    assert (thinned == 0).sum() < 0.5 * (labels == 0).sum()
    for axis in range(labels.ndim):  # no two segments share a side
        one, other = (np.moveaxis(thinned, axis, 0)[part] for part in (slice(1, None), slice(None, -1)))
        assert not ((one != other) & (one > 0) & (other > 0)).any()
    # every element of a line lies beside two segments, counting what it belongs to itself
    nearest = scipy.ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    grown = labels[tuple(nearest)]
    cross = scipy.ndimage.generate_binary_structure(labels.ndim, 1)
    highest, lowest = (f(grown, footprint=cross) for f in (scipy.ndimage.maximum_filter, scipy.ndimage.minimum_filter))
    assert (highest != lowest)[thinned == 0].all()


def test_thinning_by_hand() -> None:
    np.testing.assert_array_equal(thin_borders(np.array([[1, 0, 0, 0, 2]])), [[1, 1, 0, 2, 2]])
    np.testing.assert_array_equal(thin_borders(np.zeros((2, 2), int)), np.zeros((2, 2)))
    lonely = np.zeros((5, 5), int)
    lonely[2, 2] = 7
    np.testing.assert_array_equal(thin_borders(lonely), np.full((5, 5), 7))  # a line that parts nothing is gone


def test_best_threshold_of_a_stack() -> None:
    truths = [np.array([[1, 0, 1, 0]]), np.array([[1, 1, 0, 0]])]
    probabilities = [np.array([[0.9, 0.35, 0.8, 0.1]]), np.array([[0.45, 0.7, 0.15, 0.2]])]

    assert best_over_thresholds(pixel_error, truths, probabilities, lowest=True) == (0.0, 0.4)
    assert best_over_thresholds(pixel_error, truths, probabilities, thresholds=(0.0, 0.95)) == (0.5, 0.0)


def test_pixel_error_counts_differing_pixels_whatever_marks_them() -> None:
    assert pixel_error(np.array([0, 255, 255, 0]), np.array([0.0, 1.0, 0.0, 1.0])) == 0.5


def topology(mask):
    """Numbers of objects connected by sides, and of what lies between them connected by corners too."""
    padded = np.pad(mask, 1)
    return scipy.ndimage.label(padded)[1], scipy.ndimage.label(~padded, structure=np.ones((3, 3)))[1]


def warped_by_counting(truth, prediction, certainty):
    """The same sweeps, where a pixel may change if the numbers of all objects and holes stay the same."""
    warped = truth.copy()
    left = sorted(np.argwhere(truth != prediction).tolist(), key=lambda place: -certainty[tuple(place)])
    while True:
        stuck = []
        for row, column in left:
            before = topology(warped)
            warped[row, column] ^= True
            if topology(warped) != before:
                warped[row, column] ^= True
                stuck.append([row, column])
        if stuck == left:
            return warped
        left = stuck


@given(seed=st.integers(0, 10**6), height=st.integers(1, 8), width=st.integers(1, 8), share=st.floats(0.2, 0.8))
@settings(max_examples=60, deadline=None)
def test_warping_changes_pixels_while_objects_and_holes_keep_their_numbers(seed, height, width, share) -> None:
    rng = np.random.default_rng(seed)
    truth, prediction = rng.random((2, height, width)) < share
    certainty = rng.random((height, width))
    expected = warped_by_counting(truth, prediction, certainty) != prediction
    np.testing.assert_array_equal(warping_mistakes(truth, prediction, certainty), expected)
    assert warping_error(truth, prediction, certainty) == pytest.approx(expected.mean())


def test_warping_forgives_shifts_and_punishes_mergers() -> None:
    truth = np.zeros((20, 30), np.uint8)
    truth[3:9, 3:12] = 255
    truth[3:9, 14:25] = 255
    shifted = np.roll(truth, (1, 1), (0, 1))
    assert warping_error(truth, shifted) == 0
    merged = truth.copy()
    merged[5, 12:14] = 255  # a bridge of two pixels, of which one can be warped to
    assert warping_error(truth, merged) == pytest.approx(1 / 600)
    assert warping_mistakes(truth, merged).sum() == 1
    holed = truth.copy()
    holed[5, 6] = 0
    assert warping_error(truth, holed) == pytest.approx(1 / 600)
    assert warping_error(truth, np.zeros((20, 30))) == pytest.approx(2 / 600)  # each shrinks to a pixel


def test_arrays_that_do_not_fit() -> None:
    for score in (pixel_error, v_info):
        with pytest.raises(DataError, match=r"^The prediction has shape \(2,\)\. Expected \(3,\), as the truth\."):
            score(np.zeros(3), np.zeros(2))
    with pytest.raises(DataError) as caught:
        v_rand(np.zeros((2, 2), int), np.zeros((2, 3), int))
    assert str(caught.value) == (
        "The prediction has shape (2, 3). Expected (2, 2), as the truth. Compare segmentations of the same picture."
    )
    with pytest.raises(DataError) as caught:
        warping_error(np.zeros((2, 2, 2)), np.zeros((2, 2, 2)))
    assert str(caught.value) == (
        "The arrays have shapes (2, 2, 2), (2, 2, 2). Expected masks of one shape, (H, W). "
        "Compare masks of the same picture; take volumes slice by slice."
    )
