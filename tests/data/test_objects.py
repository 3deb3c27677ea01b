"""Numbered objects: from masks of every kind, through one warp together with their classes and weights."""

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelwise.data import samples
from pixelwise.data.augment import Augment
from pixelwise.data.dataset import Dataset
from pixelwise.data.label_planes import CLASS, OBJECT, WEIGHT, join_planes
from pixelwise.data.manifest import build_manifest
from pixelwise.data.mask_reading import MaskReading
from pixelwise.data.objects import MOST_OBJECTS, read_objects
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.reading import SampleReader
from pixelwise.data.weight_map import separate_touching, weight_map
from pixelwise.errors import DataError, MaskError

GREY = Preprocess(channels=1, low=0, high=255, mean=(0.5,), std=(0.2,))


def folder(root: Path, masks: list[np.ndarray]) -> Path:
    """Pictures and masks of these values: 8 bits as PNG, wider ones as TIFF."""
    for kind in ("images", "masks"):
        (root / kind).mkdir()
    rng = np.random.default_rng(0)
    for number, mask in enumerate(masks):
        Image.fromarray(rng.integers(0, 255, mask.shape, np.uint8)).save(root / "images" / f"{number}.png")
        if mask.dtype == np.uint8:
            Image.fromarray(mask).save(root / "masks" / f"{number}.png")
        else:
            tifffile.imwrite(root / "masks" / f"{number}.tif", mask)
    return root


def index(root: Path, **options):
    return build_manifest(root, task="instances", use_cache=False, **options)


def test_numbers_are_objects_and_gaps_are_closed():
    values = np.array([[0, 900, 900], [4, 0, 70_000]])
    assert read_objects(values, MaskReading("instance", 2, None), "m").tolist() == [[0, 2, 2], [1, 0, 3]]
    assert read_objects(values + 1, MaskReading("instance", 2, None), "m").max() == 4  # no background at all


def test_of_classes_the_pieces_are_objects():
    values = np.array([[1, 1, 0, 2], [0, 0, 0, 2], [1, 255, 0, 1]])
    objects = read_objects(values, MaskReading("index", 3), "m")
    assert len(np.unique(objects)) == 5
    assert objects[2, 1] == 0
    assert objects[0, 3] == objects[1, 3] != objects[0, 0]


def test_more_objects_than_16_bits_number_are_told_apart():
    values = np.arange(70_225, dtype=np.uint32)[None] * 3
    objects = read_objects(values, MaskReading("instance", 2, None), "m.tif")
    assert np.array_equal(objects[0], np.arange(70_225))
    assert np.array_equal(join_planes((objects > 0).astype(np.uint8), None, objects)[..., OBJECT], objects)
    assert np.float32(MOST_OBJECTS) != np.float32(MOST_OBJECTS - 1)


def test_more_objects_than_training_tells_apart_are_refused(monkeypatch):
    monkeypatch.setattr("pixelwise.data.objects.MOST_OBJECTS", 65_535)
    values = np.arange(65_537, dtype=np.int64)[None]
    with pytest.raises(MaskError) as refusal:
        read_objects(values, MaskReading("instance", 2, None), "m.tif")
    assert str(refusal.value) == (
        "m.tif holds 65,536 objects. Expected at most 65,535, as many as are told apart in training. "
        "Cut the picture and its mask into smaller ones."
    )
    dots = np.zeros((520, 520), np.uint8)
    dots[::2, ::2] = 255
    with pytest.raises(MaskError, match=re.escape("Check that the mask holds classes (--mask-kind)")):
        read_objects(dots, MaskReading("binary255", 2, None), "m.png")


def test_values_that_could_be_classes_are_taken_for_objects(tmp_path):
    first, second = np.zeros((2, 8, 9), np.uint8)
    first[1:4, 1:4], first[1:4, 4:7], second[5:7, 2:5] = 1, 2, 1
    manifest = index(folder(tmp_path, [first, second]))
    assert manifest.classes == ("background", "object")
    assert manifest.mask_reading.kind == "instance"
    assert any(note.startswith("Every value of the masks but 0 is taken for the number") for note in manifest.notes)
    reader = SampleReader(tmp_path, manifest)
    assert np.array_equal(reader.objects(0), first)
    assert np.array_equal(reader.label_map(0), first > 0)
    told = index(tmp_path, mask_kind="index", classes=("none", "a", "b"))
    assert told.classes == ("none", "a", "b")
    assert SampleReader(tmp_path, told).objects(0).max() == 2
    assert build_manifest(tmp_path, use_cache=False).task == "segmentation"  # of its own accord: classes


def test_masks_of_two_values_give_their_pieces_and_say_so(tmp_path):
    mask = np.zeros((8, 9), np.uint8)
    mask[1:4, 1:4] = mask[5:7, 5:8] = 255
    manifest = index(folder(tmp_path, [mask]))
    assert manifest.mask_reading.kind == "binary255"
    assert any(note.endswith("those that touch count as one.") for note in manifest.notes)
    assert SampleReader(tmp_path, manifest).objects(0).max() == 2


def test_masks_without_any_object_are_refused(tmp_path):
    folder(tmp_path, [np.zeros((4, 4), np.uint8)] * 2)
    with pytest.raises(DataError) as refusal:
        index(tmp_path, mask_kind="instance")
    assert str(refusal.value) == (
        f"{tmp_path}: none of its 2 masks shows an object. Expected masks in which every object has a number of its "
        "own, and the background is 0. Check the masks."
    )


def test_a_table_of_masks_serves_both_aims(tmp_path):
    mask = np.zeros((8, 9), np.uint16)
    mask[1:4, 1:4], mask[1:4, 4:7] = 300, 301
    folder(tmp_path, [mask])
    (tmp_path / "all.csv").write_text("path,mask\nimages/0.png,masks/0.tif\n")
    assert index(tmp_path, layout="table").task == "instances"
    assert build_manifest(tmp_path, layout="table", use_cache=False).task == "segmentation"


@pytest.fixture(scope="module")
def nuclei(tmp_path_factory) -> Path:
    _, labels = samples.nuclei()
    root = tmp_path_factory.mktemp("nuclei")
    return folder(root, [labels[416:512, 50:130].astype(np.uint16), labels[200:296, 100:180].astype(np.uint16)])


def dataset(root: Path, **options) -> Dataset:
    settings = {"augment": None, "crop": None, "seed": 0, "preprocess": GREY, **options}
    preprocess = settings.pop("preprocess")
    return Dataset(index(root), root, np.arange(2), preprocess, **settings)


def test_planes_hold_class_weight_and_object(nuclei):
    data = dataset(nuclei, is_weighed=True)
    images, targets, _ = data.arrays(np.arange(2), 0)
    assert (images.shape, targets.shape, targets.dtype) == ((2, 96, 80, 1), (2, 3, 96, 80), np.float32)
    objects = data._reader.objects(0)
    apart = separate_touching(objects)
    assert (apart != objects).any()  # the weights are those with background between touching objects
    assert np.array_equal(targets[0, OBJECT], objects)
    assert np.array_equal(targets[0, CLASS], objects > 0)
    np.testing.assert_array_equal(targets[0, WEIGHT], weight_map(apart, label_map=(apart > 0).astype(np.uint8)))
    plain = dataset(nuclei).arrays(np.arange(2), 0)[1]
    assert (plain[:, WEIGHT] == 1).all()
    assert np.array_equal(plain[:, [CLASS, OBJECT]], targets[:, [CLASS, OBJECT]])
    uncached = dataset(nuclei, is_weighed=True, cache="none")
    assert np.array_equal(uncached.arrays(np.arange(2), 0)[1], targets)
    assert not uncached.cached
    assert data.sample_bytes == 96 * 80 * (1 + 12)


@pytest.mark.parametrize("name", ["cells", "unet", "em"])
def test_one_warp_keeps_numbers_classes_and_weights_together(nuclei, name):
    data = dataset(nuclei, is_weighed=True, augment=Augment.named(name), crop=(64, 64))
    flat = dataset(nuclei, augment=Augment.named(name), crop=(64, 64))
    for epoch in range(4):
        _, targets, _ = data.arrays(np.arange(2), epoch)
        known = [set(np.unique(data._reader.objects(place))) for place in range(2)]
        for place in range(2):
            classes, weights, objects = targets[place]
            assert set(np.unique(objects)) <= known[place]  # no number is invented
            assert np.array_equal(classes, objects > 0)
            assert weights.min() > 0
        whole = flat.arrays(np.arange(2), epoch)[1][:, OBJECT]
        kept = targets[:, OBJECT] > 0
        assert np.array_equal(whole[kept], targets[:, OBJECT][kept])


def test_exact_transforms_move_planes_to_the_bit(nuclei):
    data = dataset(nuclei, is_weighed=True, augment=Augment(flip_horizontal=1.0))
    plain = dataset(nuclei, is_weighed=True)
    assert np.array_equal(data.arrays(np.arange(2), 0)[1], plain.arrays(np.arange(2), 0)[1][..., ::-1])


def test_windows_and_filled_borders_warp_planes(nuclei):
    window = dataset(nuclei, is_weighed=True, augment=Augment(area=(0.3, 0.6)), crop=(40, 40))
    classes, weights, objects = window.arrays(np.arange(1), 1)[1][0]
    assert np.array_equal(classes, objects > 0)
    assert weights.max() > 1
    filled = dataset(nuclei, is_weighed=True, augment=Augment(rotate_degrees=90, border="fill"), crop=(96, 96))
    classes, weights, objects = filled.arrays(np.arange(1), 2)[1][0]
    outside = classes == 255
    assert outside.any()
    assert (objects[outside] == 0).all()
    assert (weights[classes < 255] > 0).mean() > 0.99


def test_padding_is_ignored_and_resizing_keeps_numbers(nuclei):
    padded = Preprocess(channels=1, low=0, high=255, mean=(0.5,), std=(0.2,), resize="pad", size=(48, 64))
    data = dataset(nuclei, is_weighed=True, preprocess=padded)
    classes, weights, objects = data.arrays(np.arange(1), 0)[1][0]
    outside = classes == 255
    assert outside.any()
    assert (weights[outside] == 0).all()
    assert (objects[outside] == 0).all()
    assert set(np.unique(objects)) <= set(np.unique(data._reader.objects(0)))


def test_ignored_pixels_have_no_object():
    classes = np.array([[1, 255]], np.uint8)
    assert join_planes(classes, None, np.array([[4, 4]], np.int32)).tolist() == [[[1, 1, 4], [255, 1, 0]]]
