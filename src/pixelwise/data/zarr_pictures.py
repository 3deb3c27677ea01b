"""Zarr arrays and OME-Zarrs as pictures and masks of a data folder: the folder ``NAME.zarr`` stands for one file.

They are read by :mod:`pixelwise.data.regions`: two axes of space, channels where there are any, format 2 or 3. Small
ones are read whole, large ones by window (:mod:`pixelwise.data.windows`).
"""

import hashlib
import os
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.headers import Header, Mode
from pixelwise.errors import ImageError

if TYPE_CHECKING:
    from pixelwise.data.regions import Missing, RegionSource

SUFFIX: Final = ".zarr"
_COLOURS: Final = 3


def is_zarr_name(path: PurePath | str) -> bool:
    """Tell whether a name is that of a Zarr."""
    return str(path).lower().endswith(SUFFIX)


def open_zarr(path: Path, *, stored: bool = False, missing: "Missing" = "refuse") -> "RegionSource":
    """Open a Zarr as a picture; with ``stored``, its values as they are, such as those of a mask.

    Many writers leave out chunks that hold nothing but the fill value, and so most of a mask: of masks they are filled.
    Of a picture every chunk has to be there.

    Raises:
        UsageError: the zarr library is not installed.
        ImageError: no Zarr of one picture, damaged, or without some of its chunks.

    """
    from pixelwise.data.regions import open_source  # which itself reads pictures

    return open_source(path, 2, stored=stored, missing=missing)


def lacks_chunks(path: Path) -> bool:
    """Tell whether some chunks of a Zarr that can be opened are not there."""
    try:
        open_zarr(path, stored=True).close()
    except ImageError:
        return True
    return False


def zarr_header(source: "RegionSource") -> Header:
    """Return what the metadata declare, in the terms of a picture's header."""
    height, width = source.size
    mode: Mode = "L" if source.channels == 1 else "N"
    if source.channels == _COLOURS and source.dtype == np.uint8:
        mode = "RGB"
    return Header(
        format="Zarr",
        height=height,
        width=width,
        mode=mode,
        bits=8 * source.dtype.itemsize,
        channels=source.channels,
        dtype=source.dtype.name,
    )


def read_zarr(source: "RegionSource") -> NDArray[Any]:
    """Read all of a picture, (H, W, C); booleans that are stored become 0 and 1.

    Raises:
        ImageError: a chunk is damaged, or holds NaN or infinity.

    """
    values = source.read(tuple((0, side) for side in source.size))
    return values.view(np.uint8) if values.dtype == np.bool_ else values


def folder_status(path: Path) -> tuple[int, int]:
    """Return the size of all files of a folder together in bytes, and the latest of their times in nanoseconds."""
    found = [os.stat(file) for file in _files(path)]  # noqa: PTH116 - of every chunk
    return sum(one.st_size for one in found), max((one.st_mtime_ns for one in found), default=0)


def folder_sha256(path: Path) -> bytes:
    """Hash all files of a folder, with their names, in the order of these."""
    digest = hashlib.sha256()
    for file in _files(path):
        with open(file, "rb") as stream:  # noqa: PTH123 - of every chunk
            content = hashlib.file_digest(stream, "sha256").digest()
        digest.update(os.path.relpath(file, path).encode("utf-8", "surrogateescape") + b"\0" + content)
    return digest.digest()


def _files(path: Path) -> list[str]:
    found = os.walk(path)  # of thousands of chunks, which as Path objects cost seconds
    return sorted(os.path.join(folder, name) for folder, _, names in found for name in names)  # noqa: PTH118 - see above
