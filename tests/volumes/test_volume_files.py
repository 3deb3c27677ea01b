"""NIfTI files and TIFF stacks: order, spacing, what is refused, and the way back; judged by nibabel and tifffile."""

import gzip
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile
from volume_folders import save_nifti

from pixelwise.data.volumes.nifti import probe_nifti
from pixelwise.data.volumes.reading import (
    probe_volume,
    read_label_values,
    read_volume,
    write_channels,
    write_labels,
)
from pixelwise.data.volumes.volume import Geometry
from pixelwise.errors import ImageError, MaskError, UsageError

ODD = np.array([[0, 0, -2.0, 10], [0.5, 0, 0, 3], [0, -1, 0, 7], [0, 0, 0, 1]])
"""Axes of the file: forwards, down, left."""
VALUES = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_file_of_odd_axes_is_read_in_one_order_and_written_back_in_its_own(tmp_path: Path, kind, suffix) -> None:
    path = tmp_path / f"v{suffix}"
    nib.save(kind(VALUES, ODD), path)
    volume = read_volume(path)
    straight = nib.as_closest_canonical(nib.load(path))
    assert np.array_equal(volume.voxels[..., 0], straight.get_fdata().transpose(2, 1, 0))
    assert np.allclose(np.array(volume.geometry.affine).reshape(3, 4), straight.affine[:3])
    assert volume.geometry.spacing == (1.0, 0.5, 2.0)
    assert volume.voxels.dtype == np.float32
    info = probe_volume(path)
    assert (info.size, info.channels, info.geometry) == ((5, 4, 6), 1, volume.geometry)
    back = tmp_path / f"back{suffix}"
    write_labels(back, volume.voxels[..., 0].astype(np.uint8), volume.geometry)
    written = nib.load(back)
    assert isinstance(written, kind)
    assert written.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(written.dataobj), VALUES)
    assert np.allclose(written.affine, ODD)


def test_scaled_integers_and_micrometres(tmp_path: Path) -> None:
    image = nib.Nifti1Image(VALUES, np.diag([500.0, 500.0, 1000.0, 1.0]))
    image.header.set_xyzt_units("micron")
    image.header.set_slope_inter(0.5, 3)
    nib.save(image, tmp_path / "v.nii")
    volume = read_volume(tmp_path / "v.nii")
    assert volume.geometry.spacing == (1.0, 0.5, 0.5)
    assert np.array_equal(volume.voxels[..., 0].transpose(2, 1, 0), nib.load(tmp_path / "v.nii").get_fdata())


def test_a_fourth_axis_is_channels_there_and_back(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(4, 5, 6, 3)).astype(np.float32)
    nib.save(nib.Nifti1Image(values, ODD), tmp_path / "v.nii.gz")
    volume = read_volume(tmp_path / "v.nii.gz")
    assert volume.voxels.shape == (5, 4, 6, 3)
    write_channels(tmp_path / "w.nii.gz", volume.voxels, volume.geometry)
    assert np.array_equal(nib.load(tmp_path / "w.nii.gz").get_fdata(dtype=np.float32), values)
    with pytest.raises(MaskError, match=r"has 3 channels\. Expected one label for each voxel"):
        read_label_values(tmp_path / "v.nii.gz")


@pytest.mark.parametrize("spacing", [(2.0, 0.5, 0.25), None])
def test_stacks_keep_labels_channels_and_spacing(tmp_path: Path, spacing) -> None:
    labels = np.random.default_rng(1).integers(0, 3, (4, 5, 6)).astype(np.uint8)
    write_labels(tmp_path / "l.tif", labels, Geometry.of_spacing(spacing))
    assert np.array_equal(read_label_values(tmp_path / "l.tif"), labels)
    found = read_volume(tmp_path / "l.tif").geometry.spacing
    assert found == (None if spacing is None else pytest.approx(spacing))
    several = np.random.default_rng(1).random((4, 5, 6, 2)).astype(np.float32)
    write_channels(tmp_path / "c.tif", several, Geometry.of_spacing(spacing))
    assert np.array_equal(read_volume(tmp_path / "c.tif").voxels, several)


def test_stacks_of_other_programs(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 4000, (4, 5, 6)).astype(np.uint16)
    about = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
    tifffile.imwrite(tmp_path / "v.ome.tif", values, metadata=about, photometric="minisblack")
    volume = read_volume(tmp_path / "v.ome.tif")
    assert np.array_equal(volume.voxels[..., 0], values)
    assert volume.geometry.spacing == pytest.approx((0.002, 0.0005, 0.0005))
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((4, 5, 6, 3), np.uint8), photometric="rgb")
    assert probe_volume(tmp_path / "rgb.tif").channels == 3
    tifffile.imwrite(tmp_path / "page.tif", values[0], photometric="minisblack")
    assert probe_volume(tmp_path / "page.tif").size == (1, 5, 6)
    tifffile.imwrite(tmp_path / "t.tif", np.zeros((2, 3, 5, 6), np.uint8), imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(ImageError, match=re.escape("several axes besides rows and columns (T 2, Z 3)")):
        read_volume(tmp_path / "t.tif")


def test_without_a_header_only_the_spacing_is_written(tmp_path: Path) -> None:
    write_labels(tmp_path / "l.nii.gz", np.ones((2, 3, 4), np.uint8), Geometry.of_spacing((3.0, 2.0, 1.0)))
    written = nib.load(tmp_path / "l.nii.gz")
    assert written.header.get_zooms() == (1.0, 2.0, 3.0)
    assert read_volume(tmp_path / "l.nii.gz").geometry.spacing == (3.0, 2.0, 1.0)
    with pytest.raises(UsageError, match=r"a name that ends in \.nii\.gz, \.nii or \.tif"):
        write_labels(tmp_path / "l.png", np.ones((2, 3, 4), np.uint8), Geometry())


def _patched(path: Path, start: int, content: bytes) -> None:
    whole = bytearray(path.read_bytes())
    whole[start : start + len(content)] = content
    path.write_bytes(bytes(whole))


def _short(*numbers: int) -> bytes:
    return np.array(numbers, "<i2").tobytes()


@pytest.mark.parametrize(
    ("start", "content", "message"),
    [
        (0, b"nonsense", "v.nii is no NIfTI file. Expected NIfTI-1 or NIfTI-2 in one file."),
        (344, b"ni1\0", "is the header of a pair of files. Expected header and voxels in one file."),
        (40, _short(5, 4, 5, 6, 1, 3), "has the shape 4 x 5 x 6 x 1 x 3. Expected three axes, or a fourth"),
        (40, _short(4, 4, 5, 6, 200), "4 x 5 x 6 x 200: more than 16 channels, or a series in time. Expected three"),
        (40, _short(3, 32000, 32000, 32000), "declares 32000 x 32000 x 32000 = 32,768,000,000,000 voxels"),
        (40, _short(3, 40, 50, 60), "v.nii is damaged or truncated: it ends after 592 bytes of 240,352"),
        (40, _short(3, 0, 5, 6), "has the shape 0 x 5 x 6."),
        (40, _short(3, -4, 5, 6), "has the shape -4 x 5 x 6."),
        (70, _short(32), "holds complex64 voxels. Expected whole or real numbers"),
        (70, _short(77), "is damaged or truncated:"),
        (108, np.array([2e9], "<f4").tobytes(), "its voxels begin at byte 2,000,000,000"),
        (108, np.array([np.nan], "<f4").tobytes(), "is damaged or truncated:"),
        (280, np.full(12, np.nan, "<f4").tobytes(), "the matrix of its header is singular"),
        (280, np.zeros(12, "<f4").tobytes(), "the matrix of its header is singular"),
    ],
)
def test_what_no_header_should_say(tmp_path: Path, start: int, content: bytes, message: str) -> None:
    path = tmp_path / "v.nii"
    nib.save(nib.Nifti1Image(VALUES, np.eye(4)), path)
    _patched(path, start, content)
    with pytest.raises(ImageError, match=re.escape(message)):
        probe_nifti(path)


def test_files_that_end_too_early_or_hold_too_much(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(VALUES, np.eye(4)), tmp_path / "v.nii")
    whole = (tmp_path / "v.nii").read_bytes()
    packed = gzip.compress(whole)
    cases = {
        "cut.nii.gz": (packed[:-20], "is damaged or truncated: "),
        "checksum.nii.gz": (packed[:-8] + b"\0" * 8, "is damaged or truncated: CRC check failed"),
        "short.nii.gz": (gzip.compress(whole[:-10]), "it ends after 582 bytes of 592"),
        "bomb.nii.gz": (
            gzip.compress(whole + bytes(1 << 25)),
            "it unpacks to more than the 592 bytes that it declares",
        ),
        "text.nii.gz": (b"\x1f\x8bnot packed", "is damaged or truncated: "),
        "short.nii": (whole[:-1], "it ends after 591 bytes of 592"),
        "head.nii": (whole[:100], "is no NIfTI file"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageError, match=re.escape(f"{name}") + ".*" + re.escape(message)):
            read_volume(tmp_path / name)
    with pytest.raises(ImageError, match=r"gone\.nii does not exist"):
        read_volume(tmp_path / "gone.nii")
    with pytest.raises(ImageError, match=r"v\.png is no volume\. Expected a NIfTI file"):
        probe_volume(tmp_path / "v.png")
    (tmp_path / "v.tif").write_bytes(b"II*\0" + bytes(40))
    with pytest.raises(ImageError, match=r"v\.tif is damaged or truncated"):
        read_volume(tmp_path / "v.tif")


def test_values_that_no_network_takes(tmp_path: Path) -> None:
    wild = np.zeros((3, 4, 5), np.float64)
    wild[0, 0, :2] = np.nan, 1e300
    save_nifti(tmp_path / "nan.nii.gz", wild)
    with pytest.raises(
        ImageError, match=r"nan\.nii\.gz holds 2 values of 60 that are NaN or infinite\. Expected finite"
    ):
        read_volume(tmp_path / "nan.nii.gz")
    save_nifti(tmp_path / "large.nii.gz", np.full((3, 4, 5), 2**24 + 1, np.int32))
    with pytest.raises(ImageError, match=r"large\.nii\.gz holds values 16777217 to 16777217\. Expected values within"):
        read_volume(tmp_path / "large.nii.gz")
    save_nifti(tmp_path / "half.nii.gz", np.full((3, 4, 5), 0.5, np.float32))
    with pytest.raises(MaskError, match=r"half\.nii\.gz holds 60 values that are not whole numbers"):
        read_label_values(tmp_path / "half.nii.gz")
    save_nifti(tmp_path / "whole.nii.gz", np.full((3, 4, 5), 2.0, np.float32))
    assert np.array_equal(read_label_values(tmp_path / "whole.nii.gz"), np.full((3, 4, 5), 2))


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch) -> None:
    save_nifti(tmp_path / "v.nii", np.zeros((2, 2, 2), np.uint8))
    monkeypatch.setitem(__import__("sys").modules, "nibabel", None)
    with pytest.raises(UsageError, match=re.escape("Run: pip install 'pixelwise[volumes]'")):
        read_volume(tmp_path / "v.nii")
