"""Pixels of every depth, mode and format, against values computed here by hand."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis.extra.numpy import arrays
from PIL import Image

from pixelwise.data.images import ImageInfo, probe, probe_bytes, read_image, read_image_bytes, to_channels
from pixelwise.errors import ImageError


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, bits: int, colour: int, rows: bytes, *extra: bytes, after: bytes = b"") -> bytes:
    """A PNG from raw filtered rows, so that no library's idea of the format stands between test and reader."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    content = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + content + after + chunk(b"IEND", b"")


def exif(orientation: int, order: str = "<") -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries = [(0x0110, 2, 1, b"x\0\0\0"), (0x0112, 3, 1, struct.pack(order + "HH", orientation, 0))]
    body = b"".join(struct.pack(order + "HHI", tag, kind, count) + value for tag, kind, count, value in entries)
    return mark + struct.pack(order + "I", 8) + struct.pack(order + "H", len(entries)) + body + bytes(4)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def random_pixels(*shape: int, top: int = 256, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, top, shape).astype(dtype)


PALETTE = chunk(b"PLTE", bytes([10, 20, 30, 40, 50, 60, 70, 80, 90, 250, 251, 252]))


@pytest.mark.parametrize(
    ("content", "expected", "mode"),
    [
        (png(8, 1, 1, 0, b"\0\xa5"), [[255], [0], [255], [0], [0], [255], [0], [255]], "1"),
        (png(4, 1, 2, 0, b"\0\x1b"), [[0], [85], [170], [255]], "L"),
        (png(4, 1, 4, 0, b"\0\x01\xef"), [[0], [17], [238], [255]], "L"),
        (png(2, 1, 8, 0, b"\0\x07\xf9"), [[7], [249]], "L"),
        (png(2, 1, 16, 0, b"\0\x01\x02\xff\xfe"), [[0x0102], [0xFFFE]], "L"),
        (png(2, 1, 8, 2, b"\0\1\2\3\4\5\6"), [[1, 2, 3], [4, 5, 6]], "RGB"),
        (png(1, 1, 16, 2, b"\0\x01\x02\x03\x04\x05\x06"), [[0x0102, 0x0304, 0x0506]], "RGB"),
        (png(4, 1, 2, 3, b"\0\x1b", PALETTE), [[10, 20, 30], [40, 50, 60], [70, 80, 90], [250, 251, 252]], "P"),
        (png(2, 1, 8, 3, b"\0\3\0", PALETTE), [[250, 251, 252], [10, 20, 30]], "P"),
        # transparency: entry 0 is clear, entry 1 half, the rest opaque
        (
            png(4, 1, 2, 3, b"\0\x1b", PALETTE, chunk(b"tRNS", b"\x00\x80")),
            [[255, 255, 255], [147, 152, 157], [70, 80, 90], [250, 251, 252]],
            "P",
        ),
        (png(3, 1, 8, 0, b"\0\1\2\3", chunk(b"tRNS", b"\0\2")), [[1], [255], [3]], "L"),
        (png(2, 1, 16, 0, b"\0\1\2\1\3", chunk(b"tRNS", b"\1\2")), [[65535], [0x0103]], "L"),
        (png(3, 1, 8, 4, b"\0" + bytes([9, 0, 9, 255, 100, 51])), [[255], [9], [224]], "LA"),
        (png(2, 1, 8, 6, b"\0" + bytes([1, 2, 3, 0, 1, 2, 3, 255])), [[255, 255, 255], [1, 2, 3]], "RGBA"),
        (png(1, 1, 16, 4, b"\0" + struct.pack(">HH", 1000, 13107)), [[52628]], "LA"),
        (png(1, 1, 16, 6, b"\0" + struct.pack(">HHHH", 1000, 65535, 0, 65535)), [[1000, 65535, 0]], "RGBA"),
    ],
)
def test_png_values(content: bytes, expected: list[list[int]], mode: str) -> None:
    image, info = read_image_bytes(content, "x.png"), probe_bytes(content, "x.png")
    assert image[0].tolist() == expected
    assert (info.height, info.width, info.channels, info.dtype) == (*image.shape, image.dtype.name)
    assert (info.format, info.mode, info.frames) == ("PNG", mode, 1)


def test_interlaced_png() -> None:
    pixels = random_pixels(13, 11, 3)
    plain = Image.fromarray(pixels)
    header = bytearray(saved(plain, "PNG"))
    # Adam7 by hand: seven passes, each an image of its own with filter type 0
    rows = b""
    for x0, y0, dx, dy in [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ]:
        for row in pixels[y0::dy, x0::dx]:
            rows += b"\0" + row.tobytes() if row.size else b""
    ihdr = chunk(b"IHDR", bytes(header[16:28]) + b"\1")
    content = bytes(header[:8]) + ihdr + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert np.array_equal(read_image_bytes(content, "x"), pixels)


MODES = {
    "BMP": ["1", "L", "RGB", "RGBA", "P"],
    "WEBP": ["1", "L", "RGB", "RGBA", "P", "LA"],
    "PNG": ["1", "L", "RGB", "RGBA", "P", "LA", "I;16"],
    "TIFF": ["1", "L", "RGB", "RGBA", "P", "LA", "I;16", "CMYK"],
}


@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, modes in MODES.items() for mode in modes])
def test_lossless_formats_keep_every_value(kind: str, mode: str, tmp_path: Path) -> None:
    colours = Image.fromarray(random_pixels(7, 9, 3))
    source = (
        Image.fromarray(random_pixels(7, 9, top=65536, dtype=np.uint16)) if mode == "I;16" else colours.convert(mode)
    )
    if mode == "LA":
        source.putalpha(Image.fromarray(random_pixels(7, 9, seed=1)))
    if mode == "RGBA" and kind != "BMP":
        source.putalpha(Image.fromarray(random_pixels(7, 9, seed=1)))
    path = tmp_path / f"x.{kind.lower()}"
    path.write_bytes(saved(source, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {})))
    image, info = read_image(path), probe(path)
    stored = np.asarray(source)
    if mode == "1":
        expected = stored[..., None] * np.uint8(255)
    elif mode == "P":
        expected = np.asarray(source.convert("RGB"))
    elif mode in ("LA", "RGBA"):
        share = stored[..., -1:] / 255
        expected = np.floor(stored[..., :-1] * share + 255 * (1 - share) + 0.5)
    elif mode == "CMYK":
        expected = np.floor((255.0 - stored[..., :3]) * (255.0 - stored[..., 3:]) / 255 + 0.5)
    else:
        expected = stored if stored.ndim == 3 else stored[..., None]
    if kind == "WEBP" and expected.shape[2] == 1:
        expected = np.repeat(expected, 3, axis=2)  # WebP has no grey
    assert np.array_equal(image, expected)
    assert info == ImageInfo(*image.shape, image.dtype.name, 1, {"WEBP": "WebP"}.get(kind, kind), info.mode)
    assert image.flags.c_contiguous


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_values_are_pillows(subsampling: str, progressive: bool) -> None:
    content = saved(Image.fromarray(random_pixels(37, 51, 3)), "JPEG", subsampling=subsampling, progressive=progressive)
    assert np.array_equal(read_image_bytes(content, "x.jpg"), np.asarray(Image.open(BytesIO(content))))


def test_grey_jpeg_has_one_channel() -> None:
    content = saved(Image.fromarray(random_pixels(16, 24)), "JPEG")
    assert np.array_equal(read_image_bytes(content, "x")[..., 0], np.asarray(Image.open(BytesIO(content))))
    assert probe_bytes(content, "x").channels == 1


def test_cmyk_jpeg_with_and_without_adobes_inversion() -> None:
    flat = Image.new("CMYK", (16, 16), (255, 0, 0, 51))  # full cyan, a fifth black
    adobe = saved(flat, "JPEG", quality=100)
    assert read_image_bytes(adobe, "x")[8, 8].tolist() == [0, 204, 204]
    start = adobe.index(b"\xff\xee")
    length = int.from_bytes(adobe[start + 2 : start + 4], "big")
    plain = adobe[:start] + adobe[start + 2 + length :]  # the same numbers, now meaning plain inks
    assert read_image_bytes(plain, "x")[8, 8].tolist() == [51, 0, 0]
    assert probe_bytes(plain, "x").mode == "CMYK"


def test_stray_bytes_after_the_last_pixel_of_a_jpeg_are_harmless() -> None:
    content = saved(Image.fromarray(random_pixels(16, 16, 3)), "JPEG")
    assert np.array_equal(read_image_bytes(content[:-2] + b"abc" + content[-2:], "x"), read_image_bytes(content, "x"))


@pytest.mark.parametrize(
    ("dtype", "read_as"),
    [
        ("bool", "uint8"), ("uint8", "uint8"), ("uint16", "uint16"), ("int8", "float32"), ("int16", "float32"),
        ("int32", "float32"), ("uint32", "float32"), ("float16", "float32"), ("float32", "float32"),
        ("float64", "float32"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("packed", [None, "lzw", "adobe_deflate"])
def test_tiff_number_types(dtype: str, read_as: str, packed: str | None, tmp_path: Path) -> None:
    compression = None if dtype == "bool" else packed
    low, high = (0, 2) if dtype == "bool" else (-120, 120) if np.dtype(dtype).kind in "if" else (0, 60000)
    values = (
        np.random.default_rng(1).integers(low, min(high, 250 if dtype == "uint8" else high), (12, 10)).astype(dtype)
    )
    tifffile.imwrite(tmp_path / "x.tif", values, compression=compression, photometric="minisblack")
    image, info = read_image(tmp_path / "x.tif"), probe(tmp_path / "x.tif")
    assert image.dtype == read_as == info.dtype
    assert np.array_equal(image[..., 0], values * np.uint8(255) if dtype == "bool" else values)


@pytest.mark.parametrize(
    ("shape", "options", "frames", "channels", "pick"),
    [
        ((4, 12, 10), {"imagej": True, "metadata": {"axes": "ZYX"}}, 4, 1, lambda a, k: a[k, ..., None]),
        ((4, 3, 12, 10), {"imagej": True, "metadata": {"axes": "TCYX"}}, 4, 3, lambda a, k: a[k].transpose(1, 2, 0)),
        ((3, 4, 12, 10), {"ome": True, "metadata": {"axes": "CZYX"}}, 4, 3, lambda a, k: a[:, k].transpose(1, 2, 0)),
        ((4, 12, 10), {"metadata": None}, 4, 1, lambda a, k: a[k, ..., None]),
        ((4, 12, 10, 3), {"photometric": "rgb"}, 4, 3, lambda a, k: a[k]),
        ((2, 3, 12, 10), {}, 6, 1, lambda a, k: a.reshape(6, 12, 10, 1)[k]),
        ((12, 10, 7), {"planarconfig": "contig"}, 1, 7, lambda a, k: a),
        ((7, 12, 10), {"planarconfig": "separate"}, 1, 7, lambda a, k: a.transpose(1, 2, 0)),
        ((12, 10, 2), {"planarconfig": "contig"}, 1, 2, lambda a, k: a),
        ((4, 12, 10), {"truncate": True}, 4, 1, lambda a, k: a[k, ..., None]),
        ((64, 48, 3), {"photometric": "rgb", "tile": (16, 16), "compression": "lzw"}, 1, 3, lambda a, k: a),
    ],
)
def test_tiff_frames_and_channels(shape, options, frames, channels, pick, tmp_path: Path) -> None:
    values = random_pixels(*shape, top=65536, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", values, **{"photometric": "minisblack", **options})
    info = probe(tmp_path / "x.tif")
    assert (info.frames, info.channels, info.dtype) == (frames, channels, "uint16")
    for k in range(frames):
        assert np.array_equal(read_image(tmp_path / "x.tif", frame=k), pick(values, k))


def test_tiff_white_is_zero_and_palette(tmp_path: Path) -> None:
    values = random_pixels(6, 10)
    tifffile.imwrite(tmp_path / "white.tif", values, photometric="miniswhite")
    assert np.array_equal(read_image(tmp_path / "white.tif")[..., 0], 255 - values)
    colours = random_pixels(3, 256, top=256, dtype=np.uint16, seed=2)
    tifffile.imwrite(tmp_path / "p.tif", values, photometric="palette", colormap=colours * 257)
    assert np.array_equal(read_image(tmp_path / "p.tif"), colours.T.astype(np.uint8)[values])
    tifffile.imwrite(tmp_path / "p8.tif", values, photometric="palette", colormap=colours)
    assert np.array_equal(read_image(tmp_path / "p8.tif"), colours.T.astype(np.uint8)[values])


def test_premultiplied_alpha(tmp_path: Path) -> None:
    pixels = np.array([[[50, 60, 70, 100], [0, 0, 0, 0], [9, 8, 7, 255]]], np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["assocalpha"])
    assert read_image(tmp_path / "a.tif").tolist() == [[[205, 215, 225], [255, 255, 255], [9, 8, 7]]]


def raw_tiff(width: int, height: int, data: bytes, **tags: int) -> bytes:
    """A TIFF of one strip, written by hand; ``tags`` overrides its SHORT fields by number, as t258=4."""
    fields = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 277: 1, 278: height}
    fields |= {int(name[1:]): value for name, value in tags.items()}
    start = 8 + 2 + 12 * (len(fields) + 2) + 4
    entries = [(tag, struct.pack("<HHIHH", tag, 3, 1, value, 0)) for tag, value in fields.items()]
    entries += [(273, struct.pack("<HHII", 273, 4, 1, start)), (279, struct.pack("<HHII", 279, 4, 1, len(data)))]
    body = b"".join(entry for _, entry in sorted(entries))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4) + data


def test_tiff_of_odd_depths() -> None:
    assert read_image_bytes(raw_tiff(2, 1, b"\x1f", t258=4), "x")[0, :, 0].tolist() == [17, 255]
    assert read_image_bytes(raw_tiff(4, 1, b"\x1b", t258=2), "x")[0, :, 0].tolist() == [0, 85, 170, 255]
    assert read_image_bytes(raw_tiff(8, 1, b"\xa5", t258=1, t262=0), "x")[0, :, 0].tolist() == [
        0, 255, 0, 255, 255, 0, 255, 0,
    ]  # fmt: skip
    twelve = read_image_bytes(raw_tiff(2, 1, b"\x12\x3f\xff", t258=12), "x")
    assert (twelve.dtype, twelve[0, :, 0].tolist()) == (np.uint16, [0x123, 0xFFF])
    white = read_image_bytes(raw_tiff(2, 1, b"\x12\x3f\xff", t258=12, t262=0), "x")
    assert white[0, :, 0].tolist() == [0xFFF - 0x123, 0]


def brute_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Exif 3.0, 4.6.5.1.7: where the stored row 0 and column 0 lie in the visible picture, pixel by pixel."""
    height, width = pixels.shape[:2]
    out = np.zeros((width, height) if orientation > 4 else (height, width), pixels.dtype)
    for row in range(height):
        for column in range(width):
            bottom, right = height - 1 - row, width - 1 - column
            place = {
                1: (row, column), 2: (row, right), 3: (bottom, right), 4: (bottom, column),
                5: (column, row), 6: (column, bottom), 7: (right, bottom), 8: (right, row),
            }[orientation]  # fmt: skip
            out[place] = pixels[row, column]
    return out


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "PNG late", "WEBP", "TIFF"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation(orientation: int, kind: str, order: str, tmp_path: Path) -> None:
    pixels = np.zeros((8, 16), np.uint8)
    pixels[:, :8] = 60
    pixels[:4] += 100
    block = exif(orientation, order)
    if kind.startswith("PNG"):
        rows = b"".join(b"\0" + row.tobytes() for row in pixels)
        early = (chunk(b"eXIf", block),) if kind == "PNG" else ()
        content = png(16, 8, 8, 0, rows, *early, after=b"" if early else chunk(b"eXIf", block))
    elif kind == "TIFF":
        tifffile.imwrite(
            tmp_path / "x.tif", pixels, byteorder=order, photometric="minisblack",
            extratags=[(274, 3, 1, orientation, True)],
        )  # fmt: skip
        content = (tmp_path / "x.tif").read_bytes()
    elif kind == "WEBP":
        content = saved(Image.fromarray(pixels), kind, lossless=True, exif=block)
    else:
        content = saved(Image.fromarray(pixels), kind, quality=100, exif=b"Exif\0\0" + block)
    image, info = read_image_bytes(content, "x"), probe_bytes(content, "x")
    expected = brute_upright(pixels, orientation)
    assert np.abs(image[..., 0].astype(int) - expected).max() <= (3 if kind == "JPEG" else 0)
    assert (info.height, info.width, info.orientation) == (*expected.shape, orientation)


@pytest.mark.parametrize(
    "block", [b"", b"XX*\0", exif(9), exif(0), exif(6)[:20], exif(6)[:-14], b"II*\0\xff\xff\xff\xff"]
)
def test_senseless_orientation_is_upright(block: bytes) -> None:
    content = png(2, 1, 8, 0, b"\0\1\2", chunk(b"eXIf", block))
    assert read_image_bytes(content, "x")[0, :, 0].tolist() == [1, 2]


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_animations_give_the_frame_asked_for(kind: str) -> None:
    frames = [Image.fromarray(random_pixels(9, 11, 3, seed=k)) for k in range(3)]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert probe_bytes(content, "x").frames == 3
    for k, frame in enumerate(frames):
        assert np.array_equal(read_image_bytes(content, "x", frame=k), np.asarray(frame))


def test_animated_png_whose_still_picture_is_no_frame() -> None:
    still, *frames = [Image.fromarray(random_pixels(9, 11, 3, seed=k)) for k in range(3)]
    content = saved(still, "PNG", save_all=True, append_images=frames, default_image=True)
    assert probe_bytes(content, "x").frames == 3
    assert np.array_equal(read_image_bytes(content, "x", frame=0), np.asarray(still))
    assert np.array_equal(read_image_bytes(content, "x", frame=2), np.asarray(frames[1]))


@given(arrays(np.uint16, (3, 4, 3)))
def test_luma_matches_real_arithmetic(image: np.ndarray) -> None:
    exact = image @ np.array([0.299, 0.587, 0.114])
    grey = to_channels(image, 1, "x")
    assert grey.shape == (3, 4, 1)
    assert grey.dtype == np.uint16
    assert np.abs(grey[..., 0] - exact).max() <= 1.0  # coefficients of 16 bits


def test_luma_of_bytes_is_pillows_and_of_reals_is_exact() -> None:
    image = random_pixels(20, 20, 3)
    assert np.array_equal(to_channels(image, 1, "x")[..., 0], np.asarray(Image.fromarray(image).convert("L")))
    real = image.astype(np.float32) / 255
    assert np.allclose(to_channels(real, 1, "x")[..., 0], real @ np.array([0.299, 0.587, 0.114]), atol=1e-6)


def test_channels_by_repetition_and_refusal() -> None:
    grey = random_pixels(4, 5, 1)
    assert np.array_equal(to_channels(grey, 3, "x"), np.concatenate([grey] * 3, axis=2))
    assert to_channels(grey, 1, "x") is grey
    with pytest.raises(ImageError) as caught:
        to_channels(random_pixels(4, 5, 4), 3, "a.tif")
    assert str(caught.value) == (
        "a.tif has 4 channels. Expected 3 channels. Convert the picture, or train with the channels that it has."
    )
    with pytest.raises(ImageError, match="Expected 1 channel\\."):
        to_channels(random_pixels(4, 5, 4), 1, "a.tif")
