"""Any number of boxes in a picture, each with a class: as a manifest writes them, and as a warp shows them."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from pixelwise.data.boxes import Box, box_around, box_text, cut_box, parse_box
from pixelwise.data.warp import Warp

ClassedBox = tuple[int, Box]
"""Class index, and x_min, y_min, x_max, y_max in pixels."""

LEAST_SHOWN: Final = 0.2
"""Share of a box's area that has to be in view: of an object that is cut away further nobody could tell what it is."""

PICTURE: Final = -2
"""In place of a class: the box of the picture itself in a view that its mirror images fill up."""

_BETWEEN: Final = ";"


def box_list_text(boxes: Sequence[ClassedBox]) -> str:
    """Write boxes as a manifest holds them; no digit is lost."""
    return _BETWEEN.join(f"{label} {box_text(box)}" for label, box in boxes)


def parse_box_list(annotation: str) -> list[ClassedBox]:
    """Read what :func:`box_list_text` wrote."""
    boxes = []
    for text in annotation.split(_BETWEEN) if annotation else ():
        label, _, edges = text.partition(" ")
        boxes.append((int(label), parse_box(edges)))
    return boxes


MOST_IMAGES: Final = 9
"""Of one box: itself, and its mirror images beyond the sides and corners of the picture."""


def _mirrored(box: Box, height: float, width: float) -> Iterator[Box]:
    """Yield a box and its mirror images beyond the picture's sides and corners.

    The mirrors are the centres of the outermost pixels, as in :mod:`pixelwise.data.warp`. An object that the picture's
    edge cuts becomes one with its image: that is what is to be seen.
    """
    x_min, y_min, x_max, y_max = box
    for x_low, x_high in _images(x_min, x_max, width):
        for y_low, y_high in _images(y_min, y_max, height):
            yield x_low, y_low, x_high, y_high


def _images(low: float, high: float, length: float) -> list[tuple[float, float]]:
    """Return an interval within 0 .. length and its images on both sides, those that touch it joined to it."""
    before, behind = (1 - high, 1 - low), (2 * length - 1 - high, 2 * length - 1 - low)
    joined, apart = (low, high), []
    for image in (before, behind):
        if max(image[0], low) <= min(image[1], high):
            joined = min(joined[0], image[0]), max(joined[1], image[1])
        else:
            apart.append(image)
    return [joined, *apart]


def picture_within(warp: Warp, height: int, width: int) -> list[ClassedBox]:
    """Return the box of the picture in an upright window that also shows mirror images of it; else nothing."""
    is_window = warp.lattice is None and warp.matrix == ((1.0, 0.0), (0.0, 1.0)) and warp.border == "mirror"
    top, left = warp.origin
    box = cut_box((-left, -top, width - left, height - top), warp.height, warp.width)
    return [(PICTURE, box)] if is_window and box not in (None, (0, 0, warp.width, warp.height)) else []


def all_through(boxes: Sequence[ClassedBox], warp: Warp, height: float, width: float) -> list[ClassedBox]:
    """Return the boxes around what a warp's result shows of each box; those of which it shows too little are left out.

    As :func:`pixelwise.data.boxes.through`, with the sampling grid computed once, and with the mirror images that the
    result shows of objects beyond the picture's edge.

    Args:
        boxes: in pixels of what is warped.
        warp: what the picture goes through.
        height: of the picture that is warped.
        width: of the picture that is warped.

    """
    if not boxes:
        return []
    rows, columns = warp.positions()
    left, right, top, bottom = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
    (a, b), (c, d) = warp.matrix
    source_px = abs(a * d - b * c)  # area of the picture that one pixel of the result stands for
    seen = []
    for label, own in boxes:
        least = LEAST_SHOWN * (own[2] - own[0]) * (own[3] - own[1])
        for x_min, y_min, x_max, y_max in _mirrored(own, height, width) if warp.border == "mirror" else (own,):
            if x_min > right or x_max < left or y_min > bottom or y_max < top:
                continue
            inside = (columns >= x_min - 0.5) & (columns < x_max - 0.5) & (rows >= y_min - 0.5) & (rows < y_max - 0.5)
            shown = np.count_nonzero(inside) * source_px
            if shown >= least and shown:
                seen.append((label, box_around(inside)))
    return seen
