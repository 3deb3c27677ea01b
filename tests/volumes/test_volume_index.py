"""Indexing and checking folders of volumes."""

import os
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile
from volume_folders import AFFINE, blobs, nifti_folder, save_nifti, stack_folder

from pixelwise.data.check import check_data
from pixelwise.data.manifest import Manifest, build_manifest
from pixelwise.data.reading import SampleReader
from pixelwise.data.samples.volumes import write_volumes
from pixelwise.errors import DataError

SIZES = [(10, 12, 14), (10, 12, 14), (12, 12, 10), (9, 12, 14)]


def test_pairs_of_nifti_files_are_volumes(tmp_path: Path) -> None:
    root = nifti_folder(tmp_path / "d", SIZES)
    manifest = build_manifest(root, cache_folder=tmp_path / "cache")
    assert (manifest.task, manifest.layout, manifest.classes) == (
        "volumes", "images-and-masks", ("background", "class_1", "class_2"),
    )  # fmt: skip
    assert manifest.sizes().tolist() == [list(size) for size in SIZES]
    assert manifest[0].spacing == (2.0, 1.0, 1.0)
    assert manifest[0].depth == 10
    assert "4 volumes with labels of 3 classes, 9 x 12 x 10 to 12 x 12 x 14 voxels, 2 x 1 x 1 mm" in manifest.describe()
    reader = SampleReader(root, manifest)
    image, labels = blobs(SIZES[1], 1)
    assert np.array_equal(reader.image(1)[..., 0], image)
    assert np.array_equal(reader.label_map(1), labels)
    manifest.save(tmp_path / "m")
    assert Manifest.load(tmp_path / "m").digest() == manifest.digest()
    assert Manifest.load(tmp_path / "m").spacing(3) == (2.0, 1.0, 1.0)
    again = build_manifest(root, cache_folder=tmp_path / "cache")
    assert again.digest() == manifest.digest()
    assert np.array_equal(again.column("depth"), manifest.column("depth"))


def test_the_cache_keeps_where_volumes_lie(tmp_path: Path, monkeypatch) -> None:
    root = nifti_folder(tmp_path / "d", SIZES[:2])
    for path in root.rglob("*.gz"):
        os.utime(path, (1e9, 1e9))
    first = build_manifest(root, cache_folder=tmp_path / "cache")
    monkeypatch.setattr("pixelwise.data.indexing.probe_volume", lambda path: pytest.fail(f"{path} was opened"))
    second = build_manifest(root, cache_folder=tmp_path / "cache")
    assert np.array_equal(first.column("spacing"), second.column("spacing"))
    assert second.sizes().tolist() == first.sizes().tolist()


def test_stacks_are_volumes_where_that_is_asked_for(tmp_path: Path) -> None:
    root = stack_folder(tmp_path / "d", SIZES[:3])
    pictures = build_manifest(root, use_cache=False)
    assert (pictures.task, len(pictures)) == ("segmentation", sum(size[0] for size in SIZES[:3]))
    manifest = build_manifest(root, task="volumes", use_cache=False)
    assert (manifest.task, len(manifest), manifest.spacing(0)) == ("volumes", 3, None)
    assert manifest.describe().startswith("images-and-masks: 3 volumes")
    assert "unknown spacing" in manifest.describe()
    assert SampleReader(root, manifest).label_map(0).shape == SIZES[0]


def test_numbered_objects_of_a_volume_are_foreground(tmp_path: Path) -> None:
    root = tmp_path / "d"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    labels = np.zeros((8, 20, 20), np.uint16)
    for number, (y, x) in enumerate(np.ndindex(4, 4), start=1):  # each in one piece over several slices
        labels[number % 4 : number % 4 + 3, 5 * y : 5 * y + 3, 5 * x : 5 * x + 3] = number
    for name in "ab":
        tifffile.imwrite(root / "images" / f"{name}.tif", labels * 3 + ord(name), photometric="minisblack")
        tifffile.imwrite(root / "masks" / f"{name}.tif", labels, photometric="minisblack")
    manifest = build_manifest(root, task="volumes", use_cache=False)
    assert manifest.mask_reading is not None
    assert (manifest.mask_reading.kind, manifest.classes) == ("instance", ("background", "foreground"))
    assert np.array_equal(SampleReader(root, manifest).label_map(0), labels > 0)


@pytest.mark.parametrize(
    ("labels", "affine", "reason"),
    [
        ((10, 12, 13), AFFINE, "a label volume of 10 x 12 x 13 voxels for a volume of 10 x 12 x 14"),
        (
            (10, 12, 14),
            np.diag([1.0, 1.0, 3.0, 1.0]),
            "a label volume with the spacing 3 x 1 x 1 mm for a volume with 2 x 1 x 1 mm",
        ),
        (
            (10, 12, 14),
            AFFINE + np.array([[0, 0, 0, 4.0], *np.zeros((3, 4))]),
            "a label volume that lies up to 4 mm beside its volume (other matrix, or other axes)",
        ),
    ],
)
def test_labels_that_lie_elsewhere(tmp_path: Path, labels, affine, reason: str) -> None:
    root = nifti_folder(tmp_path / "d", SIZES[:3])
    save_nifti(root / "labels" / "v0.nii.gz", np.ones(labels, np.uint8), affine)
    with pytest.raises(DataError, match=re.escape(f"labels/v0.nii.gz ({reason})")):
        build_manifest(root, use_cache=False)
    manifest = build_manifest(root, use_cache=False, bad_images="skip")
    assert len(manifest) == 2
    assert manifest.skipped == (("labels/v0.nii.gz", reason),)


def test_headers_rounded_by_hand_agree(tmp_path: Path) -> None:
    root = nifti_folder(tmp_path / "d", SIZES[:3])
    _, labels = blobs(SIZES[0], 0)
    save_nifti(root / "labels" / "v0.nii.gz", labels, AFFINE + np.array([[0, 0, 0, 0.01], *np.zeros((3, 4))]))
    assert len(build_manifest(root, use_cache=False)) == 3


def test_a_stack_for_a_nifti_volume_agrees_if_its_size_does(tmp_path: Path) -> None:
    root = nifti_folder(tmp_path / "d", SIZES[:3])
    (root / "labels" / "v0.nii.gz").unlink()
    tifffile.imwrite(root / "labels" / "v0.tif", blobs(SIZES[0], 0)[1], photometric="minisblack")
    assert len(build_manifest(root, use_cache=False)) == 3
    (root / "images" / "v1.nii.gz").unlink()
    (root / "images" / "v1.png").write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match=re.escape("images/v1.png (is no volume)")):
        build_manifest(root, use_cache=False)


def test_a_damaged_volume_and_labels_that_mean_nothing(tmp_path: Path) -> None:
    root = nifti_folder(tmp_path / "d", SIZES[:3])
    path = root / "images" / "v0.nii.gz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=re.escape("images/v0.nii.gz (is damaged or truncated: ")):
        build_manifest(root, use_cache=False)
    other = nifti_folder(tmp_path / "e", SIZES[:3])
    with pytest.raises(DataError, match=re.escape("labels/v0.nii.gz (holds values that mean nothing: 2 (")):
        build_manifest(other, use_cache=False, classes=("background", "one"))


def test_the_check_of_volumes(tmp_path: Path) -> None:
    root = nifti_folder(tmp_path / "d", [*SIZES, (10, 12, 7)])
    save_nifti(root / "images" / "v1.nii.gz", blobs(SIZES[1], 1)[0], np.diag([0.5, 0.5, 0.5, 1]))
    save_nifti(root / "labels" / "v1.nii.gz", blobs(SIZES[1], 1)[1], np.diag([0.5, 0.5, 0.5, 1]))
    save_nifti(root / "images" / "v2.nii.gz", np.full(SIZES[2], 3.0, np.float32))
    save_nifti(root / "labels" / "v3.nii.gz", np.zeros(SIZES[3], np.uint8))
    report = check_data(root, use_cache=False)
    found = {finding.code: finding for finding in report.findings}
    assert report.task == "volumes"
    assert found["mixed-spacings"].message == "2 different spacings: 4 of 2 x 1 x 1 mm, 1 of 0.5 x 0.5 x 0.5 mm."
    assert "--set spacing=1.25,0.75,0.75" in found["mixed-spacings"].fix
    assert found["mixed-spacings"].paths == ("images/v1.nii.gz",)
    assert found["mixed-sizes"].message.startswith(
        "4 different sizes: 9 x 12 x 7 to 12 x 12 x 14 voxels, in the middle"
    )
    assert found["thin"].paths == ("images/v4.nii.gz",)
    assert found["blank"].paths == ("images/v2.nii.gz",)
    assert found["empty-labels"].paths == ("labels/v3.nii.gz",)
    assert "mixed-scales" in found
    assert found["unequal-spacing"].message == "4 volumes whose voxels are not cubes: 2 x 1 x 1 mm."
    assert not report.has_errors


def test_the_check_of_stacks_and_channels(tmp_path: Path) -> None:
    report = check_data(stack_folder(tmp_path / "s", SIZES[:2]), task="volumes", use_cache=False)
    assert "unknown-spacing" in {finding.code for finding in report.findings}
    root = nifti_folder(tmp_path / "d", SIZES[:3])
    image = nib.load(root / "images" / "v0.nii.gz")
    nib.save(nib.Nifti1Image(np.stack([image.get_fdata()] * 2, -1), image.affine), root / "images" / "v0.nii.gz")
    report = check_data(root, use_cache=False)
    assert [(one.code, one.message) for one in report.findings if one.severity == "error"] == [
        ("mixed-channels", "Volumes have different numbers of channels: 2 of 1, 1 of 2 channels.")
    ]


def test_the_bundled_volumes(tmp_path: Path) -> None:
    manifest = build_manifest(write_volumes(tmp_path / "n"), use_cache=False)
    assert (manifest.task, manifest.classes) == ("volumes", ("background", "nucleus"))
    assert [sample.split for sample in manifest] == ["test", "train", "train", "val"]
    assert manifest.sizes().tolist() == [[15, 32, 32]] * 4
    assert manifest.spacing(0) == (0.00116, 0.00104, 0.00104)
    reader = SampleReader(tmp_path / "n", manifest)
    for index in range(4):
        inside = reader.label_map(index) == 1
        image = reader.image(index)[..., 0]
        assert 0.1 < inside.mean() < 0.3
        assert image[inside].mean() > 2 * image[~inside].mean()  # labels lie where the nuclei are
