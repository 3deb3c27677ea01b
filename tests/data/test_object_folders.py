"""A folder of masks for each picture, one file an object: found, checked, read as numbered objects."""

import cv2
import numpy as np
import pytest

import pixelwise as pw
from pixelwise.data.check import check_data
from pixelwise.data.manifest import build_manifest
from pixelwise.data.object_folders import read_object_folder
from pixelwise.data.reading import SampleReader
from pixelwise.errors import DataError, MaskError

SIZE = (24, 30)


def objects(seed):
    """Three to five blocks, two of which touch."""
    labels = np.zeros(SIZE, np.int32)
    labels[2:9, 3:9], labels[2:9, 9:15], labels[14 : 16 + seed, 4:11] = 1, 2, 3
    for extra in range(seed % 3):
        labels[20:23, 14 + 5 * extra : 17 + 5 * extra] = 4 + extra
    return labels


def write(root, form, count=12, splits=("",)):
    rng = np.random.default_rng(0)
    for split in splits:
        for number in range(count):
            labels, name = objects(number % 4), f"cell{number}"
            at = root / split
            image, masks = (
                (at / name / "images", at / name / "masks")
                if form == "nested"
                else (at / "images", at / "masks" / name)
            )
            image.mkdir(parents=True, exist_ok=True)
            masks.mkdir(parents=True)
            cv2.imwrite(str(image / f"{name}.png"), rng.integers(0, 256, SIZE, dtype=np.uint8))
            for value in range(1, labels.max() + 1):
                cv2.imwrite(str(masks / f"hash{value}.png"), np.where(labels == value, 255, 0).astype(np.uint8))
    return root


@pytest.mark.parametrize("form", ["nested", "beside"])
@pytest.mark.parametrize("splits", [("",), ("train", "val", "test")], ids=str)
def test_both_forms_are_found_and_read(tmp_path, form, splits):
    write(tmp_path, form, splits=splits)
    manifest = build_manifest(tmp_path, use_cache=False)
    assert (manifest.layout, manifest.task, len(manifest)) == ("object-masks", "instances", 12 * len(splits))
    assert set(manifest.column("split").tolist()) == ({0} if splits == ("",) else {1, 2, 3})
    reader = SampleReader(tmp_path, manifest)
    for index in range(len(manifest)):
        number = int(manifest.paths[index].rpartition("cell")[2].removesuffix(".png"))
        np.testing.assert_array_equal(reader.objects(index), objects(number % 4))
        np.testing.assert_array_equal(reader.label_map(index), objects(number % 4) > 0)


def test_they_serve_segmentation_and_detection_and_the_check_is_content(tmp_path):
    write(tmp_path, "nested", count=30)
    for task in ("segmentation", "detection"):
        assert build_manifest(tmp_path, task=task, use_cache=False).task == task
    found = {one.code: one for one in check_data(tmp_path).findings}
    assert not [one for one in found.values() if one.severity == "error"]
    assert found["objects"].message.startswith(f"{sum(objects(n % 4).max() for n in range(30))} objects in 30 pictures")
    assert not {"left-aside", "misnamed"} & set(found)


def test_a_run_trains_and_is_scored(tmp_path):
    write(tmp_path / "data", "beside")
    settings = {"epochs": "1", "widths": "4,8", "augment": "none"}
    run = pw.train(tmp_path / "data", "unet16", out=tmp_path / "run", settings=settings, quiet=True, should_check=False)
    assert run.manifest.layout == "object-masks"
    assert run.manifest.task == "instances"
    (tmp_path / "data" / "masks" / "cell3" / "hash1.png").unlink()
    with pytest.raises(DataError, match="masks/cell3 has changed since it was indexed"):
        SampleReader(tmp_path / "data", run.manifest).objects(3)


def test_masks_that_overlap_or_differ_in_size_are_named(tmp_path):
    write(tmp_path, "nested", count=3)
    folder = tmp_path / "cell1" / "masks"
    wide = np.zeros(SIZE, np.uint8)
    wide[5:8, 7:12] = 255
    cv2.imwrite(str(folder / "hash9.png"), wide)
    with pytest.raises(MaskError) as refusal:
        read_object_folder(folder)
    assert str(refusal.value) == (
        f"{folder}: hash9.png and hash2.png overlap in 9 pixels. Expected masks that do not overlap, as a pixel "
        "belongs to one object. Correct one of them, or remove the one that was drawn twice."
    )
    cv2.imwrite(str(folder / "hash9.png"), wide[:-1])
    with pytest.raises(MaskError, match=r"hash9.png has 23 x 30 pixels. Expected 24 x 30, as hash1.png"):
        read_object_folder(folder)
    found = {one.code: one for one in check_data(tmp_path).findings if one.severity == "error"}
    assert list(found) == ["unfit-objects"]
    assert "cell1/masks: hash9.png has 23 x 30 pixels" in found["unfit-objects"].message.replace(" (", ": ")


def test_pictures_without_masks_and_masks_without_pictures_are_faults(tmp_path):
    write(tmp_path, "nested", count=4)
    for file in (tmp_path / "cell2" / "masks").iterdir():
        file.unlink()
    (tmp_path / "cell3" / "images" / "cell3.png").unlink()
    with pytest.raises(DataError) as refusal:
        build_manifest(tmp_path, use_cache=False)
    assert "cell2/images/cell2.png (an image without mask)" in str(refusal.value)
    assert "cell3/masks (masks of objects without image)" in str(refusal.value)


def test_pairs_of_pictures_and_masks_are_still_pairs(tmp_path):
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (tmp_path / split / kind).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / split / kind / "a.png"), objects(1).astype(np.uint8))
    assert build_manifest(tmp_path, use_cache=False, mask_kind="instance").layout == "images-and-masks"
