"""Random damage to files of every format: a whole picture or an `ImageError`, nothing else, in bounded memory."""

import resource
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_images_faults import deep_png, saved, tiff

from pixelwise.data.images import probe_bytes, read_image_bytes
from pixelwise.errors import ImageError

NOISE = np.random.default_rng(0).integers(0, 5, (40, 40, 3), np.uint8)
SEEDS: list[tuple[str, Callable[[], bytes]]] = [
    ("png", lambda: saved("PNG")),
    ("png palette", lambda: saved("PNG", "P")),
    ("png grey + alpha", lambda: saved("PNG", "LA")),
    ("png 16", lambda: deep_png(1)),
    ("png 16 colour", lambda: deep_png(3)),
    ("png 16 alpha", lambda: deep_png(4)),
    ("png palette clear", lambda: saved("PNG", "P", transparency=3)),
    ("jpeg", lambda: saved("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0")),
    ("jpeg progressive", lambda: saved("JPEG", progressive=True)),
    ("jpeg cmyk", lambda: saved("JPEG", "CMYK")),
    ("webp", lambda: saved("WEBP")),
    ("webp lossless", lambda: saved("WEBP", "RGBA", lossless=True)),
    ("bmp", lambda: saved("BMP")),
    ("bmp palette", lambda: saved("BMP", "P")),
    ("tiff", lambda: tiff(np.arange(600, dtype=np.uint16).reshape(20, 30))),
    ("tiff tiles", lambda: tiff(NOISE, tile=(16, 16), compression="lzw", photometric="rgb")),
    ("tiff stack", lambda: tiff(np.zeros((5, 20, 30), np.uint8), imagej=True, metadata={"axes": "ZYX"})),
    ("tiff jpeg", lambda: tiff(NOISE, compression="jpeg", photometric="rgb")),
    ("tiff packbits", lambda: tiff(NOISE, compression="packbits", photometric="rgb")),
    ("tiff zstd", lambda: tiff(np.arange(900, dtype=np.uint16).reshape(30, 30), compression="zstd", predictor=True)),
    ("tiff float", lambda: tiff(np.ones((20, 30), np.float32), compression="adobe_deflate")),
]


def read_or_refuse(content: bytes) -> None:
    """Reading ends in a whole picture or an `ImageError`, and in nothing else."""
    try:
        info = probe_bytes(content, "x", max_pixels=1 << 20)
        image = read_image_bytes(content, "x", frame=0, max_pixels=1 << 20)
    except ImageError as error:
        complete = error.came.startswith("x ") and error.expected and error.do
        assert complete
        return
    assert image.shape == (info.height, info.width, info.channels)
    assert image.dtype == info.dtype
    assert image.dtype.name in ("uint8", "uint16", "float32")


FUZZ = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("seed", [seed for _, seed in SEEDS], ids=[name for name, _ in SEEDS])
@given(st.data())
@FUZZ
def test_flipped_bytes(seed: Callable[[], bytes], data: st.DataObject) -> None:
    content = bytearray(seed())
    # headers are where damage is most interesting
    place = st.one_of(st.integers(0, min(200, len(content) - 1)), st.integers(0, len(content) - 1))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(place)] = data.draw(st.integers(0, 255))
    read_or_refuse(bytes(content))


@pytest.mark.parametrize("seed", [seed for _, seed in SEEDS], ids=[name for name, _ in SEEDS])
def test_truncated_anywhere(seed: Callable[[], bytes]) -> None:
    content = seed()
    for length in [*range(0, min(300, len(content))), *range(300, len(content), max(1, len(content) // 60))]:
        read_or_refuse(content[:length])


@given(st.binary(max_size=400), st.sampled_from([b"", b"II*\0", b"MM\0*", b"\xff\xd8\xff", b"RIFF1234WEBP", b"BM"]))
@FUZZ
def test_noise(noise: bytes, magic: bytes) -> None:
    read_or_refuse(magic + noise)


def test_memory_stayed_bounded() -> None:
    """After all that damage in this process, the peak is far from what the headers claimed."""
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert peak_kib < 2_000_000  # other tests came before in this process
