"""TIFF stacks as volumes: the pages, or the Z axis, are the slices.

A file of one page is a volume of one slice. Of a stack in time and depth it cannot be told what the volume is: it is
refused. The spacing is that which ImageJ or OME wrote; other files have none.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from pixelwise.data.headers import RESTORE, UnsupportedError, open_regular
from pixelwise.data.names import show_path
from pixelwise.data.regions.tiff_pixel_size import pixel_size_um
from pixelwise.data.tiff import TiffPicture, open_tiff
from pixelwise.data.volumes.volume import MAX_VOXELS, Geometry, Spacing, VolumeInfo, show_size
from pixelwise.errors import ImageError
from pixelwise.storage.atomic import atomic_file

_MODES = ("1", "L", "RGB", "N")
_MICROMETRES_PER_MM = 1e3


def probe_stack(path: Path) -> VolumeInfo:
    """Read a stack's header.

    Raises:
        ImageError: missing, damaged, of a kind that is not supported, or of too many voxels.

    """
    with _opened(path) as picture:
        return _info(picture, show_path(str(path)))


def read_stack(path: Path) -> tuple[NDArray[Any], Geometry]:
    """Read the stored values (D, H, W, C), and the geometry.

    Raises:
        ImageError: see :func:`probe_stack`; also truncated or damaged voxels.

    """
    with _opened(path) as picture:
        info = _info(picture, show_path(str(path)))
        values = picture.stored_stack()
    return values.view(np.uint8) if values.dtype == np.bool_ else values, info.geometry


def write_stack(path: Path, volume: NDArray[Any], spacing: Spacing | None) -> None:
    """Write (D, H, W) uint8, or (D, H, W, C) float32 with the channels as planes of each slice, as a packed TIFF.

    The spacing is written as ImageJ does, so that it is read again.

    Raises:
        OutputError: the file cannot be written.

    """
    axes = "ZYX" if volume.ndim == 3 else "ZCYX"
    values = volume if volume.ndim == 3 else volume.transpose(0, 3, 1, 2)
    about: dict[str, Any] = {"axes": axes}
    options: dict[str, Any] = {}
    if spacing is not None:
        depth, height, width = (length * _MICROMETRES_PER_MM for length in spacing)
        about |= {"spacing": depth, "unit": "um"}
        options["resolution"] = (1 / width, 1 / height)
    with atomic_file(path) as file:
        tifffile.imwrite(
            file, np.ascontiguousarray(values), imagej=True, metadata=about, compression="adobe_deflate", **options
        )


@contextmanager
def _opened(path: Path) -> Iterator[TiffPicture]:
    name = show_path(str(path))
    handle, _ = open_regular(path)
    with os.fdopen(handle, "rb") as stream:
        try:
            with open_tiff(stream) as picture:
                yield picture
        except ImageError:
            raise
        except UnsupportedError as error:
            raise ImageError(
                f"{name} is {show_path(str(error))}, which is not supported", expected=error.expected, do=error.do
            ) from None
        except Exception as error:  # whatever a decoder raises on hostile bytes
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise ImageError(
                f"{name} is damaged or truncated: {show_path(reason)}", expected="a whole TIFF stack", do=RESTORE
            ) from None


def _info(picture: TiffPicture, name: str) -> VolumeInfo:
    header = picture.header
    if len(picture.frame_axes) > 1:
        counts = ", ".join(f"{axis} {count}" for axis, count in picture.frame_axes.items())
        raise ImageError(
            f"{name} has several axes besides rows and columns ({counts})",
            expected="slices of one volume",
            do="Save each volume as a file of its own",
        )
    if header.mode not in _MODES or header.lossy:
        raise ImageError(
            f"{name} stores its slices as {'JPEG' if header.lossy else header.mode}",
            expected="grey, RGB or measured channels, packed without loss",
            do="Convert it",
        )
    if header.frames * header.height * header.width * header.channels > MAX_VOXELS:
        size = show_size((header.frames, header.height, header.width, header.channels))
        raise ImageError(f"{name} declares {size} values", expected=f"at most {MAX_VOXELS:,}", do="Cut it into pieces")
    geometry = Geometry.of_spacing(_spacing(picture))
    return VolumeInfo(header.frames, header.height, header.width, header.channels, "TIFF", geometry)


def _spacing(picture: TiffPicture) -> Spacing | None:
    found = pixel_size_um(picture.series, 3)
    if found is None:
        return None
    depth, height, width = (length / _MICROMETRES_PER_MM for length in found)
    return depth, height, width
