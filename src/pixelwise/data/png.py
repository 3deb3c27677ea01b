"""PNG pixels, all of whose depths survive.

No one decoder serves: Pillow cuts 16-bit colour to 8 bits, libspng's binding lacks some layouts, libpng's binding in
imagecodecs corrupts memory on damaged files. So libspng decodes what it can, a few layouts are renamed into others of
the same bytes per pixel (PNG's filters see bytes only), Pillow takes two and OpenCV one, and transparency is applied
here.
"""

import struct
import zlib
from io import BytesIO
from typing import Any

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile

from pixelwise.data.headers import Header, TruncatedError

_GREY, _COLOUR_ALPHA = 0, 6


def decode_png(content: bytes, header: Header) -> NDArray[Any]:
    """Return (H, W, 1 to 4) uint8 or uint16: palette expanded, bits stretched, a transparent key colour as alpha."""
    clear = _chunk(content, b"tRNS")
    if header.mode == "P" and clear:
        return _expanded(decode_png_stored(content, header)[..., 0], content, clear)
    pixels = _decoded(content, header)
    if clear is None or header.mode not in ("1", "L", "RGB"):
        return pixels
    key = np.array(struct.unpack(f">{pixels.shape[2]}H", clear), np.uint32)
    stretched = key * (255 // ((1 << header.bits) - 1)) if header.bits < 8 else key
    alpha = np.where((pixels == stretched).all(axis=2, keepdims=True), 0, np.iinfo(pixels.dtype).max)
    return np.concatenate([pixels, alpha.astype(pixels.dtype)], axis=2)


def decode_png_stored(content: bytes, header: Header) -> NDArray[Any]:
    """Return (H, W, S) as stored: palette indices, bits not stretched, key colours not applied."""
    values = _decoded(_renamed(content, _GREY, header.bits) if header.mode == "P" else content, header)
    return values // (255 // ((1 << header.bits) - 1)) if header.bits < 8 else values


def _decoded(content: bytes, header: Header) -> NDArray[Any]:
    layout = (header.mode, header.bits)
    if layout == ("LA", 16):
        four_bytes: NDArray[np.uint8] = imagecodecs.spng_decode(_renamed(content, _COLOUR_ALPHA, 8))
        return four_bytes.view(">u2").astype(np.uint16)
    if layout in (("LA", 8), ("L", 16)):
        with PngImageFile(BytesIO(content)) as picture:
            return _three_axes(np.asarray(picture))
    if layout == ("RGB", 16):
        return _decoded_by_opencv(content, header)
    return _three_axes(np.asarray(imagecodecs.spng_decode(content)))


def _decoded_by_opencv(content: bytes, header: Header) -> NDArray[Any]:
    # Some OpenCV versions hand out half a picture; so the stream is unpacked here first, which must succeed in full.
    rows = zlib.decompress(b"".join(_chunks(content, b"IDAT")))
    if not header.interlaced and len(rows) < header.height * (1 + 6 * header.width):
        raise TruncatedError("its pixels end too early")
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise TruncatedError("its pixels cannot be unpacked")
    return np.ascontiguousarray(pixels[..., 2::-1])  # blue, green, red, and perhaps an alpha that is made here anew


def _expanded(indices: NDArray[np.uint8], content: bytes, clear: bytes) -> NDArray[np.uint8]:
    colours = np.frombuffer(_chunk(content, b"PLTE") or b"", np.uint8).reshape(-1, 3)
    if int(indices.max()) >= len(colours):
        raise TruncatedError(f"it uses colour {int(indices.max())} of a palette of {len(colours)}")
    table = np.full((len(colours), 4), 255, np.uint8)
    table[:, :3] = colours
    table[: len(clear), 3] = np.frombuffer(clear[: len(colours)], np.uint8)
    return table[indices]


def _three_axes(values: NDArray[Any]) -> NDArray[Any]:
    return values if values.ndim == 3 else values[..., None]


def _chunk(content: bytes, wanted: bytes) -> bytes | None:
    found = _chunks(content, wanted)
    return found[0] if found else None


def _chunks(content: bytes, wanted: bytes) -> list[bytes]:
    """Return the content of every chunk of a kind.

    Raises:
        TruncatedError: a checksum is wrong.

    """
    found, position = [], 8
    while position + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        if kind == wanted:
            body = content[position + 4 : position + 8 + length]
            if content[position + 8 + length : position + 12 + length] != struct.pack(">I", zlib.crc32(body)):
                raise TruncatedError(f"{kind.decode()}: CRC error")
            found.append(body[4:])
        elif kind == b"IDAT" and wanted != b"IDAT":
            break  # palette and transparency stand before the pixels
        position += length + 12
    return found


def _renamed(content: bytes, colour: int, bits: int) -> bytes:
    """Declare another layout of the same bytes per pixel, and leave out all that is not pixels."""
    kept, position = [content[:8]], 8
    while position + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        block = content[position : position + length + 12]
        if kind == b"IHDR":
            body = b"IHDR" + block[8:16] + bytes([bits, colour]) + block[18:21]
            block = block[:4] + body + struct.pack(">I", zlib.crc32(body))
        if kind in (b"IHDR", b"IDAT", b"IEND"):
            kept.append(block)
        position += length + 12
    return b"".join(kept)
