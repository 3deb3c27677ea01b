"""Large pictures of which only windows are read: stand-ins for arrays, which read what is cut out of them."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.images import probe, refuse_lossy
from pixelwise.data.mask_values import as_mask
from pixelwise.data.names import show_path
from pixelwise.data.object_folders import is_object_folder
from pixelwise.data.regions import LARGE_PIXELS, open_source
from pixelwise.data.zarr_pictures import is_zarr_name

ANY_PIXELS: Final = 2**62
"""For headers of pictures that are not decoded whole."""
STRIP_PIXELS: Final = 2**24
"""Pixels of a large picture that are in memory at once while all of it is looked through."""
GLIMPSES_A_SIDE: Final = 8
GLIMPSE_PX: Final = 256


@dataclass(frozen=True, slots=True)
class WindowedArray:
    """A picture (H, W, C), or a label map (H, W), that is read where it is cut: ``array[top:bottom, left:right]``.

    Attributes:
        shape: as that of an array.
        dtype: likewise.
        read: returns the pixels from top to bottom and from left to right.

    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[slice, slice], NDArray[Any]]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, window: tuple[slice, slice]) -> NDArray[Any]:
        rows, columns = (slice(*part.indices(side)[:2]) for part, side in zip(window, self.shape, strict=False))
        size = (max(rows.stop - rows.start, 0), max(columns.stop - columns.start, 0))
        return self.read(rows, columns) if min(size) else np.empty((*size, *self.shape[2:]), self.dtype)

    def strips(self) -> Iterator[NDArray[Any]]:
        """Read all of it, from top to bottom."""
        height, width = self.shape[:2]
        rows = max(1, STRIP_PIXELS // width)
        for top in range(0, height, rows):
            yield self[top : top + rows, :]

    def glimpses(self) -> NDArray[Any]:
        """Read small windows in an even grid, one above the other: (h, w, ...)."""
        tall, wide = (min(side, GLIMPSE_PX) for side in self.shape[:2])
        tops, lefts = (
            np.unique(np.linspace(0, side - part, min(GLIMPSES_A_SIDE, math.ceil(side / part))).astype(int)).tolist()
            for side, part in zip(self.shape[:2], (tall, wide), strict=True)
        )
        return np.concatenate([self[top : top + tall, left : left + wide] for top in tops for left in lefts])


def is_windowed(path: Path) -> bool:
    """Whether a picture is large, and stored in parts that can be read one by one: a TIFF of one frame, or a Zarr.

    Raises:
        ImageError: its header cannot be read.

    """
    if is_object_folder(path):
        return False
    info = probe(path, max_pixels=ANY_PIXELS)
    return info.format in ("TIFF", "Zarr") and info.frames == 1 and info.height * info.width > LARGE_PIXELS


def open_windows(path: Path, finish: Callable[[NDArray[Any]], NDArray[Any]]) -> WindowedArray:
    """Return a TIFF or a Zarr to be read by windows.

    A TIFF is opened for each of them, so that nothing of it stays in memory; a Zarr holds nothing open, and whether all
    of its chunks are there was asked when it was indexed.

    Args:
        path: the file.
        finish: what is done to the pixels (h, w, C) of each window.

    Raises:
        ImageError: missing, damaged or of a kind that is not supported.

    """
    return _windows(path, finish, stored=False)


def open_mask_windows(path: Path, finish: Callable[[NDArray[Any]], NDArray[Any]] = np.asarray) -> WindowedArray:
    """As :func:`open_windows`, of the values that a mask stores: (h, w) integers, or (h, w, 3) for colours.

    Raises:
        MaskError: the file stores no mask; see :func:`~pixelwise.data.mask_values.read_mask_raw`.
        ImageError: as for :func:`open_windows`.

    """
    name, info = show_path(str(path)), probe(path, max_pixels=ANY_PIXELS)
    refuse_lossy(info, name)
    return _windows(path, lambda values: finish(as_mask(values, info.mode, name)), stored=True)


def _windows(path: Path, finish: Callable[[NDArray[Any]], NDArray[Any]], *, stored: bool) -> WindowedArray:
    is_zarr = is_zarr_name(path)
    source = open_source(path, 2, stored=stored, missing="fill" if is_zarr else "refuse")
    kept = source if is_zarr else None

    def read(rows: slice, columns: slice) -> NDArray[Any]:
        region = (rows.start, rows.stop), (columns.start, columns.stop)
        if kept is not None:
            return finish(_plain(kept.read(region)))
        with open_source(path, 2, stored=stored) as opened:
            return finish(opened.read(region))

    with source:
        (height, width), corner = source.size, finish(_plain(source.read(((0, 1), (0, 1)))))
    return WindowedArray((height, width, *corner.shape[2:]), corner.dtype, read)


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Return booleans that are stored as 0 and 1."""
    return values.view(np.uint8) if values.dtype == np.bool_ else values


Pixels = NDArray[Any] | WindowedArray
"""A picture or label map in memory, or one that is read where it is cut."""
