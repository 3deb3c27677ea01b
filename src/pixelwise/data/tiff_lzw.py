"""LZW-packed TIFF pages, unpacked by libtiff.

tifffile unpacks LZW with imagecodecs, whose decoder reads and writes where it must not when a stream is damaged.
libtiff has survived decades of hostile files, and Pillow carries it. So the packed strips or tiles of a page are handed
to it as the rows of a plain grey picture, one row each; tifffile then undoes the predictor and says where they belong.
"""

import struct
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL.TiffImagePlugin import TiffImageFile

from pixelwise.data.headers import TruncatedError

LZW = 5
_NONE = 1
_LONG = 4
_SPARE_BYTES = 1 << 26


def read_lzw_page(page: tifffile.TiffPage | tifffile.TiffFrame) -> NDArray[Any]:
    """Return the pixels of an LZW-packed page as `tifffile.TiffPage.asarray` would.

    Raises:
        TruncatedError: an arrangement that is not supported.
        OSError: a damaged stream.

    """
    keyframe = prepared_for_lzw(page)
    handle = keyframe.parent.filehandle
    by_size: dict[int, list[int]] = {}
    for number, count in enumerate(page.databytecounts):
        if count:  # none for a tile that the file declares empty
            by_size.setdefault(_unpacked_bytes(keyframe, number), []).append(number)
    pixels = np.zeros(keyframe.shaped, keyframe.dtype)
    for size, numbers in by_size.items():
        packed = []
        for number in numbers:
            handle.seek(page.dataoffsets[number])
            packed.append(handle.read(page.databytecounts[number]))
        if size * len(packed) > 4 * pixels.nbytes + _SPARE_BYTES:
            raise TruncatedError(f"its strips would unpack to {size * len(packed):,} bytes")
        for number, row in zip(numbers, unpack_lzw(packed, size), strict=True):
            segment, (plane, _, top, left, _), _ = keyframe.decode(row.tobytes(), number)
            if segment is not None:
                place = pixels[plane, 0, top : top + segment.shape[1], left : left + segment.shape[2]]
                place[:] = segment[0, : place.shape[0], : place.shape[1]]
    return pixels.reshape(keyframe.shape)


def prepared_for_lzw(page: tifffile.TiffPage | tifffile.TiffFrame) -> tifffile.TiffPage:
    """Return the page that knows the arrangement; what is left for tifffile to do: predictor, byte order, places.

    Raises:
        TruncatedError: an arrangement that is not supported.

    """
    keyframe = page.keyframe
    if keyframe is None or keyframe.imagedepth != 1 or keyframe.fillorder != 1 or keyframe.dtype is None:
        raise TruncatedError("its LZW strips are arranged in an unusual way; save it anew")
    keyframe.compression = tifffile.COMPRESSION(_NONE)
    return keyframe


def unpack_segment(page: tifffile.TiffPage, number: int, packed: bytes) -> bytes:
    """Unpack one strip or tile of a page that was :func:`prepared_for_lzw`.

    Raises:
        OSError: a damaged stream.

    """
    return unpack_lzw([packed], _unpacked_bytes(page, number))[0].tobytes()


def unpack_lzw(segments: Sequence[bytes], size: int) -> NDArray[np.uint8]:
    """Unpack LZW segments that hold ``size`` bytes each; return (n, size) uint8.

    Raises:
        OSError: a stream is damaged, or holds fewer bytes.

    """
    count = len(segments)
    start = 8 + 2 + 12 * 9 + 4
    data_start = start + (8 * count if count > 1 else 0)
    lengths = np.array([len(segment) for segment in segments])
    offsets = data_start + np.cumsum(lengths) - lengths
    first = (start, start + 4 * count) if count > 1 else (int(offsets[0]), int(lengths[0]))
    entries = [
        struct.pack("<HHII", tag, _LONG, number, value)
        for tag, number, value in [
            (256, 1, size), (257, 1, count), (258, 1, 8), (259, 1, LZW), (262, 1, 1),
            (273, count, first[0]), (277, 1, 1), (278, 1, 1), (279, count, first[1]),
        ]
    ]  # fmt: skip
    tables = offsets.astype("<u4").tobytes() + lengths.astype("<u4").tobytes() if count > 1 else b""
    header = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4)
    with TiffImageFile(BytesIO(header + tables + b"".join(segments))) as picture:
        return np.asarray(picture)


def _unpacked_bytes(page: tifffile.TiffPage, number: int) -> int:
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    if page.is_tiled:
        rows, width = page.tilelength, page.tilewidth
    else:
        strips = -(-page.imagelength // page.rowsperstrip)
        rows = min(page.rowsperstrip, page.imagelength - number % strips * page.rowsperstrip)
        width = page.imagewidth
    return rows * -(-width * samples * int(page.bitspersample) // 8)
