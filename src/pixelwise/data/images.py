"""One picture: its header, its pixels.

What a reader returns, and which rule stands behind it:

- always (H, W, C) in RGB order, uint8, uint16 or float32; 16 bits are never cut to 8; 9 to 15 bits keep their values;
- 1, 2 and 4 bits are stretched to 0..255, as PNG demands; 8-, 16-, 32-bit signed, 32-bit unsigned and half or double
  precision TIFFs become float32, and integers that float32 cannot hold exactly are refused;
- palettes are expanded; transparency is laid over white; CMYK becomes RGB by (1 - ink)(1 - black);
- the EXIF (or TIFF) orientation is applied;
- NaN and infinity are refused; a picture is whole or it is refused, never filled up with grey;
- one frame: of several, the caller says which.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.decode import decode, decode_stored, read_header
from pixelwise.data.headers import RESTORE, Header, UnsupportedError, Window, open_regular, unreadable
from pixelwise.data.names import show_path
from pixelwise.data.zarr_pictures import is_zarr_name, open_zarr, read_zarr, zarr_header
from pixelwise.errors import ImageError, MaskError

MAX_PIXELS = 2**28
"""Pictures that declare more pixels are refused before decoding: decompression bombs, or work for tiles."""

IMAGE_SUFFIXES: frozenset[str] = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"})
"""What picture files are usually called; a file's format is told by its content."""

FORMAT_SUFFIXES = {
    "JPEG": frozenset({".jpg", ".jpeg", ".jpe", ".jfif"}), "PNG": frozenset({".png"}), "BMP": frozenset({".bmp"}),
    "TIFF": frozenset({".tif", ".tiff", ".lsm"}), "WebP": frozenset({".webp"}),
    "Zarr": frozenset({".zarr", ".ome.zarr"}),
}  # fmt: skip
"""The names that fit each format."""

_SWAPS_AXES = 5  # orientations from here on exchange height and width
_LUMA = (19595, 38470, 7471)  # ITU-R BT.601: 0.299, 0.587, 0.114 in 1/65536


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What a header declares about the array that `read_image` returns.

    ``height`` and ``width`` hold after the orientation; ``dtype`` is "uint8", "uint16" or "float32"; ``mode`` is how
    the file stores its pixels (see `pixelwise.data.headers.Mode`); ``orientation`` is the EXIF number, 1 for upright;
    ``lossy`` says that the values stored are not those that were saved.
    """

    height: int
    width: int
    channels: int
    dtype: str
    frames: int
    format: str
    mode: str
    orientation: int = 1
    lossy: bool = False


def probe(path: Path, *, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """Read a picture's header and nothing else.

    Raises:
        ImageError: missing, unreadable, empty, of a foreign format, damaged in its header, or of too many pixels.

    """
    name = show_path(str(path))
    if is_zarr_name(path):
        with open_zarr(path, missing="fill") as source:  # chunks are none of the header's business
            return _info(_of_legal_size(zarr_header(source), name, max_pixels))
    with _opened(path) as (window, stream):
        return _info(_checked_header(window, stream, name, max_pixels))


def probe_bytes(content: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """Read the header of a picture in memory; ``name`` is for messages. See `probe`."""
    return _info(_checked_header(Window.over(content), BytesIO(content), name, max_pixels))


def read_image(path: Path, *, frame: int | None = None, max_pixels: int = MAX_PIXELS) -> NDArray[Any]:
    """Read one picture.

    Args:
        path: the file.
        frame: which one of several (TIFF pages, animations), from 0; needed where there are several.
        max_pixels: the most pixels that the header may declare.

    Returns:
        (H, W, C) uint8, uint16 or float32, RGB order, C-contiguous.

    Raises:
        ImageError: see `probe`; also truncated, damaged, NaN or infinite pixels, no such frame.

    """
    name = show_path(str(path))
    if is_zarr_name(path):
        with open_zarr(path) as source:
            _frame_index(_of_legal_size(zarr_header(source), name, max_pixels), frame, name)
            return read_zarr(source)
    with _opened(path) as (window, stream):
        return _read(window, stream, name, frame, max_pixels)


def read_image_bytes(
    content: bytes, name: str, *, frame: int | None = None, max_pixels: int = MAX_PIXELS
) -> NDArray[Any]:
    """Read one picture from memory; ``name`` is for messages. See `read_image`."""
    return _read(Window.over(content), BytesIO(content), name, frame, max_pixels)


def read_stored(path: Path, *, frame: int | None = None, max_pixels: int = MAX_PIXELS) -> tuple[Header, NDArray[Any]]:
    """Read the header and the (H, W, S) values as stored (palette indices, plain bits), upright. For masks.

    Raises:
        MaskError: the format is lossy (JPEG, lossy WebP or TIFF), so that the stored values are not those drawn.
        ImageError: see `read_image`.

    """
    name = show_path(str(path))
    if is_zarr_name(path):
        with open_zarr(path, stored=True, missing="fill") as source:
            header = _of_legal_size(zarr_header(source), name, max_pixels)
            _frame_index(header, frame, name)
            return header, read_zarr(source)
    with _opened(path) as (window, stream):
        header = _checked_header(window, stream, name, max_pixels)
        refuse_lossy(header, name)
        index = _frame_index(header, frame, name)
        with _damage_reported(name):
            values = decode_stored(stream, header, index)
    return header, upright(values, header.orientation)


def refuse_lossy(header: Header | ImageInfo, name: str) -> None:
    """Refuse a mask whose stored values are not those that were drawn.

    Raises:
        MaskError: the format is lossy.

    """
    if header.lossy:
        raise MaskError(
            f"{name} is a lossy {header.format}: its values are not those that were drawn",
            expected="a mask in a lossless format",
            do="Export the masks anew as PNG; thresholding a JPEG leaves wrong borders",
        )


def to_channels(image: NDArray[Any], channels: int, name: str) -> NDArray[Any]:
    """Give an (H, W, C) picture ``channels`` channels.

    3 to 1 by ITU-R BT.601 luma (0.299 R + 0.587 G + 0.114 B, rounded for integers), 1 to n by repetition, n to n as it
    is.

    Raises:
        ImageError: any other change would invent or drop measurements.

    """
    found = image.shape[2]
    if found == channels:
        return image
    if found == 1:
        return np.repeat(image, channels, axis=2)
    if (found, channels) != (3, 1):
        raise ImageError(
            f"{name} has {found} channels",
            expected=f"{channels} channel{'s' if channels > 1 else ''}",
            do="Convert the picture, or train with the channels that it has",
        )
    if image.dtype == np.float32:
        return (image @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    wide = image.astype(np.uint32)
    luma = sum(wide[..., k] * np.uint32(weight) for k, weight in enumerate(_LUMA)) + np.uint32(1 << 15)
    return (luma >> np.uint32(16)).astype(image.dtype)[..., None]


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn an (H, W, C) raster by its EXIF orientation, 1 to 8, as a contiguous array."""
    if orientation >= _SWAPS_AXES:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _read(window: Window, stream: BinaryIO, name: str, frame: int | None, max_pixels: int) -> NDArray[Any]:
    header = _checked_header(window, stream, name, max_pixels)
    index = _frame_index(header, frame, name)
    with _damage_reported(name):
        pixels = decode(stream, header, index)
    if pixels.shape != (header.height, header.width, header.channels) or pixels.dtype.name != header.dtype:
        raise _damaged(name, f"its pixels ({pixels.shape}, {pixels.dtype}) do not agree with its header")
    if pixels.dtype == np.float32:
        _refuse_not_finite(pixels, name)
    return upright(pixels, header.orientation)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Window, BinaryIO]]:
    handle, size_bytes = open_regular(path)
    with os.fdopen(handle, "rb") as stream:
        try:
            yield Window(size_bytes, lambda start, count: os.pread(handle, count, start)), stream
        except OSError as error:
            raise unreadable(path, error) from None


@contextmanager
def _damage_reported(name: str) -> Iterator[None]:
    """Whatever a decoder raises on hostile bytes becomes one kind of error."""
    try:
        yield
    except ImageError:
        raise
    except UnsupportedError as error:
        raise ImageError(
            f"{name} is {show_path(str(error))}, which is not supported", expected=error.expected, do=error.do
        ) from None
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise _damaged(name, reason[:200]) from None


def _damaged(name: str, reason: str) -> ImageError:
    return ImageError(f"{name} is damaged or truncated: {show_path(reason)}", expected="a whole image file", do=RESTORE)


_TOO_LARGE = "Cut it into tiles; from Python, read_image(path, max_pixels=...) reads it if you trust the file"


def _checked_header(window: Window, stream: BinaryIO, name: str, max_pixels: int) -> Header:
    with _damage_reported(name):
        header = read_header(window, stream, name)
    return _of_legal_size(header, name, max_pixels)


def _of_legal_size(header: Header, name: str, max_pixels: int) -> Header:
    height, width = header.height, header.width
    if height * width > max_pixels:
        raise ImageError(
            f"{name} declares {height:,} x {width:,} = {height * width:,} pixels",
            expected=f"at most {max_pixels:,}",
            do=_TOO_LARGE,
        )
    if math.prod((height, width, header.channels)) > 4 * max_pixels:
        raise ImageError(
            f"{name} declares {height:,} x {width:,} pixels of {header.channels:,} channels",
            expected=f"at most {4 * max_pixels:,} values",
            do=_TOO_LARGE,
        )
    return header


def _frame_index(header: Header, frame: int | None, name: str) -> int:
    if frame is None:
        if header.frames == 1:
            return 0
        raise ImageError(
            f"{name} holds {header.frames} frames",
            expected="one picture",
            do="Split the file into pictures, or from Python choose one: read_image(path, frame=0)",
        )
    if not 0 <= frame < header.frames:
        raise ImageError(
            f"{name} has no frame {frame}", expected=f"0 to {header.frames - 1}", do="Correct the frame number"
        )
    return frame


def _refuse_not_finite(pixels: NDArray[np.float32], name: str) -> None:
    finite = np.isfinite(pixels)
    if not finite.all():
        bad = pixels.size - int(finite.sum())
        raise ImageError(
            f"{name} holds {bad:,} values of {pixels.size:,} that are NaN or infinite",
            expected="finite numbers",
            do="Replace them, for instance by the nearest measured value, and save the picture again",
        )


def _info(header: Header) -> ImageInfo:
    height, width = header.height, header.width
    if header.orientation >= _SWAPS_AXES:
        height, width = width, height
    return ImageInfo(
        height, width, header.channels, header.dtype, header.frames, header.format, header.mode, header.orientation,
        header.lossy,
    )  # fmt: skip
