"""Zarr (formats 2 and 3) and OME-Zarr (0.4 and 0.5) by region.

Of a group with OME's ``multiscales``, the first data set, which is the finest level, is the picture, and its axes are
those that the metadata names; an array alone may name them (``dimension_names``). The metadata are read here, as plain
JSON, before the zarr library sees them: kinds of numbers and codecs that could run code or grow without bounds are
refused. Chunks that are not there may be empty ones that their writer left out, or lost: see :data:`Missing`.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.headers import RESTORE
from pixelwise.data.names import show_path
from pixelwise.data.regions.base import Region, RegionSource, chunks_of, describe_region
from pixelwise.data.regions.identity import folder_identity
from pixelwise.data.regions.missing import Missing, refuse_missing
from pixelwise.data.regions.values import MAX_CHUNK_BYTES, Axes, as_pixels, pixel_type
from pixelwise.data.regions.zarr_metadata import ZarrArray, find_array
from pixelwise.errors import ImageError, UsageError

_METADATA = ("zarr.json",)
"""Beside hidden files what is no chunk; its content is compared instead of its time."""


class ZarrSource(RegionSource):
    """A Zarr array, or the finest level of an OME-Zarr.

    Args:
        path: the folder of the array or of the group.
        dimensions: see :func:`~pixelwise.data.regions.opening.open_source`.
        stored: return the stored integers, as of a label map.
        missing: what to do about chunks that are not there.

    Raises:
        UsageError: the zarr library is not installed.
        ImageError: no Zarr, damaged, of a kind that is not supported, or without some of its chunks.

    """

    def __init__(self, path: Path, dimensions: int | None, *, stored: bool, missing: Missing) -> None:
        self.name, self._stored = show_path(str(path)), stored
        self._found = find_array(path)
        self._array = _open(self._found)
        found = self._found
        self._axes = Axes(found.axes, found.shape, dimensions, self.name)
        self.shape, self._type = self._axes.shape, self._array.dtype
        self.dtype = self._type if stored else pixel_type(self._type, self.name)
        self.chunk = tuple(min(n, side) for n, side in zip(self._axes.of_space(found.chunks), self.size, strict=True))
        self.pixel_size = self._axes.of_space_or_none(found.pixel_size)
        unpacked = math.prod(found.chunks) * self._type.itemsize
        if unpacked > MAX_CHUNK_BYTES:
            raise ImageError(
                f"{self.name} has chunks of {' x '.join(map(str, found.chunks))}, {unpacked:,} bytes each",
                expected=f"at most {MAX_CHUNK_BYTES:,}, so that parts of it can be read",
                do="Write it anew in smaller chunks",
            )
        self._refuse_missing(missing)

    def _refuse_missing(self, missing: Missing) -> None:
        """Look for the file of every chunk (of every shard, where chunks are gathered in shards)."""
        if missing == "fill":
            return
        found, absent = self._found, 0
        first: list[str] = []
        whole = tuple((0, side) for side in found.shape)
        for place in chunks_of(whole, found.files):
            if not (found.folder / found.key(place)).is_file():
                absent += 1
                if len(first) < 4:
                    first.append(found.key(place))
        refuse_missing(self.name, "chunks", first, missing, absent)

    @property
    def identity(self) -> str:
        """The metadata, and name, size and time of every chunk's file."""
        return folder_identity(self._found.folder, self._found.digest, _METADATA)

    def _read(self, region: Region) -> NDArray[Any]:
        try:
            values = self._axes.arrange(np.asarray(self._array[self._axes.index(region)]))
        except Exception as error:  # whatever a codec raises on damaged bytes
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ImageError(
                f"{self.name} is damaged in {describe_region(region)}: {show_path(reason[:200])}",
                expected="whole chunks",
                do=RESTORE,
            ) from None
        return np.ascontiguousarray(values) if self._stored else as_pixels(values, self.name)

    def close(self) -> None:
        """Nothing is held open between two regions."""


def _open(found: ZarrArray) -> Any:
    try:
        import zarr
    except ModuleNotFoundError:
        raise UsageError(
            f"{found.name} is a Zarr", expected="the zarr library", do="Install it: pip install 'pixelwise[zarr]'"
        ) from None
    try:
        array = zarr.open_array(str(found.folder), mode="r", zarr_format=found.format)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(
            f"{found.name} cannot be opened: {show_path(reason[:200])}", expected="a Zarr array", do=RESTORE
        ) from None
    if tuple(array.shape) != found.shape:
        raise ImageError(f"{found.name} contradicts its own metadata", expected="a Zarr array", do=RESTORE)
    return array
