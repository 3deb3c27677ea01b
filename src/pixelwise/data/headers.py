"""What a picture's first bytes say: format by content, size, mode, orientation, number of frames.

Nothing here decodes a pixel, so a file can be refused before it costs memory. The formats are an allow-list; whatever
else a file turns out to be is named in the refusal, and its decoder is never reached.

Sources: PNG, third edition (W3C, 2025), sections 5 and 11; ITU-T T.81 (JPEG), annex B; RFC 9649 (WebP); Exif 3.0,
section 4.6 (tag 0x0112, orientation).
"""

import os
import stat
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pixelwise.data.names import show_path
from pixelwise.errors import ImageError

Format = Literal["JPEG", "PNG", "TIFF", "BMP", "WebP", "Zarr"]
Mode = Literal["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "N"]
"""How pixels are stored: bilevel, grey, grey + alpha, palette, colour, colour + alpha, inks, n measured channels."""

READABLE = "JPEG, PNG, TIFF, BMP or WebP (told by content, not by name)"
RESTORE = "Restore it from its source, or leave it out"

_HEAD_BYTES = 4096
_MAX_BLOCKS = 1 << 20  # a marker or chunk walk longer than this is an attack, not a picture
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BMP_HEADER_BYTES = {12, 16, 40, 52, 56, 64, 108, 124}
_FOREIGN = (
    (0, b"GIF8", "a GIF"),
    (0, b"%PDF", "a PDF"),
    (0, b"%!PS", "a PostScript (EPS) file"),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript (EPS) file"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"\0\0\0\x0cjP", "a JPEG 2000"),
    (4, b"ftyphe", "a HEIC picture"),
    (4, b"ftypavi", "an AVIF picture"),
    (4, b"ftypmif1", "a HEIC picture"),
    (0, b"v/1\x01", "an OpenEXR picture"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"SIMPLE  =", "a FITS file"),
    (128, b"DICM", "a DICOM file"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip file"),
)


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes of a picture declare.

    ``height`` and ``width`` are those of the stored raster, before the orientation is applied; ``bits`` is the stored
    depth of one sample; ``lossy`` says that stored values may differ from those drawn, so that it cannot be a mask.
    """

    format: Format
    height: int
    width: int
    mode: Mode
    bits: int
    channels: int
    dtype: str
    frames: int = 1
    orientation: int = 1
    lossy: bool = False
    inverted_inks: bool = False
    interlaced: bool = False


class Window:
    """Bytes by position, from memory or from an open file, of which only what is asked for is read."""

    def __init__(self, size_bytes: int, fetch: Callable[[int, int], bytes]) -> None:
        self.size_bytes = size_bytes
        self._fetch = fetch
        self._head = fetch(0, _HEAD_BYTES)

    @classmethod
    def over(cls, content: bytes) -> "Window":
        """Look at bytes in memory."""
        return cls(len(content), lambda start, count: content[start : start + count])

    def at(self, start: int, count: int) -> bytes:
        """Return ``count`` bytes from ``start``, fewer at the end."""
        if start + count <= len(self._head):
            return self._head[start : start + count]
        return self._fetch(start, count)

    def exactly(self, start: int, count: int) -> bytes:
        """Return ``count`` bytes from ``start``.

        Raises:
            TruncatedError: the file ends before.

        """
        found = self.at(start, count)
        if len(found) < count:
            raise TruncatedError(f"it ends after {self.size_bytes} bytes, inside its header")
        return found


class TruncatedError(Exception):
    """The bytes end, or contradict themselves, before the header does."""


class UnsupportedError(Exception):
    """The bytes are sound, and of a kind that is not read here.

    Args:
        what: "a TIFF with JPEG2000 compression".
        expected: the nearest kinds that are read.
        do: how to convert it.

    """

    def __init__(self, what: str, *, expected: str, do: str) -> None:
        super().__init__(what)
        self.expected, self.do = expected, do


def unreadable(path: str | Path, error: OSError) -> ImageError:
    """Turn the system's refusal to open ``path`` into a message that says what to do."""
    if isinstance(error, FileNotFoundError):
        return ImageError(f"{show_path(str(path))} does not exist", expected="an image file", do="Check the path")
    return ImageError(
        f"{show_path(str(path))} cannot be read: {error.strerror or error}",
        expected="a file that you may read",
        do="Check its rights (chmod u+r)",
    )


def open_regular(path: Path) -> tuple[int, int]:
    """Open a regular file for reading; return its descriptor and its size in bytes.

    Raises:
        ImageError: it is missing, may not be read, or is a folder, a pipe or a device.

    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError) as error:
        raise unreadable(path, error if isinstance(error, OSError) else OSError(str(error))) from None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
        raise ImageError(f"{show_path(str(path))} is {kind}", expected="an image file", do="Check the path")
    return handle, status.st_size


def find_format(window: Window, name: str) -> Format:
    """Tell the format by its first bytes.

    Raises:
        ImageError: empty, or not a format of the allow-list.

    """
    head = window.at(0, _HEAD_BYTES)
    if head.startswith(_PNG_MAGIC):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(_TIFF_MAGICS):
        return "TIFF"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP"
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADER_BYTES:
        return "BMP"
    if not head:
        raise ImageError(f"{name} is empty (0 bytes)", expected="an image file", do=RESTORE)
    raise ImageError(
        f"{name} is {_foreign_name(head)}", expected=READABLE, do="Convert it to PNG or TIFF, or leave it out"
    )


def _foreign_name(head: bytes) -> str:
    for start, magic, name in _FOREIGN:
        if head[start : start + len(magic)] == magic:
            return name
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:512].lower()
    if b"<svg" in text:
        return "an SVG drawing"
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if text.startswith(b"<?xml"):
        return "an XML file"
    if any(head) and all(byte >= 32 or byte in b"\t\r\n\f" for byte in head[:512]) and b"\0" not in head:
        return "a text file"
    return "not an image that is known here"


def parse_png(window: Window) -> Header:
    """Read a PNG's chunks up to its end, without its pixels."""
    first = window.exactly(8, 25)
    if first[:8] != b"\0\0\0\rIHDR":
        raise TruncatedError("its first chunk is not IHDR")
    if zlib.crc32(first[4:21]) != int.from_bytes(first[21:25], "big"):
        raise TruncatedError("the checksum of its header is wrong")
    width, height, bits, colour = struct.unpack(">IIBB", first[8:18])
    modes: dict[int, Mode] = {0: "1" if bits == 1 else "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
    if colour not in modes or bits not in (1, 2, 4, 8, 16) or not width or not height:
        raise TruncatedError("its header holds impossible values")
    orientation, frames = _walk_png(window)
    mode = modes[colour]
    return Header(
        "PNG", height, width, mode, bits, 1 if mode in ("1", "L", "LA") else 3, "uint16" if bits == 16 else "uint8",
        frames, orientation, interlaced=bool(first[20]),
    )  # fmt: skip


def _walk_png(window: Window) -> tuple[int, int]:
    """Return the orientation (eXIf) and the number of frames (acTL, and the default image when it is none of them)."""
    orientation, frames, extra, position = 1, 1, 0, 33
    animated = framed = False
    for _ in range(_MAX_BLOCKS):
        block = window.at(position, 8)
        if len(block) < 8:
            break  # whether pixels are missing too is the decoder's to say
        length, kind = struct.unpack(">I4s", block)
        if kind == b"IEND":
            break
        if kind == b"eXIf":
            orientation = exif_orientation(window.at(position + 8, min(length, 1 << 16)))
        elif kind == b"acTL" and not animated:
            animated, frames = True, max(1, int.from_bytes(window.at(position + 8, 4), "big"))
        elif kind == b"fcTL":
            framed = True
        elif kind == b"IDAT" and animated and not framed:
            extra, framed = 1, True
        position += length + 12
    return orientation, frames + extra


def parse_jpeg(window: Window) -> Header:
    """Read a JPEG's markers up to its frame header."""
    position, orientation, adobe = 2, 1, False
    for _ in range(_MAX_BLOCKS):
        marker = window.exactly(position, 2)
        if marker[0] != 0xFF:
            raise TruncatedError("its markers are damaged")
        code = marker[1]
        if code == 0xFF:  # a fill byte
            position += 1
            continue
        if code == 0x01 or 0xD0 <= code <= 0xD7:  # markers without content
            position += 2
            continue
        length = int.from_bytes(window.exactly(position + 2, 2), "big")
        if code in (0xD9, 0xDA) or length < 2:
            break
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            return _jpeg_frame(window.exactly(position + 4, 6), code, orientation, inverted=adobe)
        if code == 0xE1 and window.at(position + 4, 6) == b"Exif\0\0":
            orientation = exif_orientation(window.at(position + 10, length - 8))
        adobe = adobe or (code == 0xEE and window.at(position + 4, 5) == b"Adobe")
        position += 2 + length
    raise TruncatedError("it has no frame header")


def _jpeg_frame(content: bytes, code: int, orientation: int, *, inverted: bool) -> Header:
    bits, height, width, components = struct.unpack(">BHHB", content)
    if not width:
        raise TruncatedError("its header declares no width")
    if bits != 8 or code not in (0xC0, 0xC1, 0xC2, 0xC9, 0xCA) or components not in (1, 3, 4):
        raise UnsupportedError(
            f"a JPEG of {bits} bits, {components} components and kind {code - 0xC0}",
            expected="a JPEG of 8 bits and 1, 3 or 4 components, baseline or progressive",
            do="Save it as PNG or TIFF, which hold more than 8 bits too",
        )
    if not height:
        raise TruncatedError("its header does not say its height")
    mode: Mode = "L" if components == 1 else "RGB" if components == 3 else "CMYK"
    return Header(
        "JPEG", height, width, mode, 8, 1 if components == 1 else 3, "uint8",
        orientation=orientation, lossy=True, inverted_inks=inverted,
    )  # fmt: skip


def parse_webp(window: Window) -> Header:
    """Read a WebP's chunks, without its pixels."""
    position, orientation, frames = 12, 1, 0
    size: tuple[int, int] | None = None
    alpha = lossy = False
    for _ in range(_MAX_BLOCKS):
        block = window.at(position, 8)
        if len(block) < 8:
            break
        kind, length = struct.unpack("<4sI", block)
        if kind == b"VP8X":
            content = window.exactly(position + 8, 10)
            alpha = bool(content[0] & 0x10)
            size = int.from_bytes(content[7:10], "little") + 1, int.from_bytes(content[4:7], "little") + 1
        elif kind == b"VP8 ":
            content, lossy = window.exactly(position + 8, 10), True
            size = size or (_le16(content, 8) & 0x3FFF, _le16(content, 6) & 0x3FFF)
        elif kind == b"VP8L":
            packed = int.from_bytes(window.exactly(position + 9, 4), "little")
            if size is None:
                size, alpha = (((packed >> 14) & 0x3FFF) + 1, (packed & 0x3FFF) + 1), bool(packed >> 28 & 1)
        elif kind == b"ANMF":
            frames += 1
            lossy = lossy or b"VP8 " in (window.at(position + 24, 4), window.at(position + 32, 4))
        elif kind == b"EXIF":
            content = window.at(position + 8, min(length, 1 << 16))
            orientation = exif_orientation(content.removeprefix(b"Exif\0\0"))
        position += 8 + length + (length & 1)
    if size is None or not all(size):
        raise TruncatedError("it has no frame header")
    mode: Mode = "RGBA" if alpha else "RGB"
    return Header("WebP", *size, mode, 8, 3, "uint8", max(1, frames), orientation, lossy)


def _le16(content: bytes, start: int) -> int:
    return int.from_bytes(content[start : start + 2], "little")


def exif_orientation(block: bytes) -> int:
    """Return the orientation, 1 to 8, of an Exif block (a small TIFF); 1 where it is absent or makes no sense."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return 1
    start = struct.unpack(order + "I", block[4:8])[0]
    for k in range(int.from_bytes(block[start : start + 2], "little" if order == "<" else "big")):
        entry = block[start + 2 + 12 * k : start + 14 + 12 * k]
        if len(entry) < 12:
            break
        tag, kind, _, value = struct.unpack(order + "HHIH", entry[:10])
        if tag == 0x0112:
            return value if kind == 3 and 1 <= value <= 8 else 1
    return 1
