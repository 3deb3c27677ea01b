"""Open a picture or a volume by region, whatever file it lies in; and what counts as large."""

import math
import os
from pathlib import Path
from typing import Literal

from pixelwise.data.headers import open_regular
from pixelwise.data.images import probe
from pixelwise.data.names import show_path
from pixelwise.data.regions.base import RegionSource
from pixelwise.data.regions.mapped import RAW_SUFFIXES, MappedSource
from pixelwise.data.regions.missing import Missing
from pixelwise.data.regions.sink import UNFINISHED
from pixelwise.data.regions.tiff_source import TiffSource
from pixelwise.data.regions.whole import WholePicture
from pixelwise.data.regions.zarr_metadata import is_zarr
from pixelwise.errors import ImageError, UsageError

LARGE_PIXELS = 2**24
"""Pictures of so many pixels (4,096 x 4,096) or more are predicted tile by tile."""

ARRAY_SUFFIXES = RAW_SUFFIXES | {".npy", ".zarr"}
"""Names of files that are read by region only."""

_TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def open_source(
    path: Path,
    dimensions: Literal[2, 3] | None = None,
    *,
    stored: bool = False,
    missing: Missing = "refuse",
    unfinished: bool = False,
) -> RegionSource:
    """Open a picture or a volume that is read by region.

    Args:
        path: TIFF of any kind, Zarr or OME-Zarr (the folder), ``.npy``, ``.raw`` or ``.dat`` with a description beside
            it, or an ordinary picture.
        dimensions: 2 for a picture, 3 for a volume (a picture is then a volume of one plane where it can be); None for
            what the file's axes say.
        stored: return the stored values, such as the integers of a label map: no palette is looked up.
        missing: what to do about tiles or chunks that the file leaves out.
        unfinished: open an output that is whole but has not got its name yet.

    Raises:
        UsageError: ``missing`` is unknown; a library is not installed.
        ImageError: missing, damaged, truncated or of a kind that is not supported.

    """
    if missing not in ("refuse", "fill"):
        raise UsageError(f"missing={missing!r}", expected="refuse or fill", do="Correct the value")
    if path.name.endswith(UNFINISHED) and not unfinished:
        raise ImageError(
            f"{show_path(str(path))} is the unfinished output of a prediction that was stopped",
            expected="a whole file",
            do="Give the command that began it again, which goes on with it",
        )
    if path.is_dir():
        if not is_zarr(path):
            raise ImageError(
                f"{show_path(str(path))} is a folder that holds no Zarr", expected="an image file", do="Check the path"
            )
        from pixelwise.data.regions.zarr_source import ZarrSource

        return ZarrSource(path, dimensions, stored=stored, missing=missing)
    if path.suffix.lower() in RAW_SUFFIXES | {".npy"}:
        return MappedSource(path, dimensions, stored=stored)
    if _is_tiff(path):
        return TiffSource(path, dimensions, stored=stored, missing=missing)
    return WholePicture(path, dimensions, stored=stored)


def is_array(path: Path) -> bool:
    """Tell whether a path names what is read by region only: a Zarr, ``.npy``, ``.raw`` or ``.dat``."""
    return path.suffix.lower() in ARRAY_SUFFIXES or (path.is_dir() and is_zarr(path))


def is_large(path: Path, dimensions: Literal[2, 3] | None = None) -> bool:
    """Tell whether a path names what is read by region only, or a picture of :data:`LARGE_PIXELS` or more.

    What cannot be opened is not large: whoever reads it says why.

    Args:
        path: of a file or a folder.
        dimensions: see :func:`open_source`: a stack of pages is not one picture.

    """
    if is_array(path):
        return True
    try:
        if not path.is_file():
            return False
        if not _is_tiff(path):
            info = probe(path)
            return info.height * info.width >= LARGE_PIXELS
        with open_source(path, dimensions, missing="fill") as source:
            return math.prod(source.size) >= LARGE_PIXELS
    except ImageError:
        return False


def _is_tiff(path: Path) -> bool:
    handle, _ = open_regular(path)
    with os.fdopen(handle, "rb") as file:
        return file.read(4) in _TIFF_MAGICS
