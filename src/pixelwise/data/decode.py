"""From a picture's bytes to its values, format by format.

Two readings: `decode` gives what the eye sees (palettes expanded, transparency on white, inks as red, green, blue),
`decode_stored` gives what the file stores (palette indices, bits as 0 and 1), which is what a mask means.

JPEG is decoded by libjpeg-turbo with its slow, exact inverse DCT and smooth chroma upsampling, as Pillow and OpenCV do:
the values are theirs. ICC profiles and gamma chunks are not applied.
"""

from typing import Any, BinaryIO

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import BmpImagePlugin, PngImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile

from pixelwise.data.headers import (
    Header,
    Mode,
    TruncatedError,
    UnsupportedError,
    Window,
    find_format,
    parse_jpeg,
    parse_png,
    parse_webp,
)
from pixelwise.data.png import decode_png, decode_png_stored
from pixelwise.data.tiff import TiffPicture, open_tiff

_EXACT_IN_FLOAT32 = 1 << 24


def read_header(window: Window, stream: BinaryIO, name: str) -> Header:
    """Read what the first bytes declare.

    Raises:
        ImageError: empty, or not a readable format.
        Exception: whatever a parser raises on damaged bytes.

    """
    found = find_format(window, name)
    if found == "PNG":
        return parse_png(window)
    if found == "JPEG":
        return parse_jpeg(window)
    if found == "WebP":
        return parse_webp(window)
    if found == "TIFF":
        with open_tiff(stream) as picture:
            return picture.header
    return _bmp_header(stream)


def _bmp_header(stream: BinaryIO) -> Header:
    stream.seek(0)
    with BmpImagePlugin.BmpImageFile(stream) as picture:
        modes: dict[str, Mode] = {"1": "1", "L": "L", "P": "P", "RGB": "RGB", "RGBA": "RGBA"}
        mode, (width, height) = modes[picture.mode], picture.size
    return Header("BMP", height, width, mode, 1 if mode == "1" else 8, 1 if mode in ("1", "L") else 3, "uint8")


def decode(stream: BinaryIO, header: Header, frame: int) -> NDArray[Any]:
    """Return (H, W, C) uint8, uint16 or float32 as the eye sees it, in the stored orientation."""
    if header.format == "JPEG":
        return _decode_jpeg(_content(stream), header)
    if header.format == "PNG" and header.frames == 1:
        return flatten(decode_png(_content(stream), header), header.channels)
    if header.format == "TIFF":
        return _decode_tiff(stream, frame)
    with _pillow(stream, header, frame) as picture:
        return flatten(_pillow_pixels(picture), header.channels)


def decode_stored(stream: BinaryIO, header: Header, frame: int) -> NDArray[Any]:
    """Return (H, W, S) as stored: palette indices, unstretched bits, no transparency applied.

    Raises:
        TruncatedError: the stored values have no meaning as labels (inks, white as the smallest value).

    """
    if header.format == "PNG" and header.frames == 1:
        return decode_png_stored(_content(stream), header)
    if header.format == "TIFF":
        with open_tiff(stream) as picture:
            if picture.white_is_zero and header.bits > 1:  # tifffile declares so every array of truth values
                raise TruncatedError("white is its smallest value (an inverted table); save the mask without it")
            values = picture.stored(frame)
        return values.view(np.uint8) if values.dtype == np.bool_ else values
    with _pillow(stream, header, frame) as picture:
        values = _three_axes(np.asarray(picture))
        return values.view(np.uint8) if values.dtype == np.bool_ else values


def flatten(pixels: NDArray[Any], channels: int, *, premultiplied: bool = False) -> NDArray[Any]:
    """Lay (H, W, 2 or 4) with alpha over white, and keep ``channels``; colours that alpha hides leave no trace.

    Integers, rounded to the nearest: (c * a + top * (top - a)) / top, or c + top - a where c is premultiplied.
    """
    if pixels.shape[2] not in (2, 4):
        return pixels
    colours, alpha = pixels[..., :-1], pixels[..., -1:]
    top = int(np.iinfo(pixels.dtype).max)
    if int(alpha.min(initial=top)) == top:
        return np.ascontiguousarray(colours[..., :channels])
    over, wide = alpha.astype(np.uint64), colours.astype(np.uint64)
    if premultiplied:
        laid = np.minimum(wide + (top - over), top)
    else:
        laid = (wide * over + top * (top - over) + top // 2) // top
    return laid[..., :channels].astype(pixels.dtype)


def inks_to_rgb(inks: NDArray[Any]) -> NDArray[Any]:
    """Turn (H, W, 4) cyan, magenta, yellow, black (top = full ink) into RGB: (top - ink) * (top - black) / top."""
    top = int(np.iinfo(inks.dtype).max)
    light = top - inks.astype(np.uint64)
    return ((light[..., :3] * light[..., 3:] + top // 2) // top).astype(inks.dtype)


def _content(stream: BinaryIO) -> bytes:
    stream.seek(0)
    return stream.read()


def _three_axes(values: NDArray[Any]) -> NDArray[Any]:
    return values if values.ndim == 3 else values[..., None]


def _decode_jpeg(content: bytes, header: Header) -> NDArray[Any]:
    height, width, *_ = simplejpeg.decode_jpeg_header(content, strict=False)
    if (height, width) != (header.height, header.width):  # a second parser's opinion, before anything is allocated
        raise TruncatedError("its headers contradict each other")
    space = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}[header.mode]
    try:
        pixels = simplejpeg.decode_jpeg(content, colorspace=space)
    except ValueError as error:
        # Stray bytes after the last pixel harm nothing; every other complaint means that pixels are wrong or missing.
        if "extraneous bytes before marker 0xd9" not in str(error):
            raise
        pixels = simplejpeg.decode_jpeg(content, colorspace=space, strict=False)
    if header.mode != "CMYK":
        return pixels
    return inks_to_rgb(255 - pixels if header.inverted_inks else pixels)


def _decode_tiff(stream: BinaryIO, frame: int) -> NDArray[Any]:
    with open_tiff(stream) as picture:
        return tiff_as_seen(picture.stored(frame), picture)


def tiff_as_seen(values: NDArray[Any], picture: TiffPicture) -> NDArray[Any]:
    """Turn a TIFF's (H, W, S) stored values, of the whole picture or of a part, into (H, W, C) as the eye sees them."""
    header = picture.header
    if header.mode == "P":
        return picture.palette[values[..., 0]]
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    elif header.bits < 8:
        values = values * np.uint8(255 // ((1 << header.bits) - 1))
    if picture.white_is_zero:
        top = (1 << header.bits) - 1 if header.bits > 8 else 255
        values[..., :1] = top - values[..., :1]
    if header.mode == "CMYK":
        return inks_to_rgb(values)
    if header.mode in ("LA", "RGBA"):
        return flatten(values, header.channels, premultiplied=picture.premultiplied)
    return _to_read_dtype(values, header)


def _to_read_dtype(values: NDArray[Any], header: Header) -> NDArray[Any]:
    if values.dtype.name == header.dtype:
        return values
    if values.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        if max(-low, high) > _EXACT_IN_FLOAT32:
            raise UnsupportedError(
                f"a picture of {values.dtype} values {low} to {high}",
                expected="values within +-16,777,216 (2^24), where float32 is exact",
                do="Subtract an offset or divide by a factor, and save it anew",
            )
    with np.errstate(over="ignore"):  # an overflow becomes an infinity, which is refused with its count
        return values.astype(header.dtype)


def _pillow(stream: BinaryIO, header: Header, frame: int) -> ImageFile:
    """Open by the one plug-in that fits; `PIL.Image.open` would warn or fail by a limit of its own."""
    stream.seek(0)
    plugins = {"BMP": BmpImagePlugin.BmpImageFile, "PNG": PngImagePlugin.PngImageFile}
    if header.format == "PNG" and header.bits == 16:
        raise UnsupportedError(
            "an animated PNG of 16 bits a sample",
            expected="an animation of 8 bits, or one picture a file",
            do="Save its pictures as PNG files of their own",
        )
    picture = plugins.get(header.format, WebPImagePlugin.WebPImageFile)(stream)
    if picture.size != (header.width, header.height):
        raise TruncatedError("its headers contradict each other")
    if frame:
        picture.seek(frame)
    return picture


def _pillow_pixels(picture: ImageFile) -> NDArray[Any]:
    if picture.mode == "P":
        return np.asarray(picture.convert("RGBA"))
    values = np.asarray(picture)
    return _three_axes(values.astype(np.uint8) * np.uint8(255) if values.dtype == np.bool_ else values)
