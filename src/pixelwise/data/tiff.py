"""TIFF pictures: what the first series declares, and one frame of it.

A TIFF holds pages; ImageJ, OME and tifffile say in their descriptions how pages form stacks. The first series decides:
its Y and X axes are the picture, its sample axis S (or, without one, its channel axis C) are the channels, every other
axis (Z, T, pages) counts frames. Further files that an OME description names are never opened.
"""

import io
import logging
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from pixelwise.data.headers import Header, Mode, TruncatedError, UnsupportedError, Window, parse_jpeg
from pixelwise.data.names import counted
from pixelwise.data.tiff_lzw import LZW, read_lzw_page

# Damaged tags are logged by tifffile; without a handler Python would print them on the terminal.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR = 0, 1, 2, 3, 5, 6
_JPEG = 7
_LOSSLESS = {1, 5, 8, 32773, 32946, 50000}  # none, LZW, deflate (two numbers), PackBits, Zstandard
_COMPRESSIONS = "without compression, or with LZW, Deflate, PackBits, Zstandard or JPEG compression"
_REPACK = (
    "Convert it, for instance in Python: "
    """tifffile.imwrite("OUT.tif", tifffile.imread("IN.tif"), compression="zlib")"""
)
_NUMBERS = "whole numbers of 1 to 64 bits, or real ones of 16, 32 or 64"
_PART = "Save magnitude and phase, or real and imaginary part, as two channels of real numbers"
_ALPHA = ((1,), (2,))
_PREMULTIPLIED = (1,)
_SMALL_CHUNK = 1 << 24
_FULL_PAGE = {0, 2}  # NewSubfileType: neither a thumbnail nor a transparency mask


class TiffPicture:
    """The first series of an open TIFF."""

    def __init__(self, file: tifffile.TiffFile) -> None:
        self._file = file
        if not file.series:
            raise TruncatedError("it holds no page")
        self._series = file.series[0]
        self._page = self._series.keyframe
        letters = self._series.axes  # an unnamed axis is Q, and there may be several
        axes = [axis if axis not in letters[:k] else f"{axis}{k}" for k, axis in enumerate(letters)]
        self._sizes = dict(zip(axes, self._series.shape, strict=True))
        if not {"Y", "X"} <= self._sizes.keys():
            raise TruncatedError(f"its axes {self._series.axes} do not form a picture")
        self._channel_axis = next((axis for axis in "SC" if self._sizes.get(axis, 1) > 1), "")
        self._check_one_size()
        self._packed_by_lzw = int(self._page.compression) == LZW
        self.header = self._header()

    @property
    def series(self) -> tifffile.TiffPageSeries:
        """The pages that belong together; their finest level, where there are several."""
        return self._series

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each axis of the series, by its letter, the slowest first."""
        return self._sizes

    @property
    def channel_axis(self) -> str:
        """The letter of the axis of channels; empty where there is one channel."""
        return self._channel_axis

    def _check_one_size(self) -> None:
        if self._series.kind not in ("generic", "uniform"):
            return
        sizes = {self._page.shape[:2]} | {
            other.keyframe.shape[:2] for other in self._file.series if int(other.keyframe.subfiletype) in _FULL_PAGE
        }
        if len(sizes) > 1:
            shown = ", ".join(f"{height}x{width}" for height, width in sorted(sizes)[:5])
            raise _unsupported(
                f"a TIFF whose pages have several sizes ({shown})",
                "pages of one size",
                "Save each page as a file of its own",
            )

    def _header(self) -> Header:
        page, samples = self._page, self._sizes.get(self._channel_axis, 1)
        bits = page.bitspersample
        if int(page.compression) not in _LOSSLESS | {_JPEG}:  # the rest is rare; fax decoders crash on damage
            name = getattr(page.compression, "name", page.compression)
            raise _unsupported(f"a TIFF with {name} compression", f"a TIFF {_COMPRESSIONS}", _REPACK)
        if not isinstance(bits, int):
            raise _unsupported(f"a TIFF whose channels have different depths {tuple(bits)}", "one depth", _REPACK)
        if page.dtype is not None and page.dtype.kind == "c":
            raise _unsupported(f"a TIFF of complex numbers ({page.dtype})", _NUMBERS, _PART)
        mode = self._mode(samples)
        if page.dtype is None or page.dtype.kind not in "buif":
            raise _unsupported(f"a TIFF whose pixels are {page.dtype}", _NUMBERS, _REPACK)
        whole = {"bool": "uint8", "uint8": "uint8", "uint16": "uint16"}.get(page.dtype.name, "float32")
        orientation = page.tags.get(274)
        colours: dict[Mode, int] = {"LA": 1, "P": 3, "RGBA": 3, "CMYK": 3}
        frames = math.prod(self._sizes.values()) // (self._sizes["Y"] * self._sizes["X"] * samples)
        return Header(
            "TIFF", self._sizes["Y"], self._sizes["X"], mode, bits, colours.get(mode, samples),
            "uint8" if mode == "P" else whole, frames,
            orientation.value if orientation is not None and orientation.value in range(1, 9) else 1,
            int(page.compression) not in _LOSSLESS,
        )  # fmt: skip

    def _mode(self, samples: int) -> Mode:
        page = self._page
        kind, alpha = int(page.photometric), tuple(int(extra) for extra in page.extrasamples) in _ALPHA
        if self._channel_axis == "C" and kind in (_WHITE_IS_ZERO, _BLACK_IS_ZERO):
            return "N"
        if kind == _WHITE_IS_ZERO and page.dtype is not None and page.dtype.kind not in "bu":
            raise _unsupported(
                f"a TIFF of {page.dtype} numbers in which white is the smallest value",
                "black as the smallest value of signed or real numbers",
                "Turn the values round, and save it with black as the smallest (photometric: minisblack)",
            )
        plain: dict[tuple[int, int], Mode] = {
            (_WHITE_IS_ZERO, 1): "L", (_BLACK_IS_ZERO, 1): "L", (_RGB, 3): "RGB", (_PALETTE, 1): "P",
            (_SEPARATED, 4): "CMYK",
        }  # fmt: skip
        if (kind, samples) in plain:
            return "1" if plain[kind, samples] == "L" and page.bitspersample == 1 else plain[kind, samples]
        if alpha and (kind, samples) in ((_WHITE_IS_ZERO, 2), (_BLACK_IS_ZERO, 2), (_RGB, 4)):
            if page.dtype is not None and page.dtype.kind not in "u":
                raise _unsupported(
                    f"a TIFF of {page.dtype} numbers with transparency (alpha)",
                    "alpha beside whole numbers, whose range is known",
                    "Save it without its alpha channel",
                )
            return "LA" if samples == 2 else "RGBA"
        if kind in (_BLACK_IS_ZERO, _RGB, _SEPARATED):
            return "N"
        if kind == _YCBCR and samples == 3 and int(page.compression) == _JPEG:
            return "RGB"  # the JPEG decoder converts
        raise _unsupported(
            f"a TIFF in the colour space {getattr(page.photometric, 'name', kind)} with {counted(samples, 'channel')}",
            "grey, RGB, palette, CMYK, or any number of measured channels",
            "Save it as RGB or grey TIFF or PNG, for instance with ImageMagick: magick IN.tif -colorspace sRGB OUT.png",
        )

    @property
    def white_is_zero(self) -> bool:
        """Whether the smallest stored value is white."""
        return int(self._page.photometric) == _WHITE_IS_ZERO

    @property
    def premultiplied(self) -> bool:
        """Whether the colours are already multiplied by alpha ("associated" alpha)."""
        return tuple(int(extra) for extra in self._page.extrasamples) == _PREMULTIPLIED

    @property
    def palette(self) -> NDArray[np.uint8]:
        """(n, 3) colours. TIFF stores 16 bits for each; those that fill only 8 are taken as they are."""
        colours: NDArray[Any] = np.asarray(self._page.colormap).T
        return (colours if colours.max(initial=0) < 256 else colours >> 8).astype(np.uint8)

    def stored(self, frame: int) -> NDArray[Any]:
        """Return one frame as (H, W, S) stored values.

        Raises:
            TruncatedError: the file ends before the frame's data do.

        """
        limit = max(4 * math.prod(self._page.shape), _SMALL_CHUNK)
        if math.prod(self._page.chunks) > limit:
            raise TruncatedError(f"its tiles of {self._page.chunks} exceed the picture")
        outer = {axis: n for axis, n in self._sizes.items() if axis not in ("Y", "X", "S")}
        position = dict(zip(
            (axis for axis in outer if axis != self._channel_axis),
            np.unravel_index(frame, [n for axis, n in outer.items() if axis != self._channel_axis] or [1]),
            strict=False,
        ))  # fmt: skip
        inner = [axis for axis in self._sizes if axis in ("Y", "X", self._channel_axis)]
        pages = len(self._series)
        if pages == math.prod(outer.values()) and pages > 1:
            number = np.arange(pages).reshape(tuple(outer.values()))
            keys = number[tuple(slice(None) if axis == self._channel_axis else position[axis] for axis in outer)]
            chosen = [int(key) for key in np.ravel(keys)]
            stack = np.stack([self._read(page) for page in self._complete(chosen)])
            values = stack.reshape([self._sizes[axis] for axis in inner])
        else:
            complete = self._complete(list(range(pages)))
            if self._packed_by_lzw and (pages > 1 or math.prod(outer.values()) > 1):
                raise TruncatedError("its pages do not fill its axes")
            whole = self._read(complete[0]) if self._packed_by_lzw else self._series.asarray()
            whole = whole.reshape(tuple(self._sizes.values()))
            values = whole[tuple(position.get(axis, slice(None)) for axis in self._sizes)]
        order = [inner.index(axis) for axis in ("Y", "X", self._channel_axis) if axis]
        picture = values.transpose(order)
        return picture if picture.ndim == 3 else picture[..., None]

    @property
    def frame_axes(self) -> dict[str, int]:
        """The axes that count frames, with more than one entry each, by tifffile's letters (Z, T, I, Q ...)."""
        outer = {axis: n for axis, n in self._sizes.items() if axis not in ("Y", "X", self._channel_axis)}
        return {axis: n for axis, n in outer.items() if n > 1}

    def stored_stack(self) -> NDArray[Any]:
        """Return all frames as (frames, H, W, S) stored values; raises as :meth:`stored`."""
        if len(self._series) > 1:
            return np.stack([self.stored(frame) for frame in range(self.header.frames)])
        whole = self._read(self._complete([0])[0]) if self._packed_by_lzw else self._whole_series()
        values = whole.reshape(tuple(self._sizes.values()))
        inner = [axis for axis in ("Y", "X", self._channel_axis) if axis]
        places = list(self._sizes)
        outer = [place for place, axis in enumerate(places) if axis not in inner]
        stack = values.transpose(outer + [places.index(axis) for axis in inner])
        return stack.reshape(-1, self._sizes["Y"], self._sizes["X"], self._sizes.get(self._channel_axis, 1))

    def _whole_series(self) -> NDArray[Any]:
        self._complete([0])
        return self._series.asarray()

    def _read(self, page: tifffile.TiffPage | tifffile.TiffFrame) -> NDArray[Any]:
        return read_lzw_page(page) if self._packed_by_lzw else page.asarray()

    def _complete(self, numbers: list[int]) -> list[tifffile.TiffPage | tifffile.TiffFrame]:
        """Return these pages, whose data the file holds to the last byte."""
        size, pages = self._file.filehandle.size, []
        for number in numbers:
            page = self._series[number]
            if page is None:
                raise TruncatedError(f"its page {number} is missing")
            ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
            if max(ends, default=0) > size:
                raise TruncatedError(f"it ends after {size} bytes of {max(ends)}")
            if int(self._page.compression) == _JPEG:
                self._check_jpegs(page)
            pages.append(page)
        return pages

    def _check_jpegs(self, page: tifffile.TiffPage | tifffile.TiffFrame) -> None:
        for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            if count:
                self._file.filehandle.seek(start)
                check_jpeg(self._file.filehandle.read(count), self._page)


def check_jpeg(content: bytes, page: tifffile.TiffPage) -> None:
    """Refuse a JPEG inside that is larger than its tile, before its decoder makes room for it.

    Raises:
        TruncatedError: it is.

    """
    rows, columns = page.chunks[:2]
    inside = parse_jpeg(Window.over(content))
    if inside.height > rows or inside.width > columns:
        raise TruncatedError("a JPEG inside is larger than its place")


def _unsupported(what: str, expected: str, do: str) -> UnsupportedError:
    return UnsupportedError(what, expected=expected, do=do)


@contextmanager
def open_tiff(stream: BinaryIO) -> Iterator[TiffPicture]:
    """Open a TIFF from a seekable stream, which stays open."""
    _check_chain(stream)
    stream.seek(0)
    with tifffile.TiffFile(stream, name="picture", _multifile=False) as file:
        yield TiffPicture(file)


def _check_chain(stream: BinaryIO) -> None:
    """Follow the chain of pages, so that a ring is refused before tifffile runs around it."""
    size = stream.seek(0, io.SEEK_END)
    head = _bytes_at(stream, 0, 16)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    width, count_format, offset_format = (20, order + "Q", order + "Q") if big else (12, order + "H", order + "I")
    count_bytes, offset_bytes = struct.calcsize(count_format), struct.calcsize(offset_format)
    (position,) = struct.unpack_from(offset_format, head, 8 if big else 4)
    seen: set[int] = set()
    while 0 < position < size:
        if position in seen:
            raise TruncatedError("its pages form a ring")
        seen.add(position)
        (count,) = struct.unpack(count_format, _bytes_at(stream, position, count_bytes))
        after = position + count_bytes + count * width
        if after + offset_bytes > size:
            break
        (position,) = struct.unpack(offset_format, _bytes_at(stream, after, offset_bytes))


def _bytes_at(stream: BinaryIO, position: int, count: int) -> bytes:
    stream.seek(position)
    found = stream.read(count)
    if len(found) < count:
        raise TruncatedError("it ends inside its header")
    return found
