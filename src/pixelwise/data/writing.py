"""Pictures written whole or not at all: label maps as palette PNGs, arrays as TIFF, pictures as PNG."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from pixelwise.errors import OutputError
from pixelwise.storage.atomic import atomic_file, write_bytes

_TIFF_DTYPES = ("uint8", "uint16", "uint32", "float32")


def write_indexed_png(path: Path, label_map: NDArray[np.uint8], palette: Sequence[tuple[int, int, int]]) -> None:
    """Write a label map as a palette PNG, whose indices are the classes.

    Args:
        path: the file.
        label_map: (H, W) uint8.
        palette: red, green, blue of 0..255 for each index, at most 256; indices beyond its end are shown black.

    Raises:
        OutputError: the file cannot be written, or the arguments have another form.

    """
    if label_map.dtype != np.uint8 or label_map.ndim != 2 or not label_map.size:
        raise _wrong_form(path, label_map, "a (H, W) uint8 label map")
    if not 1 <= len(palette) <= 256:
        raise OutputError(
            f"A palette of {len(palette)} colours for {path}", expected="1 to 256", do="Merge some classes"
        )
    picture = Image.frombytes("P", (label_map.shape[1], label_map.shape[0]), np.ascontiguousarray(label_map).tobytes())
    picture.putpalette([value for colour in palette for value in colour] + [0] * (768 - 3 * len(palette)))
    with atomic_file(path) as file:
        picture.save(file, format="PNG", bits=8)


def write_png(path: Path, image: NDArray[Any]) -> None:
    """Write an (H, W, 1 or 3) or (H, W) uint8 or uint16 picture as PNG, all bits kept.

    Raises:
        OutputError: the file cannot be written, or the picture has another form.

    """
    channels = image.shape[2] if image.ndim == 3 else 1
    if (
        image.dtype.name not in ("uint8", "uint16")
        or image.ndim not in (2, 3)
        or channels not in (1, 3)
        or not image.size
    ):
        raise _wrong_form(path, image, "(H, W), (H, W, 1) or (H, W, 3) of uint8 or uint16")
    flat = image[..., 0] if image.ndim == 3 and channels == 1 else image
    write_bytes(path, bytes(imagecodecs.png_encode(np.ascontiguousarray(flat))))


def write_tiff(path: Path, array: NDArray[Any]) -> None:
    """Write an (H, W) or (H, W, C) uint8, uint16, uint32 or float32 array as a losslessly packed TIFF of C channels.

    `pixelwise.data.images.read_image` gives the same values back as (H, W, C); of uint32, which numbers objects,
    `pixelwise.data.masks.read_mask_raw` as (H, W).

    Raises:
        OutputError: the file cannot be written, or the array has another form.

    """
    if array.dtype.name not in _TIFF_DTYPES or array.ndim not in (2, 3) or not array.size:
        raise _wrong_form(path, array, "(H, W) or (H, W, C) of uint8, uint16, uint32 or float32")
    planes = array if array.ndim == 3 else array[..., None]
    several = planes.shape[2] > 1
    with atomic_file(path) as file:
        tifffile.imwrite(
            file,
            np.ascontiguousarray(planes if several else planes[..., 0]),
            photometric="minisblack",
            planarconfig="contig" if several else None,
            compression="adobe_deflate",
            metadata=None,
        )


def _wrong_form(path: Path, array: NDArray[Any], expected: str) -> OutputError:
    return OutputError(
        f"{array.shape} values of {array.dtype} cannot become {path.name}", expected=expected, do="Convert the array"
    )
