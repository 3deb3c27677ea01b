"""A small picture of a large one: area averages of the picture, and of its label map every n-th pixel."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.regions import Region, RegionSource

LONGEST_SIDE_PX = 2048
_BAND_VALUES = 1 << 21


def overview(picture: RegionSource, label_map: RegionSource) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return a picture of at most 2,048 pixels a side and its label map; of a volume the plane in the middle.

    Returns:
        (h, w, C) of the picture's type and (h, w) uint8: pixel (y, x) stands for the n x n pixels from (n y, n x) on,
        of which the picture is averaged and the label map takes the one in the middle.

    """
    height, width = picture.size[-2:]
    plane: Region = () if len(picture.size) == 2 else ((picture.size[0] // 2, picture.size[0] // 2 + 1),)
    factor = -(-max(height, width) // LONGEST_SIDE_PX)
    small = [-(-height // factor), -(-width // factor)]
    seen = np.empty((*small, picture.channels), picture.dtype)
    labels = np.empty(small, np.uint8)
    for rows, columns, at in _bands(height, width, picture.channels, factor):
        pixels = picture.read((*plane, rows, columns)).reshape(rows[1] - rows[0], columns[1] - columns[0], -1)
        mean = _means(pixels, factor)
        seen[at] = np.rint(mean) if picture.dtype.kind == "u" else mean
        values = label_map.read((*plane, rows, columns)).reshape(pixels.shape[:2])
        middle = factor // 2
        labels[at] = np.pad(values, [(0, -side % factor) for side in values.shape], "edge")[
            middle::factor, middle::factor
        ]
    return seen, labels


def _bands(
    height: int, width: int, channels: int, factor: int
) -> Iterator[tuple[tuple[int, int], tuple[int, int], tuple[slice, slice]]]:
    """Cut a picture into windows of bounded size whose borders are multiples of ``factor``."""
    across = max(factor, min(width, _BAND_VALUES // (factor * channels)) // factor * factor)
    down = max(factor, min(height, _BAND_VALUES // (across * channels)) // factor * factor)
    for top in range(0, height, down):
        for left in range(0, width, across):
            bottom, right = min(top + down, height), min(left + across, width)
            at = slice(top // factor, -(-bottom // factor)), slice(left // factor, -(-right // factor))
            yield (top, bottom), (left, right), at


def _means(pixels: NDArray[Any], factor: int) -> NDArray[np.float64]:
    """Return the means over squares of ``factor`` pixels, those at the end over what there is of them."""
    height, width = pixels.shape[:2]
    sums = np.add.reduceat(pixels.astype(np.float64), np.arange(0, width, factor), axis=1)
    sums = np.add.reduceat(sums, np.arange(0, height, factor), axis=0)
    rows = np.minimum(factor, height - np.arange(0, height, factor))
    columns = np.minimum(factor, width - np.arange(0, width, factor))
    return sums / np.multiply.outer(rows, columns)[..., None]
