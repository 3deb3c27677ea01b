"""Crops that are aimed at the foreground, several of a picture, and pictures of which only windows are read."""

import itertools
import math

import numpy as np
import pytest
import tifffile

from pixelwise.data import mask_classes, reading, windows
from pixelwise.data.augment import AUGMENTATIONS, Augment
from pixelwise.data.dataset import Dataset
from pixelwise.data.draws import sample_generator
from pixelwise.data.foreground import MOST_POINTS, Aims, find_foreground
from pixelwise.data.indexing import look, merged
from pixelwise.data.loading import load_batches
from pixelwise.data.manifest import build_manifest
from pixelwise.data.measuring import measure_preprocess
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.reading import Glimpses, SampleReader
from pixelwise.data.volumes.augment import VOLUME_AUGMENTATIONS, VolumeAugment
from pixelwise.data.windows import WindowedArray
from pixelwise.errors import MaskError, UsageError

SIZE = (150, 170)


def pictures(root, *, kind="index", dtype=np.uint8, channels=3, count=3, tile=(32, 48)):
    """Pictures whose first channel tells the label: three classes, of which the last is a few pixels."""
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    if kind == "rgb":
        (root / "class_dict.csv").write_text("name,r,g,b\nground,0,0,0\nred,255,0,0\nblue,0,0,255\n")
    for k in range(count):
        labels = np.kron(rng.random((15, 17)) < 0.2, np.ones((10, 10))).astype(np.uint8)
        labels[rng.integers(0, SIZE[0], 9), rng.integers(0, SIZE[1], 9)] = 2
        image = rng.integers(0, 200, (*SIZE, channels)).astype(dtype)
        mask = labels
        if kind == "rgb":
            mask = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)[labels]
        tifffile.imwrite(
            root / "images" / f"{k}.tif", image if channels > 1 else image[..., 0], tile=tile,
            photometric="rgb" if channels == 3 else "minisblack",
        )  # fmt: skip
        tifffile.imwrite(
            root / "masks" / f"{k}.tif", mask, tile=(64, 16), photometric="rgb" if kind == "rgb" else "minisblack",
            compression="zlib",
        )  # fmt: skip
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = pictures(tmp_path_factory.mktemp("patches") / "set")
    return root, build_manifest(root, use_cache=False)


PLAIN = Preprocess(channels=3, low=0.0, high=255.0, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.2))


def make(data, *, augment="none", crop=(21, 25), seed=3, cache="none", preprocess=PLAIN, **more):
    chosen = Augment.named(augment) if isinstance(augment, str) else augment
    indices = np.arange(len(data[1]))
    return Dataset(data[1], data[0], indices, preprocess, augment=chosen, crop=crop, seed=seed, cache=cache, **more)


@pytest.fixture
def small_windows(monkeypatch):
    """Read every picture by window."""
    for module in (windows, reading, mask_classes):
        monkeypatch.setattr(module, "LARGE_PIXELS", 1000)
    monkeypatch.setattr(windows, "STRIP_PIXELS", 2000)


# --- where crops lie ------------------------------------------------------------------------------------------------


def test_crops_are_aimed_with_the_stated_probabilities(data):
    aims, reader = Aims(7, 0.6), SampleReader(*data)
    labels = reader.label_map(1)
    drawn = [aims.draw(labels, epoch, 1, patch) for epoch in range(500) for patch in range(8)]
    hits = [place for place in drawn if place is not None]
    assert len(hits) / len(drawn) == pytest.approx(0.6, abs=4 * math.sqrt(0.24 / len(drawn)))
    classes = np.array([labels[place] for place in hits])
    assert set(classes.tolist()) == {1, 2}
    assert (classes == 2).mean() == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(len(hits)))  # though it is rare
    of_rare = np.array([np.ravel_multi_index(place, labels.shape) for place in hits if labels[place] == 2])
    shown, counts = np.unique(of_rare, return_counts=True)
    assert len(shown) == (labels == 2).sum()
    expected = len(of_rare) / len(shown)
    assert ((counts - expected) ** 2 / expected).sum() < 3 * len(shown)  # chi-square


def test_pictures_without_foreground_are_not_aimed_at():
    labels = np.zeros((9, 9), np.uint8)
    labels[3, 3] = 255
    assert Aims(0, 1.0).draw(labels, 0, 0, 0) is None


def test_a_crop_shows_the_pixel_that_it_is_aimed_at_in_its_middle():
    labels = np.arange(40 * 60).reshape(40, 60).astype(np.float32)[..., None]
    for row, column in itertools.product((0, 7, 20, 39), (0, 3, 30, 59)):
        warp, _ = Augment().draw(40, 60, np.random.default_rng(0), (11, 15), towards=(row, column))
        top, left = int(warp.origin[0]), int(warp.origin[1])
        assert (top, left) == (min(max(row - 5, 0), 29), min(max(column - 7, 0), 45))
        cut, _ = warp.apply(labels, None)
        np.testing.assert_array_equal(cut[..., 0], labels[top : top + 11, left : left + 15, 0])


@pytest.mark.parametrize("name", ["em", "objects", "cells", "unet", "digits", "strings"])
def test_aimed_crops_hold_their_pixel_whatever_else_is_drawn(name):
    """A single white pixel of a mask must be seen, at the place where the warp says that it comes to lie."""
    augment = AUGMENTATIONS[name]
    for seed in range(40):
        rng = np.random.default_rng(seed)
        row, column = int(rng.integers(0, 90)), int(rng.integers(0, 70))
        warp, _ = augment.draw(90, 70, sample_generator(seed, 0, 0), (33, 35), towards=(row, column))
        affine = np.array(warp.matrix)
        place = np.linalg.solve(affine, np.array([row, column]) - warp.origin)
        assert (place >= -0.51).all()
        assert (place <= np.array([32, 34]) + 0.51).all()
        is_inside = 25 <= row <= 65 and 25 <= column <= 45
        if is_inside:
            np.testing.assert_allclose(place, (16, 17), atol=0.51)


def test_context_of_valid_convolutions_lies_around_what_is_aimed_at():
    for row in (0, 20, 39):
        warp, _ = Augment().draw(40, 40, np.random.default_rng(0), (21, 21), context=(6, 6), towards=(row, row))
        assert 6 <= row - warp.origin[0] <= 14
        assert warp.origin[0] == min(max(row - 10, -6), 25)


def test_patches_are_samples_of_their_own(data):
    patches = make(data, augment="cells", patches=4, foreground=0.5)
    assert len(patches) == 12
    assert patches.indices.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    images, labels, indices = patches.arrays(np.arange(12), 0)
    assert len({image.tobytes() for image in images}) == 12
    np.testing.assert_array_equal(indices, patches.indices)
    again = make(data, augment="cells", patches=4, foreground=0.5, cache="memory")
    for order in (np.arange(12)[::-1], np.array([5, 0, 11, 5])):
        other, other_labels, _ = again.arrays(order, 0)
        np.testing.assert_array_equal(other, images[order])
        np.testing.assert_array_equal(other_labels, labels[order])
    assert (patches.arrays(np.arange(12), 1)[0] != images).any()


def test_the_first_patch_is_what_a_single_crop_would_be(data):
    one, four = make(data, augment="cells"), make(data, augment="cells", patches=4)
    np.testing.assert_array_equal(one.arrays(np.arange(3), 2)[0], four.arrays(np.array([0, 4, 8]), 2)[0])


@pytest.mark.parametrize("count", [1, 2])
def test_workers_and_resumes_give_the_same_patches(data, count):
    options = {"batch_size": 5, "epoch": 1, "shuffle": True}
    alone = list(load_batches(make(data, augment="cells", patches=4, foreground=0.7), **options))
    for start, workers in ((0, count), (1, 0)):
        patches = make(data, augment="cells", patches=4, foreground=0.7)
        for batch, expected in zip(
            load_batches(patches, workers=workers, start_batch=start, **options), alone[start:], strict=True
        ):
            assert batch.images.equal(expected.images)
            assert batch.targets.equal(expected.targets)


def test_validation_patches_stay_where_they_are(data):
    held_out = make(data, augment=None, patches=5)
    first, later = held_out.arrays(np.arange(15), 0), held_out.arrays(np.arange(15), 9)
    np.testing.assert_array_equal(first[0], later[0])
    assert len({image.tobytes() for image in first[0]}) == 15
    image = SampleReader(*data).image(0)
    assert any(
        np.array_equal(first[0][0], image[top : top + 21, left : left + 25])
        for top, left in itertools.product(range(130), range(146))
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": (0, 3)}, "crop=(0, 3). Expected height and width of at least 1. Correct the crop."),
        (
            {"crop": None, "patches": 3},
            "patches=3 for whole pictures. Expected crops that can lie here or there. Set crop, for example --set "
            "crop=256, or leave patches out.",
        ),
        (
            {"crop": None, "foreground": 0.5},
            "foreground=0.5 for whole pictures. Expected crops that can lie here or there. Set crop, for example --set "
            "crop=256, or leave foreground out.",
        ),
        (
            {"augment": "imagenet", "foreground": 0.5},
            "foreground=0.5 with an augmentation that draws windows by their area. Expected masks, and crops of one "
            "size. Leave foreground out.",
        ),
    ],
)
def test_crops_that_cannot_be_placed_are_refused(data, options, message):
    with pytest.raises(UsageError) as caught:
        make(data, **options)
    assert str(caught.value) == message


# --- the sample of the foreground -----------------------------------------------------------------------------------


def test_foreground_of_strips_is_that_of_the_whole():
    labels = np.random.default_rng(0).integers(0, 4, (50, 70)).astype(np.uint8)
    labels[labels == 3] = 255
    whole = find_foreground([labels], labels.shape, np.random.default_rng(1))
    strips = find_foreground([labels[:13], labels[13:14], labels[14:]], labels.shape, np.random.default_rng(1))
    for label, one, other in zip((1, 2), whole.points, strips.points, strict=True):
        np.testing.assert_array_equal(one, np.flatnonzero(labels == label))
        np.testing.assert_array_equal(one, other)


def test_large_classes_are_sampled_uniformly():
    labels = np.ones((400, 500), np.uint8)
    strips = [labels[:10], labels[10:150], labels[150:]]
    counts = np.zeros(4)
    for seed in range(10):
        (points,) = find_foreground(strips, labels.shape, np.random.default_rng(seed)).points
        assert len(points) == len(set(points.tolist())) == MOST_POINTS
        counts += np.bincount(points * 4 // labels.size, minlength=4)
    np.testing.assert_allclose(counts, counts.sum() / 4, rtol=0.03)


# --- windows of large pictures --------------------------------------------------------------------------------------

WARPS = {
    "none": Augment(),
    "cells": Augment.named("cells"),
    "unet": Augment.named("unet"),
    "filled": Augment(rotate_degrees=30, scale=(0.4, 0.9), shift_px=60, border="fill"),
    "whole pixels beyond": Augment(shift_px=200, border="fill"),
    "mirrored": Augment(shift_px=70, quarter_turns=True, flip_vertical=0.5),
    "reduced": Augment(scale=(0.2, 0.45), rotate_degrees=10),
    "windows": Augment.named("photographs"),
    "centre": None,
}


@pytest.mark.parametrize("name", WARPS)
@pytest.mark.parametrize("foreground", [0.0, 0.8])
def test_windows_give_the_bits_of_the_whole(data, small_windows, monkeypatch, name, foreground):
    augment = WARPS[name]
    options = {"augment": augment, "foreground": 0.0 if name in ("windows", "centre") else foreground}
    windowed = make(data, patches=1 if augment is None else 3, **options)
    whole = make(data, patches=1 if augment is None else 3, **options)
    monkeypatch.setattr(whole._reader, "windowed", lambda *_: None)
    monkeypatch.setattr(windowed._reader, "image", lambda _: pytest.fail("a whole picture was read"))
    positions = np.arange(len(whole))
    for epoch in range(3):
        for part, other in zip(windowed.arrays(positions, epoch), whole.arrays(positions, epoch), strict=True):
            np.testing.assert_array_equal(part, other)


@pytest.mark.parametrize("form", [{"kind": "rgb"}, {"dtype": np.uint16}, {"channels": 1}])
def test_masks_in_colours_deep_and_grey_pictures_are_read_by_window(tmp_path, small_windows, monkeypatch, form):
    root = pictures(tmp_path / "set", **form, count=2)
    manifest = build_manifest(root, use_cache=False)
    windowed, whole = (make((root, manifest), patches=4) for _ in range(2))
    monkeypatch.setattr(whole._reader, "windowed", lambda *_: None)
    for part, other in zip(windowed.arrays(np.arange(8), 0), whole.arrays(np.arange(8), 0), strict=True):
        np.testing.assert_array_equal(part, other)


def test_a_folder_of_large_masks_is_indexed_as_one_of_small_ones(data, small_windows):
    manifest = build_manifest(data[0], use_cache=False)
    assert manifest.mask_reading == data[1].mask_reading
    assert manifest.digest() == data[1].digest()


def test_what_parts_of_a_mask_store_adds_up():
    rng = np.random.default_rng(0)
    for values in (
        rng.integers(0, 9, (30, 20)).astype(np.uint8),
        rng.integers(0, 3, (30, 20, 3)).astype(np.uint8) * 80,
    ):
        values[:10] = 0
        whole, parts = (
            look(values, palette=False),
            merged([look(values[k : k + 10], palette=False) for k in (0, 10, 20)]),
        )
        assert (parts.coloured, parts.complete) == (whole.coloured, whole.complete)
        np.testing.assert_array_equal(parts.values, whole.values)
        np.testing.assert_array_equal(parts.counts, whole.counts)


def test_large_pictures_are_measured_by_glimpses(data, small_windows, monkeypatch):
    reader = SampleReader(*data)
    monkeypatch.setattr(windows, "GLIMPSE_PX", 10)
    glimpsed = Glimpses(reader).image(0)
    assert glimpsed.shape == (8 * 8 * 10, 10, 3)
    picture = reader.image(0)
    tops, lefts = np.linspace(0, 140, 8).astype(int), np.linspace(0, 160, 8).astype(int)
    for k, (top, left) in enumerate(itertools.product(tops, lefts)):
        np.testing.assert_array_equal(glimpsed[10 * k : 10 * k + 10], picture[top : top + 10, left : left + 10])
    measured = measure_preprocess(Glimpses(reader), [0, 1, 2], channels=3)
    exact = measure_preprocess(reader, [0, 1, 2], channels=3)
    np.testing.assert_allclose(measured.mean, exact.mean, atol=0.01)


def test_windows_are_cut_as_arrays_are():
    array = np.arange(6 * 7 * 2).reshape(6, 7, 2)
    windowed = WindowedArray(array.shape, array.dtype, lambda rows, columns: array[rows, columns])
    assert windowed.ndim == 3
    for rows, columns in ((slice(1, 4), slice(None)), (slice(5, 99), slice(2, 3)), (slice(4, 2), slice(0, 3))):
        np.testing.assert_array_equal(windowed[rows, columns], array[rows, columns])
    np.testing.assert_array_equal(np.concatenate(list(windowed.strips())), array)


def test_a_lossy_mask_is_refused_by_window_too(tmp_path, small_windows):
    root = pictures(tmp_path / "set", count=2)
    labels = np.zeros((*SIZE, 3), np.uint8)
    tifffile.imwrite(root / "masks" / "1.tif", labels, tile=(64, 16), compression="jpeg", photometric="rgb")
    with pytest.raises(MaskError, match=r"1\.tif is a lossy TIFF: its values are not those that were drawn"):
        windows.open_mask_windows(root / "masks" / "1.tif")


# --- volumes --------------------------------------------------------------------------------------------------------


def test_patches_of_volumes_show_the_voxel_that_they_are_aimed_at():
    labels = np.arange(12 * 20 * 24).reshape(12, 20, 24)
    for place in itertools.product((0, 5, 11), (0, 10, 19), (0, 12, 23)):
        warp, _ = VolumeAugment().draw(labels.shape, (5, 7, 9), np.random.default_rng(0), towards=place)
        starts = [
            min(max(at - side // 2, 0), length - side)
            for at, side, length in zip(place, (5, 7, 9), labels.shape, strict=True)
        ]
        assert warp.origin == tuple(starts)


@pytest.mark.parametrize("name", VOLUME_AUGMENTATIONS)
@pytest.mark.parametrize("context", [(0, 0, 0), (2, 3, 3)])
def test_aimed_patches_hold_their_voxel_whatever_else_is_drawn(name, context):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        place = rng.integers(0, (20, 40, 40))
        warp, _ = VOLUME_AUGMENTATIONS[name].draw(
            (20, 40, 40), (9, 17, 17), rng, context=context, spacing=(3.0, 1.0, 1.0), towards=tuple(place.tolist())
        )
        seen = np.linalg.solve(warp.matrix, place - np.array(warp.origin))
        assert (seen >= np.array(context) - 1.01).all()
        assert (seen <= np.array((8, 16, 16)) - context + 1.01).all()
