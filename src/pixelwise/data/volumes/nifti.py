"""NIfTI-1 and NIfTI-2 files (``.nii``, ``.nii.gz``). Needs the extra ``volumes``.

Headers are read by nibabel; sizes are checked against what the file can hold before a voxel is decoded. Voxels come in
one order whatever the file's own is (the nearest one to left-right, posterior-anterior, inferior-superior), and a label
volume goes back into the order, the header and the matrix of the volume that it belongs to.

A fourth axis counts channels: modalities of one scan. Files of more than 16 there are series in time, and are refused.
"""

import gzip
import math
import os
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.headers import RESTORE, open_regular
from pixelwise.data.names import show_path
from pixelwise.data.volumes.volume import MAX_VOXELS, MOST_CHANNELS, Geometry, VolumeInfo, show_size
from pixelwise.errors import ImageError, UsageError
from pixelwise.storage.atomic import write_bytes

SUFFIXES: Final = (".nii", ".nii.gz")

_GZIP: Final = b"\x1f\x8b"
_LENGTHS: Final = {348: "Nifti1Header", 540: "Nifti2Header"}
_MAGIC: Final = {348: (344, b"n+1\0"), 540: (4, b"n+2\0")}
_UNITS_MM: Final = {"meter": 1e3, "mm": 1.0, "micron": 1e-3, "unknown": 1.0}
_LARGEST_OFFSET: Final = 1 << 24  # extensions of a header beyond 16 MB are an attack


def is_nifti(path: str) -> bool:
    """Whether the name says that this is a NIfTI file."""
    return path.lower().endswith(SUFFIXES)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A header, and how the voxels lie in the file."""

    header: Any
    """Of nibabel."""
    shape: tuple[int, ...]
    """Axes of the file: three of space, and that of channels."""
    offset: int
    dtype: np.dtype[Any]
    orientation: NDArray[np.float64]
    """nibabel's table of the axes and directions that lead to the common order."""
    info: VolumeInfo


def probe_nifti(path: Path) -> VolumeInfo:
    """Read a header.

    Raises:
        ImageError: missing, damaged, of a kind that is not supported, or of too many voxels.

    """
    return _stored(path)[0].info


def read_nifti(path: Path) -> tuple[NDArray[Any], Geometry]:
    """Read the voxels as the file means them, (D, H, W, C).

    Returns:
        Integers as stored where the file does not scale them; else float64; and the geometry.

    Raises:
        ImageError: see :func:`probe_nifti`; also truncated or damaged voxels.

    """
    stored, name = _stored(path)
    count = math.prod(stored.shape)
    content = _content(path, name, stored.offset + count * stored.dtype.itemsize)
    raw = np.frombuffer(content, stored.dtype, count, stored.offset).reshape(stored.shape, order="F")
    slope, intercept = stored.header.get_slope_inter()
    if slope is not None and (slope, intercept) != (1.0, 0.0):
        raw = raw * np.float64(slope) + np.float64(intercept or 0.0)
    turned = _nibabel().orientations.apply_orientation(raw, stored.orientation)
    voxels = turned.transpose(2, 1, 0, 3)
    native = voxels.dtype.newbyteorder("=")
    return np.ascontiguousarray(voxels, dtype=native), stored.info.geometry


def write_nifti(path: Path, volume: NDArray[Any], geometry: Geometry) -> None:
    """Write (D, H, W) uint8 or (D, H, W, C) float32 in the order, the header and the matrix of ``geometry``.

    Args:
        path: ends in ``.nii`` or ``.nii.gz``.
        volume: in the common order.
        geometry: of the volume that it belongs to; without a header, only the spacing is written.

    Raises:
        OutputError: the file cannot be written.

    """
    nibabel = _nibabel()
    values = volume.transpose(2, 1, 0, *range(3, volume.ndim))
    if geometry.header:
        header = getattr(nibabel, _LENGTHS[len(geometry.header)])(geometry.header)
        affine = header.get_best_affine()
        spatial = nibabel.orientations
        there, back = spatial.io_orientation(np.diag([1.0, 1, 1, 1])), spatial.io_orientation(affine)
        values = spatial.apply_orientation(values, spatial.ornt_transform(there, back))
    else:
        header, affine = nibabel.Nifti1Header(), np.diag([*(geometry.spacing or (1.0, 1.0, 1.0))[::-1], 1.0])
        header.set_xyzt_units("mm")
    header.set_data_dtype(values.dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0  # the window of the scan's values, not of these
    kind = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    content = kind(np.asfortranarray(values), affine, header).to_bytes()
    write_bytes(path, gzip.compress(content, mtime=0) if path.name.lower().endswith(".gz") else content)


def _nibabel() -> ModuleType:
    try:
        import nibabel as nib
    except ImportError:
        raise UsageError(
            "nibabel, which reads NIfTI files, is not installed",
            expected="the extra 'volumes'",
            do="Run: pip install 'pixelwise[volumes]'",
        ) from None
    return nib


def _stored(path: Path) -> tuple[_Stored, str]:
    name = show_path(str(path))
    head = _content(path, name, max(_LENGTHS), whole=False)
    try:
        return _parse(head, path, name), name
    except (ImageError, UsageError):
        raise
    except Exception as error:  # whatever nibabel raises on hostile bytes
        raise _damaged(name, " ".join(str(error).split())[:200] or type(error).__name__) from None


def _parse(head: bytes, path: Path, name: str) -> _Stored:
    nibabel = _nibabel()
    length = next((n for n in _LENGTHS if n in (_whole(head, "little"), _whole(head, "big"))), 0)
    if not length or len(head) < length:
        raise ImageError(f"{name} is no NIfTI file", expected="NIfTI-1 or NIfTI-2 in one file", do=RESTORE)
    place, magic = _MAGIC[length]
    if head[place : place + 4] != magic:
        raise ImageError(
            f"{name} is the header of a pair of files", expected="header and voxels in one file",
            do="Convert it, for instance in Python: nibabel.save(nibabel.load('IN.hdr'), 'OUT.nii.gz')",
        )  # fmt: skip
    header = getattr(nibabel, _LENGTHS[length])(head[:length], check=False)
    shape = tuple(int(side) for side in header.get_data_shape())
    while len(shape) > 4 and shape[-1] == 1:
        shape = shape[:-1]
    is_series = len(shape) == 4 and shape[3] > MOST_CHANNELS
    if not 3 <= len(shape) <= 4 or min(shape) < 1 or is_series:
        what = f": more than {MOST_CHANNELS} channels, or a series in time" if is_series else ""
        raise ImageError(
            f"{name} has the shape {show_size(shape)}{what}",
            expected=f"three axes, or a fourth of at most {MOST_CHANNELS} channels",
            do="Save each volume of a series as a file of its own",
        )
    if math.prod(shape) > MAX_VOXELS:
        raise ImageError(
            f"{name} declares {show_size(shape)} = {math.prod(shape):,} voxels",
            expected=f"at most {MAX_VOXELS:,}", do="Cut it into smaller volumes",
        )  # fmt: skip
    dtype, offset = header.get_data_dtype(), int(header["vox_offset"])
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise ImageError(
            f"{name} holds {dtype} voxels", expected="whole or real numbers of up to 64 bits", do="Convert it"
        )
    if not length <= offset <= _LARGEST_OFFSET:
        raise _damaged(name, f"its voxels begin at byte {offset:,}")
    affine = np.asarray(header.get_best_affine(), np.float64)
    orientation = nibabel.orientations.io_orientation(affine) if np.isfinite(affine).all() else np.array([[np.nan]])
    if np.isnan(orientation).any():
        raise ImageError(
            f"{name}: the matrix of its header is singular: it has no direction for each axis",
            expected="spacings other than 0 (pixdim), and an invertible matrix (sform or qform)",
            do="Write the volume again with the matrix of its scan, for instance with nibabel",
        )
    scale = _UNITS_MM.get(header.get_xyzt_units()[0], 1.0)
    straight = affine @ nibabel.orientations.inv_ornt_aff(orientation, shape[:3])
    turned = [shape[int(np.flatnonzero(orientation[:, 0] == axis)[0])] for axis in range(3)]
    whole_shape = (*shape, 1) if len(shape) == 3 else shape
    geometry = Geometry(tuple((straight[:3] * scale).ravel().tolist()), bytes(head[:length]))
    info = VolumeInfo(turned[2], turned[1], turned[0], whole_shape[3], "NIfTI", geometry)
    _check_length(path, name, offset + math.prod(shape) * dtype.itemsize)
    return _Stored(header, whole_shape, offset, dtype, orientation, info)


def _check_length(path: Path, name: str, needed: int) -> None:
    """Refuse a plain file that ends too early; of a packed one only unpacking tells."""
    size = path.stat().st_size
    if size < needed and _first_bytes(path) != _GZIP:
        raise _damaged(name, f"it ends after {size:,} bytes of {needed:,}")


def _whole(head: bytes, order: str) -> int:
    return int.from_bytes(head[:4], "little" if order == "little" else "big")


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(2)


def _content(path: Path, name: str, count: int, *, whole: bool = True) -> bytes:
    """Return the first ``count`` bytes, unpacked; with ``whole``, all of them, and the packing's checksum is right."""
    handle, _ = open_regular(path)
    with os.fdopen(handle, "rb") as file:
        packed = file.read(2) == _GZIP
        file.seek(0)
        if not packed:
            return _enough(file.read(count), count, name, whole=whole)
        try:
            with gzip.GzipFile(fileobj=BytesIO(file.read()) if whole else file) as unpacked:
                content = unpacked.read(count)
                while whole and unpacked.read(1 << 20):  # to the checksum at the end, what follows being thrown away
                    if unpacked.tell() > 2 * count + _LARGEST_OFFSET:
                        raise _damaged(name, f"it unpacks to more than the {count:,} bytes that it declares")
                return _enough(content, count, name, whole=whole)
        except (EOFError, OSError, zlib.error) as error:
            raise _damaged(name, str(error)) from None


def _enough(content: bytes, count: int, name: str, *, whole: bool) -> bytes:
    if whole and len(content) < count:
        raise _damaged(name, f"it ends after {len(content):,} bytes of {count:,}")
    return content


def _damaged(name: str, reason: str) -> ImageError:
    return ImageError(f"{name} is damaged or truncated: {reason}", expected="a whole NIfTI file", do=RESTORE)
