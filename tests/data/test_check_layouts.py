"""What the data doctor says of splits that will be cut, and of folders that can be read in two ways."""

from pathlib import Path

import numpy as np
import pytest
from data_folders import classes_folder, examine, found, pairs_folder
from small_sets import stack

from pixelwise.data.manifest import build_manifest
from pixelwise.data.split import split_manifest


def slices(root: Path, prefix: str = "", count: int = 30) -> Path:
    rng = np.random.default_rng(len(prefix))
    stack(root / f"{prefix}volume.tif", rng.integers(0, 256, (count, 32, 32), np.uint8))
    stack(root / f"{prefix}labels.tif", np.where(rng.random((count, 32, 32)) > 0.5, 255, 0).astype(np.uint8))
    return root


def parts(root: Path) -> list[str]:
    return [sample.split for sample in split_manifest(build_manifest(root, use_cache=False))]


def test_a_stack_of_training_slices_leaves_no_test_split(tmp_path: Path) -> None:
    slices(tmp_path, "train-")
    finding = found(examine(tmp_path))["no-test-split"]
    assert finding.severity == "warning"
    assert finding.message == (
        "Every image is in train: training will take the end of each stack, a ninth of its slices, for validation, and "
        "scores will be those on it, by which training also chooses the best weights."
    )
    assert finding.fix == (
        "Add a test stack (test-volume.tif and test-labels.tif), or take 'train' out of the names (volume.tif and "
        "labels.tif): then a test block is cut from the stack too"
    )
    assert parts(tmp_path) == ["train"] * 27 + ["val"] * 3


def test_an_undivided_stack_is_cut_into_blocks(tmp_path: Path) -> None:
    slices(tmp_path)
    by_code = found(examine(tmp_path))
    assert "no-test-split" not in by_code
    assert by_code["no-splits"].fix == (
        "Nothing must be done: training cuts each stack into contiguous blocks, 80 % train, 10 % val, 10 % test, in "
        "this order"
    )
    assert parts(tmp_path) == ["train"] * 24 + ["val"] * 3 + ["test"] * 3


def test_many_stacks_are_divided_as_wholes(tmp_path: Path) -> None:
    for number in range(12):
        slices(tmp_path, f"em{'x' * number}_", count=2)
    assert found(examine(tmp_path))["no-splits"].fix == (
        "Nothing must be done: training divides whole stacks 80 : 10 : 10, seeded; group pictures of one source "
        "(--group-by)"
    )


def test_pictures_without_a_test_split(tmp_path: Path) -> None:
    classes_folder(tmp_path / "train", {"cat": 12, "dog": 12})
    finding = found(examine(tmp_path))["no-test-split"]
    assert finding.message.startswith(
        "Every image is in train: training will take a ninth of the training images, seeded"
    )
    assert finding.fix == "Add a test split, or name no split at all: then training divides the data 80 : 10 : 10"
    classes_folder(tmp_path / "val", {"cat": 3, "dog": 3}, seed=500)
    assert found(examine(tmp_path))["no-test-split"].message == (
        "No test split is given: scores will be those on val, by which training also chooses the best weights."
    )
    classes_folder(tmp_path / "test", {"cat": 3, "dog": 3}, seed=900)
    assert "no-test-split" not in found(examine(tmp_path))


@pytest.fixture
def both(tmp_path: Path) -> Path:
    classes_folder(tmp_path, {"cat": 12, "dog": 11})
    return pairs_folder(tmp_path)


def test_class_folders_beside_images_and_masks_are_mentioned(both: Path) -> None:
    report = examine(both)
    assert (report.layout, report.num_samples) == ("images-and-masks", 20)
    assert report.notes[0] == (
        "Folders that could be classes lie beside images and masks (cat, dog; 23 pictures): left out. "
        'layout="class-folders" (--layout class-folders) reads these instead.'
    )


@pytest.mark.parametrize("options", [{"layout": "class-folders"}, {"task": "classification"}])
def test_either_can_be_chosen(both: Path, options: dict[str, str]) -> None:
    report = examine(both, **options)
    assert (report.layout, report.class_counts) == ("class-folders", {"cat": 12, "dog": 11})
    assert report.notes[0] == (
        "Folders of images and masks lie beside the class folders (40 pictures): left out. "
        'layout="images-and-masks" (--layout images-and-masks) reads these instead.'
    )
    assert not report.has_errors


def test_classes_may_be_called_images_and_masks(tmp_path: Path) -> None:
    classes_folder(tmp_path, {"images": 3, "masks": 4})
    manifest = build_manifest(tmp_path, layout="class-folders", use_cache=False)
    assert manifest.classes == ("images", "masks")
