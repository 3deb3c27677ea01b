"""Crops of large pictures with numbered objects, read by window, are those of the whole picture."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from pixelwise.data import samples
from pixelwise.data.augment import Augment
from pixelwise.data.dataset import Dataset
from pixelwise.data.label_planes import CLASS, OBJECT, WEIGHT, join_planes
from pixelwise.data.manifest import build_manifest
from pixelwise.data.mask_reading import MaskReading, apply_reading
from pixelwise.data.object_windows import REACH_PX, ObjectPlanes
from pixelwise.data.objects import read_objects
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.reading import SampleReader
from pixelwise.data.weight_map import separating_weights
from pixelwise.data.windows import WindowedArray
from pixelwise.evaluation.instance_completion import _answers, _middle

GREY = Preprocess(channels=1, low=0, high=255, mean=(0.5,), std=(0.25,))


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    image, labels = samples.nuclei()
    root = tmp_path_factory.mktemp("slide")
    for folder, values in (("images", image), ("masks", np.where(labels > 0, labels.astype(np.uint32) * 1000, 0))):
        (root / folder).mkdir()
        tifffile.imwrite(root / folder / "a.tif", values, tile=(64, 64))
    return root


def crops(root, *, is_large, monkeypatch, **options):
    if is_large:
        for module in ("reading", "windows"):
            monkeypatch.setattr(f"pixelwise.data.{module}.LARGE_PIXELS", 1000)
    manifest = build_manifest(root, task="instances", mask_kind="instance", use_cache=False)
    settings = {"augment": Augment.named("cells"), "crop": (96, 80), "seed": 3, "patches": 8, **options}
    data = Dataset(manifest, root, np.arange(1), GREY, **settings)
    assert data.cached is not is_large
    return data.arrays(np.arange(8), 1)[:2]


@pytest.mark.parametrize("options", [{"is_weighed": True}, {}, {"foreground": 1.0}, {"augment": Augment()}], ids=str)
def test_windows_show_what_the_whole_picture_does(slide, monkeypatch, options):
    images, whole = crops(slide, is_large=False, monkeypatch=monkeypatch, **options)
    seen, planes = crops(slide, is_large=True, monkeypatch=monkeypatch, **options)
    np.testing.assert_array_equal(seen, images)
    np.testing.assert_array_equal(planes[:, CLASS], whole[:, CLASS])
    np.testing.assert_allclose(planes[:, WEIGHT], whole[:, WEIGHT], atol=2e-5)
    assert bool(whole[:, WEIGHT].max() > 5) is ("is_weighed" in options)
    for ours, theirs in zip(planes[:, OBJECT], whole[:, OBJECT], strict=True):  # the same objects, other numbers
        pairs = np.unique(np.stack([ours.ravel(), theirs.ravel()]), axis=1)
        assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]
        np.testing.assert_array_equal(ours > 0, theirs > 0)


@pytest.mark.parametrize("rows", [1, 3, 8, 50])
def test_classes_are_counted_in_strips_as_in_the_whole_mask(rows, monkeypatch):
    """Objects that touch across a strip's edge are drawn apart as well."""
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(0, 40, (9, 8)), np.ones((11, 12))).astype(np.int32)
    mask = np.where(rng.random(blocks.shape) < 0.97, blocks, 0)  # 99 x 96
    reading = MaskReading("instance", 2)
    stored = WindowedArray(mask.shape, mask.dtype, lambda down, across: mask[down, across])
    monkeypatch.setattr("pixelwise.data.object_windows._STRIP_PX", rows * mask.shape[1])
    seen = ObjectPlanes(stored, reading, "mask", is_weighed=True).windows()[20:70, 10:60]
    classes, objects = apply_reading(mask, reading, "mask"), read_objects(mask, reading, "mask")
    whole = join_planes(classes, separating_weights(objects, classes), objects)[20:70, 10:60]
    np.testing.assert_array_equal(seen[..., CLASS], whole[..., CLASS])
    np.testing.assert_allclose(seen[..., WEIGHT], whole[..., WEIGHT], atol=2e-5)


def test_no_more_is_read_than_the_crop_and_what_decides_about_it(slide, monkeypatch):
    for module in ("reading", "windows"):
        monkeypatch.setattr(f"pixelwise.data.{module}.LARGE_PIXELS", 1000)
    manifest = build_manifest(slide, task="instances", mask_kind="instance", use_cache=False)
    data = Dataset(manifest, slide, np.arange(1), GREY, augment=Augment(), crop=(32, 40), seed=0, is_weighed=True)
    planes = data._windowed(0)[1]
    stored, sizes = planes.read.__self__.stored, []
    assert planes[0:8, 0:8].shape == (8, 8, 3)  # weights of the classes are counted
    whole = stored.read

    def read(rows, columns):
        sizes.append((rows.stop - rows.start, columns.stop - columns.start))
        return whole(rows, columns)

    object.__setattr__(stored, "read", read)
    data.arrays(np.arange(1), 0)
    assert sizes
    assert all(height <= 32 + 2 * REACH_PX for height, _ in sizes)
    assert all(width <= 40 + 2 * REACH_PX for _, width in sizes)


def test_steps_are_chosen_on_the_middle_of_large_pictures(slide, monkeypatch):
    for module in ("reading", "windows"):
        monkeypatch.setattr(f"pixelwise.data.{module}.LARGE_PIXELS", 1000)
    monkeypatch.setattr("pixelwise.evaluation.instance_completion.MIDDLE_PX", 60)
    manifest = build_manifest(slide, task="instances", mask_kind="instance", use_cache=False)
    reader = SampleReader(slide, manifest)
    asked = []

    class Seen:
        model = SimpleNamespace(preprocess=GREY)

        def predict(self, image, *, probabilities):
            asked.append((image, probabilities))
            raise KeyboardInterrupt

    work = SimpleNamespace(
        manifest=manifest, reader=reader, predictor=Seen(), order=np.arange(2), indices=np.arange(1), should_stop=int
    )
    with pytest.raises(KeyboardInterrupt):
        next(_answers(work))
    height, width = manifest.size(0)
    down, across = (slice(side // 2 - 30, side // 2 + 30) for side in (height, width))
    np.testing.assert_array_equal(asked[0][0], reader.image(0)[down, across])
    _, classes, objects = _middle(work, 0)
    np.testing.assert_array_equal(classes, reader.label_map(0)[down, across])
    pairs = np.unique(np.stack([objects.ravel(), reader.objects(0)[down, across].ravel()]), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1] > 2
    Seen.model.preprocess = dataclasses.replace(GREY, resize="stretch", size=(64, 64))
    assert _middle(work, 0) is None  # resized, a part would look larger than the whole


def test_connected_pieces_are_known_from_the_whole_mask_alone(tmp_path, monkeypatch):
    image, labels = samples.nuclei()
    for folder, values in (("images", image), ("masks", np.where(labels > 0, 255, 0).astype(np.uint8))):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "a.tif", values, tile=(64, 64))
    for module in ("reading", "windows"):
        monkeypatch.setattr(f"pixelwise.data.{module}.LARGE_PIXELS", 1000)
    manifest = build_manifest(tmp_path, task="instances", mask_kind="binary255", use_cache=False)
    data = Dataset(manifest, tmp_path, np.arange(1), GREY, augment=Augment(), crop=(32, 40), seed=0)
    assert data._windowed(0) is None
    assert data.cached
