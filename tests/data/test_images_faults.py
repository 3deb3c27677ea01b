"""Pictures that must be refused: each fault with its exact message, and random damage."""

import os
import resource
import struct
import zlib
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelwise.data.images import MAX_PIXELS, probe, probe_bytes, read_image, read_image_bytes
from pixelwise.errors import ImageError

FORMATS = "JPEG, PNG, TIFF, BMP or WebP (told by content, not by name)"
ELSE = "Convert it to PNG or TIFF, or leave it out"
RESTORE = "Restore it from its source, or leave it out"


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_header(width: int, height: int, bits: int = 8, colour: int = 0) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))


def saved(kind: str, mode: str = "RGB", size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(values: np.ndarray, **options: object) -> bytes:
    buffer = BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def deep_png(channels: int) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 65536, (30, 40, channels), np.uint16)
    return bytes(imagecodecs.png_encode(pixels if channels > 1 else pixels[..., 0]))


BOMB = png_header(40_000, 40_000) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
NAN = np.array([[1.0, np.nan], [np.inf, -np.inf]], np.float32)


@pytest.mark.parametrize(
    ("content", "came", "expected", "do"),
    [
        (b"", "x.png is empty (0 bytes)", "an image file", RESTORE),
        (b"not a picture\n", "x.png is a text file", FORMATS, ELSE),
        (b"GIF89a" + bytes(20), "x.png is a GIF", FORMATS, ELSE),
        (b"%PDF-1.7\n", "x.png is a PDF", FORMATS, ELSE),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "x.png is a PostScript (EPS) file", FORMATS, ELSE),
        (b"\xc5\xd0\xd3\xc6" + bytes(30), "x.png is a PostScript (EPS) file", FORMATS, ELSE),
        (b"<?xml version='1.0'?>\n<svg/>", "x.png is an SVG drawing", FORMATS, ELSE),
        (b"<?xml version='1.0'?>\n<annotation/>", "x.png is an XML file", FORMATS, ELSE),
        (b"<!DOCTYPE html><html>404</html>", "x.png is a web page", FORMATS, ELSE),
        (b"\0\0\0\x1cftypheic", "x.png is a HEIC picture", FORMATS, ELSE),
        (b"\0\0\0\x1cftypavif", "x.png is an AVIF picture", FORMATS, ELSE),
        (b"PK\x03\x04", "x.png is a ZIP archive", FORMATS, ELSE),
        (bytes(128) + b"DICM", "x.png is a DICOM file", FORMATS, ELSE),
        (b"\0\1\2\3" * 9, "x.png is not an image that is known here", FORMATS, ELSE),
        (b"BMX-1234567890 is text", "x.png is a text file", FORMATS, ELSE),
        (
            BOMB,
            "x.png declares 40,000 x 40,000 = 1,600,000,000 pixels",
            "at most 268,435,456",
            "Cut it into tiles; from Python, read_image(path, max_pixels=...) reads it if you trust the file",
        ),
        (
            saved("PNG")[:200],
            "x.png is damaged or truncated: spng_decode_image returned end of stream",
            "a whole image file",
            RESTORE,
        ),
        (
            saved("PNG")[:20],
            "x.png is damaged or truncated: it ends after 20 bytes, inside its header",
            "a whole image file",
            RESTORE,
        ),
        (
            saved("JPEG")[:-300],
            "x.png is damaged or truncated: Premature end of JPEG file",
            "a whole image file",
            RESTORE,
        ),
        (
            saved("JPEG")[:2] + b"\xff",
            "x.png is damaged or truncated: it ends after 3 bytes, inside its header",
            "a whole image file",
            RESTORE,
        ),
        (
            b"\xff\xd8\xff\xd9" + bytes(9),
            "x.png is damaged or truncated: it has no frame header",
            "a whole image file",
            RESTORE,
        ),
        (
            saved("JPEG").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
            "x.png is a JPEG of 12 bits, 3 components and kind 0, which is not supported",
            "a JPEG of 8 bits and 1, 3 or 4 components, baseline or progressive",
            "Save it as PNG or TIFF, which hold more than 8 bits too",
        ),
        (saved("BMP")[:-90], "x.png is damaged or truncated: image file is truncated (30 bytes not processed)", "", ""),
        (saved("WEBP")[:-90], "x.png is damaged or truncated: could not create decoder object", "", ""),
        (
            tiff(np.zeros((99, 9), np.uint8))[:-40],
            "x.png is damaged or truncated: it ends after 1107 bytes of 1147",
            "a whole image file",
            RESTORE,
        ),
        (
            tiff(NAN),
            "x.png holds 3 values of 4 that are NaN or infinite",
            "finite numbers",
            "Replace them, for instance by the nearest measured value, and save the picture again",
        ),
        (
            tiff(np.array([[1e300, 0.0]])),
            "x.png holds 1 values of 2 that are NaN or infinite",
            "finite numbers",
            "Replace them, for instance by the nearest measured value, and save the picture again",
        ),
        (
            tiff(np.array([[2**24 + 1, -5]], np.int32)),
            "x.png is a picture of int32 values -5 to 16777217, which is not supported",
            "values within +-16,777,216 (2^24), where float32 is exact",
            "Subtract an offset or divide by a factor, and save it anew",
        ),
        (
            tiff(np.zeros((3, 9, 9), np.uint8), photometric="minisblack"),
            "x.png holds 3 frames",
            "one picture",
            "Split the file into pictures, or from Python choose one: read_image(path, frame=0)",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_faults(content: bytes, came: str, expected: str, do: str) -> None:
    with pytest.raises(ImageError) as caught:
        read_image_bytes(content, "x.png")
    assert caught.value.came.startswith(came)
    if expected:
        assert (caught.value.came, caught.value.expected, caught.value.do) == (came, expected, do)
        assert str(caught.value) == f"{came}. Expected {expected}. {do}."


REPACK = (
    """Convert it, for instance in Python: tifffile.imwrite("OUT.tif", tifffile.imread("IN.tif"), compression="zlib")"""
)
PACKED = "a TIFF without compression, or with LZW, Deflate, PackBits, Zstandard or JPEG compression"
NUMBERS = "whole numbers of 1 to 64 bits, or real ones of 16, 32 or 64"
COLOURS = "grey, RGB, palette, CMYK, or any number of measured channels"
RECOLOUR = "Save it as RGB or grey TIFF or PNG, for instance with ImageMagick: magick IN.tif -colorspace sRGB OUT.png"


def bad_tiffs() -> dict[str, tuple[bytes, str, str, str]]:
    two = BytesIO()
    with tifffile.TiffWriter(two) as writer:
        writer.write(np.zeros((9, 9), np.uint8), metadata=None)
        writer.write(np.zeros((5, 7), np.uint8), metadata=None)
    plain = np.zeros((9, 9), np.uint8)
    pixels = np.zeros((16, 16, 3), np.uint8)
    return {
        "sizes": (
            two.getvalue(),
            "whose pages have several sizes (5x7, 9x9)",
            "pages of one size",
            "Save each page as a file of its own",
        ),
        "jpeg2000": (tiff(pixels, compression="jpeg2000"), "with JPEG2000 compression", PACKED, REPACK),
        "webp": (tiff(pixels, compression="webp"), "with WEBP compression", PACKED, REPACK),
        "lzma": (tiff(pixels, compression="lzma"), "with LZMA compression", PACKED, REPACK),
        "complex": (
            tiff(plain.astype(np.complex64)),
            "of complex numbers (complex64)",
            NUMBERS,
            "Save magnitude and phase, or real and imaginary part, as two channels of real numbers",
        ),
        "lab": (
            tiff(np.zeros((9, 9, 3), np.uint8), photometric="cielab"),
            "in the colour space CIELAB with 3 channels",
            COLOURS,
            RECOLOUR,
        ),
        "ycc": (
            tiff(np.zeros((9, 9, 3), np.uint8), photometric="ycbcr"),
            "in the colour space YCBCR with 3 channels",
            COLOURS,
            RECOLOUR,
        ),
        "white": (
            tiff(plain.astype(np.float32), photometric="miniswhite"),
            "of float32 numbers in which white is the smallest value",
            "black as the smallest value of signed or real numbers",
            "Turn the values round, and save it with black as the smallest (photometric: minisblack)",
        ),
        "alpha": (
            tiff(np.zeros((9, 9, 4), np.float32), photometric="rgb", extrasamples=["unassalpha"]),
            "of float32 numbers with transparency (alpha)",
            "alpha beside whole numbers, whose range is known",
            "Save it without its alpha channel",
        ),
    }


@pytest.mark.parametrize("name", bad_tiffs())
def test_kinds_of_tiff_that_are_not_read_are_named_with_the_remedy(name: str) -> None:
    content, what, expected, do = bad_tiffs()[name]
    with pytest.raises(ImageError) as caught:
        read_image_bytes(content, "x")
    assert str(caught.value) == f"x is a TIFF {what}, which is not supported. Expected {expected}. {do}."


def test_the_remedy_for_compressions_works(tmp_path: Path) -> None:
    pixels = np.arange(768, dtype=np.uint8).reshape(16, 16, 3)
    (tmp_path / "IN.tif").write_bytes(tiff(pixels, compression="lzma"))
    tifffile.imwrite(tmp_path / "OUT.tif", tifffile.imread(tmp_path / "IN.tif"), compression="zlib")
    assert np.array_equal(read_image(tmp_path / "OUT.tif"), pixels)


def test_bombs_are_refused_before_decoding_and_by_the_limit_given(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(BOMB)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read in (probe, read_image):
        with pytest.raises(ImageError, match="40,000 x 40,000"):
            read(tmp_path / "bomb.png")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB
    assert probe(tmp_path / "bomb.png", max_pixels=2**31).width == 40_000
    assert MAX_PIXELS == 2**28
    small = saved("PNG")
    assert read_image_bytes(small, "x", max_pixels=1200).shape == (30, 40, 3)
    with pytest.raises(ImageError, match="declares 30 x 40 = 1,200 pixels\\. Expected at most 1,199"):
        read_image_bytes(small, "x", max_pixels=1199)
    many = tiff(np.zeros((8, 8, 9), np.uint8), planarconfig="contig", photometric="minisblack")
    with pytest.raises(ImageError, match="declares 8 x 8 pixels of 9 channels\\. Expected at most 256 values"):
        read_image_bytes(many, "x", max_pixels=64)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "BMP", "TIFF"])
def test_bombs_of_every_format(kind: str) -> None:
    content = bytearray(saved(kind))
    if kind == "JPEG":
        start = content.index(b"\xff\xc0") + 5
        content[start : start + 4] = struct.pack(">HH", 65000, 65000)
    elif kind == "BMP":
        content[18:26] = struct.pack("<ii", 65000, 65000)
    elif kind == "WEBP":
        content[26:30] = struct.pack("<HH", 16383, 16383)
        with pytest.raises(ImageError, match=r"damaged|declares"):
            read_image_bytes(bytes(content), "x", max_pixels=2**27)
    else:
        with tifffile.TiffFile(BytesIO(content)) as file:
            for tag in (256, 257):
                found = file.pages[0].tags[tag]
                content[found.valueoffset : found.valueoffset + 4] = struct.pack("<I", 65000)[:4]
    with pytest.raises(ImageError, match=r"declares|damaged"):
        probe_bytes(bytes(content), "x", max_pixels=2**24)


def test_not_files(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        probe(tmp_path / "none.png")
    assert str(caught.value) == f"{tmp_path}/none.png does not exist. Expected an image file. Check the path."
    with pytest.raises(ImageError, match="is a folder"):
        probe(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match=r"pipe\.png is a pipe or a device"):
        read_image(tmp_path / "pipe.png")  # and does not wait for a writer
    with pytest.raises(ImageError, match="embedded null"):
        probe(tmp_path / "a\0b.png")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_closed_files_for_an_ordinary_user(tmp_path: Path) -> None:
    path = tmp_path / "closed.png"
    path.write_bytes(saved("PNG"))
    path.chmod(0)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # root reads everything, so another user must look
        os.setuid(65534)
        try:
            probe(path)
        except ImageError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    message = os.read(reader, 1000).decode()
    os.close(reader)
    os.close(writer)
    assert "Permission denied" in message
    assert "Expected a file that you may read" in message


def test_names_that_terminals_cannot_show(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"a\xff\nb.png")
    path.write_bytes(b"")
    with pytest.raises(ImageError, match=r"a\\xff\\nb\.png is empty") as caught:
        probe(path)
    str(caught.value).encode("utf-8")
    path.write_bytes(saved("PNG"))
    assert read_image(path).shape == (30, 40, 3)


def test_frame_numbers(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        read_image_bytes(tiff(np.zeros((3, 9, 9), np.uint8), photometric="minisblack"), "x.tif", frame=3)
    assert str(caught.value) == "x.tif has no frame 3. Expected 0 to 2. Correct the frame number."
    with pytest.raises(ImageError, match="no frame -1"):
        read_image_bytes(saved("PNG"), "x", frame=-1)
    assert read_image_bytes(saved("PNG"), "x", frame=0).shape == (30, 40, 3)


def test_content_counts_not_the_name(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(saved("PNG"))
    assert probe(tmp_path / "x.jpg").format == "PNG"
    assert np.array_equal(read_image(tmp_path / "x.jpg"), read_image_bytes(saved("PNG"), "x"))


def test_a_second_frame_header_does_not_smuggle_a_size_past_the_limit() -> None:
    content = saved("JPEG")
    start = content.index(b"\xff\xc0")
    big = bytearray(content[start : start + 19])
    big[5:9] = struct.pack(">HH", 65500, 65500)
    with pytest.raises(ImageError, match="damaged"):
        read_image_bytes(content[:start] + bytes(content[start : start + 19]) + bytes(big) + content[start + 19 :], "x")
