"""Warps of volumes against SciPy's interpolation, draws, resampling and levels against their formulas."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage
from scipy.interpolate import BSpline

from pixelwise.data.draws import sample_generator
from pixelwise.data.photometric import Photometric
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.volumes.augment import VOLUME_AUGMENTATIONS, VolumeAugment, change_values
from pixelwise.data.volumes.resample import resize_labels, resize_volume, size_at
from pixelwise.data.volumes.warp import VolumeWarp, fold, spline_weights
from pixelwise.errors import DataError, RecipeError, UsageError

RNG = np.random.default_rng(5)
VOLUME = RNG.normal(size=(9, 12, 10, 2)).astype(np.float32)
LABELS = RNG.integers(0, 3, (9, 12, 10)).astype(np.uint8)
SIZE = VOLUME.shape[:3]


def reflected(places, length):
    """The place that a mirror at the outermost centres shows, one at a time."""
    found = []
    for start in np.ravel(places):
        place = start
        while not 0 <= place <= length - 1:
            place = -place if place < 0 else 2 * (length - 1) - place
        found.append(place)
    return np.array(found).reshape(np.shape(places))


def test_the_warp_is_scipys_interpolation_at_the_formulas_places():
    lattice = RNG.normal(size=(5, 5, 5, 3))
    matrix = np.eye(3) + RNG.normal(size=(3, 3)) * 0.2
    warp = VolumeWarp(size=(7, 8, 11), matrix=matrix, origin=(0.3, 1.7, -2.5), lattice=lattice)
    knots = np.arange(-3, 6, dtype=float)  # a uniform cubic B-spline over two cells
    expected = np.empty((3, 7, 8, 11))
    for row in range(3):
        field = lattice[..., row]
        for axis, side in enumerate((7, 8, 11)):
            field = np.moveaxis(BSpline(knots, np.moveaxis(field, axis, 0), 3)(np.linspace(0, 2, side)), 0, axis)
        grid = np.meshgrid(*map(np.arange, (7, 8, 11)), indexing="ij")
        expected[row] = warp.origin[row] + sum(matrix[row, k] * grid[k] for k in range(3)) + field
    assert np.allclose(warp.positions(), expected, atol=1e-4)
    folded = np.stack([reflected(axis, side) for axis, side in zip(expected, SIZE, strict=True)])
    image, labels = warp.apply(VOLUME, LABELS)
    for channel in range(2):
        assert np.allclose(
            image[..., channel], ndimage.map_coordinates(VOLUME[..., channel], folded, order=1), atol=2e-4
        )
    nearest = np.rint(folded).astype(int)
    assert (labels == LABELS[tuple(nearest)]).mean() > 0.999  # halves may round either way


@pytest.mark.parametrize("length", [1, 2, 5])
def test_mirroring_far_beyond_the_ends(length):
    places = np.linspace(-13, 17, 61)
    expected = reflected(places, length) if length > 1 else np.zeros(61)
    fold(places, length)
    assert np.allclose(places, expected)


def test_spline_weights_sum_to_one_and_reproduce_lines():
    for cells in (1, 2, 4):
        weights = spline_weights(9, cells)
        assert weights.shape == (9, cells + 3)
        assert np.allclose(weights.sum(1), 1)
        assert np.allclose(weights @ np.arange(-1, cells + 2), np.linspace(0, cells, 9))


def test_whole_windows_are_copied_to_the_bit():
    warp = VolumeWarp(size=(4, 6, 14), matrix=np.eye(3), origin=(2.0, 3.0, -2.0))
    image, labels = warp.apply(VOLUME, LABELS)
    assert warp.moves_nothing
    columns = reflected(np.arange(-2, 12), 10).astype(int)
    assert np.array_equal(image, VOLUME[2:6, 3:9][:, :, columns])
    assert np.array_equal(labels, LABELS[2:6, 3:9][:, :, columns])
    assert warp.apply(VOLUME, None)[1] is None


def drawn(augment, size=SIZE, output=SIZE, index=0, **options):
    return augment.draw(size, output, sample_generator(3, 0, index), **options)


def test_flips_are_exact_and_each_axis_its_own():
    for axis in range(3):
        flip = tuple(float(k == axis) for k in range(3))
        warp, change = drawn(VolumeAugment(flip=flip))
        image, labels = warp.apply(VOLUME, LABELS)
        assert np.array_equal(image, np.flip(VOLUME, axis))
        assert np.array_equal(labels, np.flip(LABELS, axis))
        assert change == Photometric()


def test_patches_reach_every_place_and_no_further():
    starts = [drawn(VolumeAugment(), output=(4, 12, 16), index=k)[0].origin for k in range(200)]
    deep, high, wide = map(set, zip(*starts, strict=True))
    assert deep == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}
    assert high == {0.0}
    assert wide == {-3.0}  # larger than the volume: it lies in the middle
    valid = [drawn(VolumeAugment(), output=(7, 12, 10), context=(2, 0, 0), index=k)[0].origin[0] for k in range(200)]
    assert set(valid) == {-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0}


def test_turning_keeps_lengths_in_millimetres():
    spacing = np.array([2.0, 0.5, 1.0])
    warp, _ = drawn(VolumeAugment(rotate_degrees=(90, 60, 30)), spacing=tuple(spacing))
    in_mm = warp.matrix * spacing[:, None] / spacing
    assert np.allclose(in_mm @ in_mm.T, np.eye(3))
    assert not np.allclose(in_mm, np.eye(3), atol=0.1)
    larger, _ = drawn(VolumeAugment(scale=(2.0, 2.0)))
    assert np.allclose(larger.matrix, np.eye(3) / 2)
    middle = np.array(larger.origin) + larger.matrix @ ((np.array(SIZE) - 1) / 2)
    assert np.allclose(middle, (np.array(SIZE) - 1) / 2)


def test_draws_depend_on_seed_epoch_and_index_alone():
    augment = VOLUME_AUGMENTATIONS["volumes"]
    one, other = (augment.draw(SIZE, (4, 4, 4), sample_generator(1, 2, 3)) for _ in range(2))
    assert np.array_equal(one[0].positions(), other[0].positions())
    assert one[1] == other[1]
    image = [change_values(VOLUME, one[1], (-3.0, 3.0), sample_generator(1, 2, 3)) for _ in range(2)]
    assert np.array_equal(*image)
    assert image[0].shape == VOLUME.shape
    different = augment.draw(SIZE, (4, 4, 4), sample_generator(1, 3, 3))
    assert not np.array_equal(one[0].positions(), different[0].positions())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"flip": (0, 0, 2)}, "flip=(0, 0, 2). Expected probabilities from 0 to 1."),
        ({"rotate_degrees": (0, 0, 200)}, "rotate_degrees=(0, 0, 200). Expected 0 to 180."),
        ({"scale": (2.0, 1.0)}, "scale=(2.0, 1.0). Expected two positive numbers, in order."),
        ({"noise": -1}, "noise=-1. Expected a number that is not negative."),
        ({"elastic_cells": 0}, "elastic_cells=0. Expected at least 1."),
        ({"contrast": 1}, "contrast=1. Expected at least 0 and less than 1."),
        ({"gamma": 0.5}, "gamma=0.5. Expected at least 1."),
    ],
)
def test_impossible_magnitudes(fields, message):
    with pytest.raises(RecipeError) as caught:
        VolumeAugment(**fields)
    assert str(caught.value) == f"Augmentation of volumes: {message} Correct the value."


def test_an_unknown_augmentation_of_volumes():
    with pytest.raises(UsageError, match=r"Unknown augmentation of volumes 'cells'.*Did you mean cells3d\?"):
        VolumeAugment.named("cells")


def test_resampling_fills_the_same_box():
    assert size_at((10, 20, 30), (2.0, 1.0, 1.0), (1.0, 2.0, 1.0)) == (20, 10, 30)
    assert size_at((1, 3, 3), (1.0, 1.0, 1.0), (9.0, 1.0, 1.0)) == (1, 3, 3)
    ramp = np.broadcast_to(np.arange(12.0, dtype=np.float32)[:, None, None, None], (12, 2, 2, 1))
    finer = resize_volume(ramp, (24, 2, 2))[:, 0, 0, 0]
    assert np.allclose(finer, np.clip((np.arange(24) + 0.5) / 2 - 0.5, 0, 11))
    coarser = resize_volume(ramp, (5, 2, 2))[:, 0, 0, 0]
    edges = np.arange(6) * 12 / 5
    expected = [np.mean([np.floor(v) for v in np.linspace(a, b, 24001)[:-1]]) for a, b in pairwise(edges)]
    assert np.allclose(coarser, expected, atol=1e-3)
    assert resize_volume(VOLUME, SIZE) is not None
    assert np.array_equal(resize_volume(VOLUME, SIZE), VOLUME)
    assert np.array_equal(resize_labels(LABELS, (18, 12, 10)), np.repeat(LABELS, 2, axis=0))
    assert np.array_equal(resize_labels(LABELS, (3, 12, 10)), LABELS[1::3])
    assert resize_volume(ramp[:1], (4, 2, 2)).max() == 0


def test_levels_of_each_volume():
    frame = {"channels": 2, "low": 0.0, "high": 1.0, "mean": (0.0, 0.0), "std": (1.0, 1.0)}
    own = Preprocess(**frame, statistics="picture")
    raw = VOLUME * np.array([100.0, 1e6], np.float32) + 7
    levelled = own.levelled(raw)
    assert levelled.dtype == np.float32
    assert np.allclose(levelled.mean((0, 1, 2)), 0, atol=1e-5)
    assert np.allclose(levelled.std((0, 1, 2)), 1, atol=1e-5)
    assert np.array_equal(own.levelled(np.full((2, 2, 2, 1), 5.0, np.float32)), np.zeros((2, 2, 2, 1)))
    hot = raw.copy()
    hot[0, 0, 0] = 1e9
    clipped = Preprocess(**frame, statistics="picture", clip=(1.0, 99.0)).levelled(hot)
    assert np.abs(clipped).max() < 4 < own.levelled(hot).max()
    assert Preprocess(**frame).levelled(raw) is raw
    again = Preprocess.from_json(Preprocess(**frame, statistics="picture", clip=(1, 99), spacing=(1, 2, 3)).to_json())
    assert (again.statistics, again.clip, again.spacing) == ("picture", (1.0, 99.0), (1.0, 2.0, 3.0))
    older = {
        key: value
        for key, value in Preprocess(**frame).to_json().items()
        if key not in ("statistics", "clip", "spacing", "training_spacing")
    }
    assert Preprocess.from_json(older) == Preprocess(**frame)
    for wrong, message in (
        ({"clip": (1, 99)}, "two rising percentages, with statistics=picture"),
        ({"clip": (99, 1), "statistics": "picture"}, "two rising percentages"),
        ({"statistics": "own"}, "data_set, picture"),
        ({"spacing": (1, 1, 0)}, "three positive lengths in mm"),
        ({"training_spacing": (1, 1, 0)}, "training_spacing=.* three positive lengths in mm"),
    ):
        with pytest.raises(DataError, match=message):
            Preprocess(**frame, **wrong)
    with pytest.raises(DataError, match="1 numbers instead of 3"):
        Preprocess.from_json({**Preprocess(**frame).to_json(), "spacing": [1.0]})
