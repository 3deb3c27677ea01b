"""One volume file, whatever its format: its header, its voxels as the network takes them, its labels.

Voxels become float32 whatever they are stored as, so that scans of different types can be trained on together; whole
numbers that float32 cannot hold exactly, NaN and infinity are refused. The format is told by the name for NIfTI, whose
first bytes may be packed, and by the content for TIFF.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.mask_values import whole_numbers
from pixelwise.data.names import show_path
from pixelwise.data.volumes.nifti import is_nifti, probe_nifti, read_nifti, write_nifti
from pixelwise.data.volumes.stacks import probe_stack, read_stack, write_stack
from pixelwise.data.volumes.volume import Geometry, Volume, VolumeInfo
from pixelwise.errors import ImageError, MaskError, UsageError

STACK_SUFFIXES: Final = (".tif", ".tiff", ".lsm")

_EXACT_IN_FLOAT32: Final = 1 << 24


def probe_volume(path: Path) -> VolumeInfo:
    """Read a volume's header and nothing else.

    Raises:
        ImageError: missing, damaged, neither NIfTI nor TIFF, or of too many voxels.

    """
    _check_kind(path)
    return probe_nifti(path) if is_nifti(path.name) else probe_stack(path)


def read_volume(path: Path) -> Volume:
    """Read a volume.

    Returns:
        (D, H, W, C) float32, with its geometry.

    Raises:
        ImageError: see :func:`probe_volume`; also truncated voxels, NaN, infinity, whole numbers beyond 2^24.

    """
    name = show_path(str(path))
    values, geometry = _stored(path)
    if values.dtype.kind in "iu" and values.size:
        low, high = int(values.min()), int(values.max())
        if max(-low, high) > _EXACT_IN_FLOAT32:
            raise ImageError(
                f"{name} holds values {low} to {high}",
                expected="values within +-16,777,216 (2^24), where float32 is exact",
                do="Subtract an offset or divide by a factor, and save it anew",
            )
    with np.errstate(over="ignore"):  # an overflow becomes an infinity, which is refused
        voxels = np.array(values, dtype=np.float32, order="C")
    finite = np.isfinite(voxels)
    if not finite.all():
        raise ImageError(
            f"{name} holds {voxels.size - int(finite.sum()):,} values of {voxels.size:,} that are NaN or infinite",
            expected="finite numbers",
            do="Replace them, for instance by the value of air, and save the volume again",
        )
    return Volume(voxels, geometry)


def read_label_values(path: Path) -> NDArray[Any]:
    """Read a label volume's values as stored: (D, H, W) integers.

    Raises:
        MaskError: several channels, or numbers that are not whole.
        ImageError: the file itself cannot be read.

    """
    name = show_path(str(path))
    values, _ = _stored(path)
    if values.shape[3] != 1:
        raise MaskError(
            f"{name} has {values.shape[3]} channels", expected="one label for each voxel", do="Join them into one"
        )
    return whole_numbers(values[..., 0], name)


def write_labels(path: Path, label_map: NDArray[np.uint8], geometry: Geometry) -> None:
    """Write a label map (D, H, W) as NIfTI or TIFF, whichever the name ends in, in the place of ``geometry``.

    Raises:
        UsageError: the name ends in neither.
        OutputError: the file cannot be written.

    """
    _write(path, label_map, geometry)


def write_channels(path: Path, channels: NDArray[np.float32], geometry: Geometry) -> None:
    """Write (D, H, W, C) float32 likewise; C becomes the fourth axis of a NIfTI file, the channels of a TIFF."""
    _write(path, channels, geometry)


def _write(path: Path, values: NDArray[Any], geometry: Geometry) -> None:
    if is_nifti(path.name):
        write_nifti(path, values, geometry)
    elif path.suffix.lower() in STACK_SUFFIXES:
        write_stack(path, values, geometry.spacing)
    else:
        raise UsageError(
            f"{path} is to hold a volume", expected="a name that ends in .nii.gz, .nii or .tif", do="Change the name"
        )


def _check_kind(path: Path) -> None:
    if not is_nifti(path.name) and path.suffix.lower() not in STACK_SUFFIXES:
        raise ImageError(
            f"{show_path(str(path))} is no volume",
            expected="a NIfTI file (.nii, .nii.gz) or a TIFF stack (.tif)",
            do="Convert it, for instance with nibabel or tifffile",
        )


def _stored(path: Path) -> tuple[NDArray[Any], Geometry]:
    _check_kind(path)
    return read_nifti(path) if is_nifti(path.name) else read_stack(path)
