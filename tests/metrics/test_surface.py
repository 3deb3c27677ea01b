"""Distances between outlines against all pairs of border elements."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.errors import DataError
from pixelwise.metrics import SurfaceDistances, average_surface_distance, boundary_f, hausdorff, hausdorff_95


def border(mask, spacing):
    """Coordinates of the elements with a neighbour outside, looked for one by one."""
    found = []
    for place in np.argwhere(mask):
        for axis, step in [(axis, step) for axis in range(mask.ndim) for step in (-1, 1)]:
            beside = place.copy()
            beside[axis] += step
            if not (0 <= beside[axis] < mask.shape[axis]) or not mask[tuple(beside)]:
                found.append(place * spacing)
                break
    return np.array(found).reshape(-1, mask.ndim)


def directed(truth, prediction, spacing):
    own, other = border(truth, spacing), border(prediction, spacing)
    pairs = np.sqrt(((own[:, None] - other[None]) ** 2).sum(2))
    return pairs.min(1), pairs.min(0)


def blobs(rng, shape):
    """Two or three boxes, sometimes with a hole."""
    mask = np.zeros(shape, np.bool_)
    for _ in range(rng.integers(1, 4)):
        start = [rng.integers(0, side) for side in shape]
        mask[tuple(slice(at, at + rng.integers(1, 7)) for at in start)] = rng.random() < 0.8
    mask[tuple(rng.integers(0, side) for side in shape)] = True
    return mask


@given(
    seed=st.integers(0, 10**6),
    shape=st.sampled_from([(12, 15), (1, 9), (6, 7, 8)]),
    spaced=st.booleans(),
    tolerance=st.sampled_from([0.0, 1.0, 2.5]),
)
@settings(max_examples=80, deadline=None)
def test_equals_all_pairs(seed, shape, spaced, tolerance) -> None:
    rng = np.random.default_rng(seed)
    truth, prediction = blobs(rng, shape), blobs(rng, shape)
    spacing = (0.5, 1.25, 3.0)[: len(shape)] if spaced else None
    there, back = directed(truth, prediction, np.array(spacing or [1.0] * len(shape)))
    # at a tolerance that no distance equals by accident of rounding
    tolerance += 1e-4
    recall, precision = (there <= tolerance).mean(), (back <= tolerance).mean()
    np.testing.assert_allclose(hausdorff(truth, prediction, spacing=spacing), max(there.max(), back.max()), rtol=1e-6)
    expected = max(np.percentile(there, 95), np.percentile(back, 95))
    np.testing.assert_allclose(hausdorff_95(truth, prediction, spacing=spacing), expected, rtol=1e-6)
    mean = (there.sum() + back.sum()) / (len(there) + len(back))
    np.testing.assert_allclose(average_surface_distance(truth, prediction, spacing=spacing), mean, rtol=1e-6)
    f = 2 * precision * recall / (precision + recall) if precision + recall else 0
    np.testing.assert_allclose(boundary_f(truth, prediction, tolerance=tolerance, spacing=spacing), f, rtol=1e-6)


def test_a_shifted_square_by_hand() -> None:
    truth = np.zeros((20, 20), np.uint8)
    truth[5:10, 5:10] = 1
    prediction = np.roll(truth, 3, axis=1) * 7
    assert hausdorff(truth, prediction) == 3
    assert boundary_f(truth, prediction, tolerance=3) == 1
    assert boundary_f(truth, prediction, tolerance=0) == pytest.approx(4 / 16)  # two pixels in each of the two rows
    assert hausdorff(truth, prediction, spacing=(1, 0.5)) == pytest.approx(1.5)


def test_distances_are_symmetric_and_zero_of_equals() -> None:
    rng = np.random.default_rng(0)
    truth, prediction = blobs(rng, (30, 40)), blobs(rng, (30, 40))
    for measure in (hausdorff, hausdorff_95, average_surface_distance, boundary_f):
        assert measure(truth, prediction) == pytest.approx(measure(prediction, truth))
        assert measure(truth, truth) == (1 if measure is boundary_f else 0)


@pytest.mark.parametrize("shape", [(6, 7), (3, 4, 5)])
def test_empty_masks(shape) -> None:
    nothing, something = np.zeros(shape, np.uint8), np.ones(shape, np.uint8)
    for measure in (hausdorff, hausdorff_95, average_surface_distance):
        assert math.isnan(measure(nothing, nothing))
        assert measure(nothing, something) == measure(something, nothing) == math.inf
    assert math.isnan(boundary_f(nothing, nothing))
    assert boundary_f(nothing, something) == boundary_f(something, nothing) == 0


def test_bad_arguments() -> None:
    mask = np.zeros((4, 4), np.uint8)
    for prediction, spacing, message in (
        (
            np.zeros((4, 5)),
            None,
            "The truth has shape (4, 4), the prediction (4, 5). Expected two masks of one shape, (H, W) or (D, H, W). "
            "Compare masks of the same picture or volume.",
        ),
        (mask, (1.0,), "spacing=(1.0,). Expected 2 distances above 0. Give one for each axis."),
        (mask, (1.0, 0.0), "spacing=(1.0, 0.0). Expected 2 distances above 0. Give one for each axis."),
    ):
        with pytest.raises(DataError) as caught:
            SurfaceDistances.between(mask, prediction, spacing)
        assert str(caught.value) == message
