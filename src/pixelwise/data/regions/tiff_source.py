"""TIFF, BigTIFF and OME-TIFF by region: only the tiles and strips that a region touches are unpacked.

The rules of :mod:`pixelwise.data.tiff` hold: the first series is the picture, and of a pyramid its finest level. Pages
that form a z axis, or an axis without a name, are the planes of a volume. Pixels that lie unpacked in the file are
mapped; unpacked tiles are kept, the most recently used ones, up to 64 MiB.
"""

import math
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from pixelwise.data.decode import tiff_as_seen
from pixelwise.data.headers import RESTORE, TruncatedError, UnsupportedError, open_regular
from pixelwise.data.names import show_path
from pixelwise.data.regions.base import Region, RegionSource
from pixelwise.data.regions.identity import file_identity
from pixelwise.data.regions.missing import Missing, refuse_missing
from pixelwise.data.regions.tiff_pixel_size import pixel_size_um
from pixelwise.data.regions.values import MAX_CHUNK_BYTES
from pixelwise.data.tiff import check_jpeg, open_tiff
from pixelwise.data.tiff_lzw import LZW, prepared_for_lzw, unpack_segment
from pixelwise.errors import ImageError

_JPEG = 7
_CACHE_BYTES = 1 << 26
_BLOCK_PX = 256
_DEPTH_AXES = frozenset("ZIQ")


class TiffSource(RegionSource):
    """A TIFF of any size.

    Args:
        path: the file.
        dimensions: see :func:`~pixelwise.data.regions.opening.open_source`.
        stored: return the stored integers (palette indices), as of a label map.
        missing: what to do about tiles that the file leaves out.

    Raises:
        ImageError: missing, damaged, truncated, of a kind that is not supported, or without some of its tiles.

    """

    def __init__(self, path: Path, dimensions: int | None, *, stored: bool, missing: Missing) -> None:
        self.name, self._path, self._stored = show_path(str(path)), path, stored
        handle, self._bytes = open_regular(path)
        self._cache: OrderedDict[tuple[int, int], NDArray[Any]] = OrderedDict()
        self._cached_bytes = 0
        with ExitStack() as stack:
            stream = stack.enter_context(os.fdopen(handle, "rb"))
            with self._damage_reported():
                self._picture = stack.enter_context(open_tiff(stream))
                self._set_form(dimensions)
                self._check_complete(missing)
                self.pixel_size = pixel_size_um(self._picture.series, len(self.size))
            self._files = stack.pop_all()

    def _set_form(self, dimensions: int | None) -> None:
        picture, header = self._picture, self._picture.header
        if header.orientation != 1:
            raise UnsupportedError(
                f"a TIFF whose orientation is {header.orientation}",
                expected="an upright one, where a picture is read by region",
                do="Turn it and save it anew",
            )
        outer = {axis: n for axis, n in picture.sizes.items() if axis not in ("Y", "X", "S")}
        stacked = {axis: n for axis, n in outer.items() if axis != picture.channel_axis and n > 1}
        is_volume = dimensions == 3 or (dimensions is None and bool(stacked))
        if any(axis[0] not in _DEPTH_AXES for axis in stacked) or len(stacked) > 1 or (stacked and not is_volume):
            raise UnsupportedError(
                f"a TIFF of {' x '.join(f'{n} ({axis})' for axis, n in stacked.items())} pages",
                expected="one picture, or one stack of planes for a model of volumes",
                do="Save each page as a file of its own",
            )
        self._outer, self._depth_axis = outer, next(iter(stacked), "")
        self._page = picture.series.keyframe
        assert self._page.dtype is not None  # the header was refused otherwise
        self._type = self._page.dtype.newbyteorder("=")
        self._is_lzw = int(self._page.compression) == LZW
        self._offset = picture.series.dataoffset if len(picture.series) != math.prod(outer.values()) else None
        if self._page.imagedepth != 1 or (self._offset is None and len(picture.series) != math.prod(outer.values())):
            raise TruncatedError("its pages do not fill its axes")
        space = (picture.sizes["Y"], picture.sizes["X"])
        self.shape = (*((header.frames,) if is_volume else ()), *space, 1 if self._stored else header.channels)
        self.dtype = np.dtype(header.dtype)
        if self._stored:
            self.dtype = np.dtype(np.uint8) if self._type.kind == "b" else self._type
            self.shape = (*self.shape[:-1], picture.sizes.get(picture.channel_axis, 1))
        block = (_BLOCK_PX, space[1]) if self._is_mapped else self._page.chunks[:2]
        self.chunk = (*((1,) if is_volume else ()), *(min(n, side) for n, side in zip(block, space, strict=True)))
        unpacked = math.prod(self._page.chunks) * self._type.itemsize
        if not self._is_mapped and unpacked > MAX_CHUNK_BYTES:
            raise UnsupportedError(
                f"a TIFF whose strips or tiles unpack to {unpacked:,} bytes each",
                expected=f"at most {MAX_CHUNK_BYTES:,}, so that parts of it can be read",
                do='Save it in tiles, for instance with libvips: vips copy IN.tif "OUT.tif[tile,bigtiff]"',
            )
        if self._is_lzw:
            prepared_for_lzw(self._page)

    @property
    def _is_mapped(self) -> bool:
        """Whether the pixels of a page lie unpacked, in order and together."""
        return self._offset is not None or bool(self._page.is_memmappable)

    def _check_complete(self, missing: Missing) -> None:
        """Refuse a file that ends before its pixels do, or that leaves tiles out."""
        if self._offset is not None:
            ends = [self._offset + math.prod(self._outer.values()) * self._page.nbytes]
        else:
            ends, absent, total = [], [], 0
            for number in range(len(self._picture.series)):
                page = self._page_of(number)
                starts, counts = np.array(page.dataoffsets, np.uint64), np.array(page.databytecounts, np.uint64)
                needed = math.prod(self._page.chunked)
                if len(starts) != len(counts) or len(starts) < needed:
                    raise TruncatedError(f"it lists {len(counts)} of {needed} tiles or strips")
                ends.append(int((starts + counts).max(initial=0)))
                total += len(counts)
                absent += [f"{index} of page {number}" for index in np.flatnonzero(counts == 0)[:4]]
                if (counts == 0).any() and missing == "refuse":
                    break
            if absent:
                refuse_missing(self.name, "tiles", absent, missing)
        if max(ends) > self._bytes:
            raise TruncatedError(f"it ends after {self._bytes} bytes of {max(ends)}")

    @property
    def identity(self) -> str:
        """Size, time and first and last bytes of the file, its shape and type."""
        return file_identity(self._path, f"{self.shape} {self.dtype}")

    def close(self) -> None:
        """Close the file and forget its tiles."""
        self._files.close()
        self._cache.clear()

    def _read(self, region: Region) -> NDArray[Any]:
        *planes, rows, columns = region
        with self._damage_reported():
            read = [self._plane(plane, rows, columns) for plane in range(*(planes[0] if planes else (0, 1)))]
        return np.stack(read) if planes else read[0]

    def _plane(self, plane: int, rows: tuple[int, int], columns: tuple[int, int]) -> NDArray[Any]:
        """Return a part of one plane, (h, w, C)."""
        channel = self._picture.channel_axis
        places = [
            range(n) if axis == channel else (plane,) if axis == self._depth_axis else (0,)
            for axis, n in self._outer.items()
        ]
        numbers = np.ravel_multi_index(np.ix_(*places), tuple(self._outer.values())).ravel() if places else [0]
        stored = np.concatenate([self._part(int(number), rows, columns) for number in numbers], axis=2)
        if self._stored:
            return stored.astype(self.dtype, copy=False)
        return tiff_as_seen(stored, self._picture)

    def _part(self, number: int, rows: tuple[int, int], columns: tuple[int, int]) -> NDArray[Any]:
        """Return a part of one page as (h, w, S) stored values."""
        page, (separate, _, height, width, together) = self._page, self._page.shaped
        if self._is_mapped:
            if self._offset is not None:
                offset = self._offset + number * page.nbytes
            else:
                offset = self._page_of(number).dataoffsets[0]
            stored_type = self._type.newbyteorder(page.parent.byteorder)
            mapped = np.memmap(self._path, stored_type, "r", offset, (separate, height, width, together))
            found = mapped[:, slice(*rows), slice(*columns)]
            return found.transpose(1, 2, 0, 3).reshape(*found.shape[1:3], -1).astype(self._type)
        out = np.empty((rows[1] - rows[0], columns[1] - columns[0], separate * together), self._type)
        tall, wide = page.chunks[:2]
        down, across = -(-height // tall), -(-width // wide)
        for sample in range(separate):
            for row in range(rows[0] // tall, -(-rows[1] // tall)):
                for column in range(columns[0] // wide, -(-columns[1] // wide)):
                    tile = self._tile(number, (sample * down + row) * across + column)
                    top, left = max(rows[0], row * tall), max(columns[0], column * wide)
                    bottom, right = min(rows[1], (row + 1) * tall), min(columns[1], (column + 1) * wide)
                    out[
                        top - rows[0] : bottom - rows[0],
                        left - columns[0] : right - columns[0],
                        sample * together : (sample + 1) * together,
                    ] = tile[top - row * tall : bottom - row * tall, left - column * wide : right - column * wide]
        return out

    def _tile(self, number: int, index: int) -> NDArray[Any]:
        """Return one tile or strip of a page, (h, w, S), from the cache or from the file."""
        key = (number, index)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        tile = self._unpacked(number, index)
        self._cache[key] = tile
        self._cached_bytes += tile.nbytes
        while self._cached_bytes > _CACHE_BYTES and len(self._cache) > 1:
            self._cached_bytes -= self._cache.popitem(last=False)[1].nbytes
        return tile

    def _unpacked(self, number: int, index: int) -> NDArray[Any]:
        page, keyframe = self._page_of(number), self._page
        start, count = page.dataoffsets[index], page.databytecounts[index]
        if not count:
            return np.zeros((*keyframe.chunks[:2], keyframe.shaped[-1]), self._type)
        file = keyframe.parent.filehandle
        file.seek(start)
        packed = file.read(count)
        if self._is_lzw:
            packed = unpack_segment(keyframe, index, packed)
        if int(keyframe.compression) == _JPEG:
            check_jpeg(packed, keyframe)
            segment = keyframe.decode(packed, index, jpegtables=page.jpegtables)[0]
        else:
            segment = keyframe.decode(packed, index)[0]
        if segment is None:
            raise TruncatedError(f"its tile or strip {index} is empty")
        return segment[0]

    def _page_of(self, number: int) -> tifffile.TiffPage | tifffile.TiffFrame:
        page = self._picture.series[number]
        if page is None:
            raise TruncatedError(f"its page {number} is missing")
        return page

    @contextmanager
    def _damage_reported(self) -> Iterator[None]:
        """Whatever a decoder raises on hostile bytes becomes one kind of error."""
        try:
            yield
        except ImageError:
            raise
        except UnsupportedError as error:
            raise ImageError(
                f"{self.name} is {show_path(str(error))}, which is not supported", expected=error.expected, do=error.do
            ) from None
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ImageError(
                f"{self.name} is damaged or truncated: {show_path(reason[:200])}",
                expected="a whole image file",
                do=RESTORE,
            ) from None
