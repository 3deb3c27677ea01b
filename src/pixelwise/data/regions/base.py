"""Pictures and volumes that are read and written by region, so that they may be larger than memory.

A region is one span (start, stop) along each axis of space: rows and columns of a picture, planes, rows and columns of
a volume. Arrays carry their channels last.
"""

import math
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pixelwise.errors import ImageError

Span = tuple[int, int]
"""Start and stop along one axis, in pixels."""
Region = tuple[Span, ...]
"""(rows, columns) of a picture, (planes, rows, columns) of a volume."""


class RegionSource(ABC):
    """A picture (H, W, C) or a volume (D, H, W, C) that is read by region. Safe to read from one thread at a time.

    Attributes:
        name: what messages call it.
        shape: (H, W, C) or (D, H, W, C).
        dtype: uint8, uint16 or float32, as :func:`~pixelwise.data.images.read_image` gives pixels; the stored integers
            where a label map was opened.
        chunk: the block, along the axes of space, in which the file is stored: regions along its borders cost least.
        pixel_size: size of a pixel along each axis of space in micrometres; None where the file does not tell.

    """

    name: str
    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"
    chunk: tuple[int, ...]
    pixel_size: tuple[float, ...] | None = None

    @property
    def size(self) -> tuple[int, ...]:
        """Extent along each axis of space: (H, W) or (D, H, W)."""
        return self.shape[:-1]

    @property
    def channels(self) -> int:
        """Values of one pixel."""
        return self.shape[-1]

    @property
    @abstractmethod
    def identity(self) -> str:
        """What tells this input from others, or from its own state before a change, without reading all of it."""

    def read(self, region: Region) -> NDArray[Any]:
        """Return the pixels of a region within the picture, (h, w, C) or (d, h, w, C).

        Raises:
            ImageError: a part is missing, damaged, or holds NaN or infinity.
            ValueError: the region does not lie within the picture.

        """
        check_region(region, self.size)
        values = self._read(region)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            bad = values.size - int(np.isfinite(values).sum())
            raise ImageError(
                f"{self.name} holds {bad:,} values that are NaN or infinite in {describe_region(region)}",
                expected="finite numbers",
                do="Replace them, for instance by the nearest measured value, and save the picture again",
            )
        return values

    @abstractmethod
    def _read(self, region: Region) -> NDArray[Any]:
        """Return the pixels of a region that was checked."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class RegionSink(ABC):
    """A picture (H, W, C) or a volume (D, H, W, C) that is written by region and appears, whole, when it is closed.

    Attributes:
        shape: (H, W, C) or (D, H, W, C).
        dtype: of its values.

    """

    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"

    @abstractmethod
    def write(self, region: Region, values: NDArray[Any]) -> None:
        """Write the pixels of a region, (h, w, C) or (d, h, w, C). Each pixel is to be written once.

        Raises:
            OutputError: the disk is full, or the place cannot be written.

        """

    @abstractmethod
    def close(self) -> None:
        """Put the last pieces in order, so that readers find a whole file.

        Raises:
            OutputError: pixels are missing, or the disk is full.

        """


def check_region(region: Region, size: tuple[int, ...]) -> None:
    """Refuse a region that is empty or does not lie within ``size``.

    Raises:
        ValueError: it is.

    """
    if len(region) != len(size) or any(
        not 0 <= start < stop <= side for (start, stop), side in zip(region, size, strict=False)
    ):
        raise ValueError(f"the region {region} does not lie within {size}")


def describe_region(region: Region) -> str:
    """Say where a region lies, for messages."""
    names = ("planes", "rows", "columns")[-len(region) :]
    return ", ".join(f"{name} {start} to {stop - 1}" for name, (start, stop) in zip(names, region, strict=True))


def extent(region: Region) -> tuple[int, ...]:
    """Return the lengths of a region's sides."""
    return tuple(stop - start for start, stop in region)


def slices(region: Region, origin: tuple[int, ...] | None = None) -> tuple[slice, ...]:
    """Return a region as slices of an array whose first pixel is at ``origin`` (by default 0)."""
    start_at = origin or (0,) * len(region)
    return tuple(slice(start - at, stop - at) for (start, stop), at in zip(region, start_at, strict=True))


def overlap(first: Region, second: Region) -> Region | None:
    """Return what two regions have in common; None where that is nothing."""
    common = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(first, second, strict=True))
    return common if all(start < stop for start, stop in common) else None


def chunks_of(region: Region, chunk: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the places, in the grid of ``chunk``, of the chunks that a region touches, in row-major order."""
    ranges = [range(start // side, -(-stop // side)) for (start, stop), side in zip(region, chunk, strict=True)]
    shape = [len(places) for places in ranges]
    return [
        tuple(ranges[axis][k] for axis, k in enumerate(np.unravel_index(n, shape))) for n in range(math.prod(shape))
    ]


def chunk_region(place: tuple[int, ...], chunk: tuple[int, ...], size: tuple[int, ...]) -> Region:
    """Return the region of a chunk, cut off at the picture's end."""
    return tuple((k * side, min((k + 1) * side, length)) for k, side, length in zip(place, chunk, size, strict=True))
