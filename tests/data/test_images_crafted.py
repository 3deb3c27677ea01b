"""Files made by hand, one for each way in which a header may lie or a rare layout may be stored."""

import re
import struct
import zlib
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from test_images import PALETTE, chunk, png, raw_tiff, saved

from pixelwise.data.images import probe_bytes, read_image_bytes
from pixelwise.errors import ImageError

ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def animated(content: bytes, frames: int = 2) -> bytes:
    return content[:33] + chunk(b"acTL", struct.pack(">II", frames, 0)) + content[33:]


def with_tag(content: bytes, tag: int, value: int) -> bytes:
    """A TIFF with one SHORT or LONG field replaced."""
    changed = bytearray(content)
    with tifffile.TiffFile(BytesIO(content)) as file:
        found = file.pages[0].tags[tag]
        size = 2 if int(found.dtype) == 3 else 4
        changed[found.valueoffset : found.valueoffset + size] = value.to_bytes(size, "little")
    return bytes(changed)


def tiff(values: np.ndarray, **options: object) -> bytes:
    buffer = BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def ring() -> bytes:
    content = bytearray(raw_tiff(2, 1, b"\1\2"))
    count = int.from_bytes(content[8:10], "little")
    content[10 + 12 * count : 14 + 12 * count] = (8).to_bytes(4, "little")  # the next page is this page
    return bytes(content)


def jpeg_inside() -> bytes:
    content = bytearray(tiff(np.zeros((16, 16), np.uint8), compression="jpeg", tile=(16, 16), photometric="minisblack"))
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", 65500, 65500)
    return bytes(content)


def short_jpeg_height() -> bytes:
    content = bytearray(saved(Image.new("RGB", (16, 16)), "JPEG"))
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 7] = b"\0\0"
    return bytes(content)


def bmp_of_no_width() -> bytes:
    content = bytearray(saved(Image.new("L", (4, 4)), "BMP"))
    content[18:22] = bytes(4)
    return bytes(content)


CRAFTED = {
    "png of no width": (png(0, 1, 8, 0, b"\0"), "its header holds impossible values"),
    "png of 3 bits": (png(1, 1, 3, 0, b"\0\0"), "its header holds impossible values"),
    "png of colour 5": (png(1, 1, 8, 5, b"\0\0"), "its header holds impossible values"),
    "png without header": (b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", bytes(40)), "its first chunk is not IHDR"),
    "png with a wrong header": (
        png(1, 1, 8, 0, b"\0\0").replace(b"\x08\0", b"\x08\2", 1),
        "the checksum of its header",
    ),
    "deep colour, too short": (png(2, 2, 16, 2, bytes(13)), "its pixels end too early"),
    "deep colour, wrong filter": (png(1, 1, 16, 2, b"\x09" + bytes(6)), "its pixels cannot be unpacked"),
    "colour beyond the palette": (
        png(2, 1, 8, 3, b"\0\0\7", PALETTE, chunk(b"tRNS", b"\0")),
        "it uses colour 7 of a palette of 4",
    ),
    "wrong checksum of transparency": (
        png(2, 1, 8, 0, b"\0\0\7", chunk(b"tRNS", b"\0\7")[:-1] + b"\0"),
        "tRNS: CRC error",
    ),
    "jpeg without height": (short_jpeg_height(), "its header does not say its height"),
    "jpeg of noise": (b"\xff\xd8\xff\xe0\0\4\0\0noise", "its markers are damaged"),
    "webp without picture": (b"RIFF\x10\0\0\0WEBPICCP\4\0\0\0abcd", "it has no frame header"),
    "bmp of no width": (bmp_of_no_width(), "not identified by this driver"),
    "ring of pages": (ring(), "its pages form a ring"),
    "huge tiles": (
        with_tag(with_tag(tiff(np.zeros((16, 16), np.uint8), tile=(16, 16)), 322, 60000), 323, 60000),
        "its tiles of (60000, 60000) exceed the picture",
    ),
    "jpeg inside": (jpeg_inside(), "a JPEG inside is larger than its place"),
    "reversed bits": (raw_tiff(2, 1, b"\x80\x00\x20", t259=5, t266=2), "its LZW strips are arranged in an unusual way"),
    "lzw of noise": (raw_tiff(30, 1, b"\x80\x00\xff\xff\xff\xff\xff", t259=5), "-"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_files(name: str) -> None:
    content, reason = CRAFTED[name]
    with pytest.raises(ImageError, match=re.escape("x is damaged or truncated: ") + f".*{re.escape(reason)}"):
        read_image_bytes(content, "x", frame=0)


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
@pytest.mark.parametrize("bits", [8, 16])
def test_interlaced_layouts(colour: int, channels: int, bits: int) -> None:
    dtype = np.dtype(">u2") if bits == 16 else np.dtype(np.uint8)
    pixels = np.random.default_rng(0).integers(0, 1 << bits, (13, 11, channels)).astype(dtype)
    if channels in (2, 4):
        pixels[..., -1] = (1 << bits) - 1
    rows = b""
    for x0, y0, dx, dy in ADAM7:
        rows += b"".join(b"\0" + np.ascontiguousarray(row).tobytes() for row in pixels[y0::dy, x0::dx] if row.size)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 11, 13, bits, colour, 0, 0, 1))
    content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    image = read_image_bytes(content, "x")
    assert image.dtype == (np.uint16 if bits == 16 else np.uint8)
    assert np.array_equal(image, pixels[..., : 3 if channels > 2 else 1])


def test_transparent_key_colours() -> None:
    grey = png(4, 1, 2, 0, b"\0\x1b", chunk(b"tRNS", b"\0\1"))
    assert read_image_bytes(grey, "x")[0, :, 0].tolist() == [0, 255, 170, 255]  # of 0 1 2 3, the 1 is clear
    bilevel = png(8, 1, 1, 0, b"\0\xa5", chunk(b"tRNS", b"\0\0"))
    assert read_image_bytes(bilevel, "x")[0, :, 0].tolist() == [255] * 8
    colour = png(2, 1, 8, 2, b"\0\1\2\3\4\5\6", chunk(b"tRNS", bytes([0, 4, 0, 5, 0, 6])))
    assert read_image_bytes(colour, "x").tolist() == [[[1, 2, 3], [255, 255, 255]]]
    deep = png(2, 1, 16, 2, b"\0" + bytes(range(12)), chunk(b"tRNS", bytes(range(6))))
    assert read_image_bytes(deep, "x").tolist() == [[[65535] * 3, [0x0607, 0x0809, 0x0A0B]]]


def test_deep_colour_png_with_every_filter() -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (60, 50, 3), np.uint16)
    pixels[:, 10:] = pixels[:, 9:-1] // 2 + pixels[:, :-10] // 3  # smooth enough for all filters to be chosen
    assert np.array_equal(read_image_bytes(bytes(imagecodecs.png_encode(pixels)), "x"), pixels)


def test_fill_bytes_and_empty_markers_in_a_jpeg() -> None:
    content = saved(Image.new("RGB", (16, 8), (9, 99, 199)), "JPEG")
    padded = content[:2] + b"\xff\x01" + b"\xff\xff" + content[2:]
    assert probe_bytes(padded, "x").width == 16
    assert np.array_equal(read_image_bytes(padded, "x"), read_image_bytes(content, "x"))


@pytest.mark.parametrize("shape", [(37, 51), (37, 51, 3), (37, 51, 7)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    "options", [{}, {"tile": (16, 32)}, {"rowsperstrip": 5}, {"predictor": True}, {"byteorder": ">", "predictor": True}]
)
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_lzw_pages(shape: tuple[int, ...], dtype: type, options: dict, planes: str) -> None:
    values = (np.random.default_rng(0).random(shape) * 100).astype(dtype)
    stored = values if values.ndim == 2 or planes == "contig" else values.transpose(2, 0, 1)
    content = tiff(
        stored, compression="lzw", photometric="minisblack", planarconfig=planes if values.ndim == 3 else None,
        metadata=None, **options,
    )  # fmt: skip
    assert np.array_equal(read_image_bytes(content, "x"), values.reshape(37, 51, -1))


def test_lzw_stacks_and_an_empty_tile() -> None:
    values = np.random.default_rng(0).integers(0, 9, (4, 40, 50)).astype(np.uint16)
    content = tiff(values, compression="lzw", photometric="minisblack")
    for k in range(4):
        assert np.array_equal(read_image_bytes(content, "x", frame=k)[..., 0], values[k])
    single = tiff(values[:1], compression="lzw", photometric="minisblack")
    assert np.array_equal(read_image_bytes(single, "x")[..., 0], values[0])


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (animated(png(1, 1, 16, 0, b"\0\0\0")), "an animated PNG of 16 bits a sample"),
        (raw_tiff(8, 1, b"\xff", t258=1, t259=4), "a TIFF with CCITTFAX4 compression"),
    ],
)
def test_sound_files_of_other_kinds_are_not_called_damaged(content: bytes, what: str) -> None:
    with pytest.raises(ImageError) as caught:
        read_image_bytes(content, "x", frame=0)
    assert caught.value.came == f"x is {what}, which is not supported"
