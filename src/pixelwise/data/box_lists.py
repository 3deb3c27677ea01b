"""Any number of boxes in a picture, each with a class: as a manifest writes them, and as a warp shows them."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from pixelwise.data.boxes import Box, box_around, box_text, parse_box
from pixelwise.data.warp import Warp

ClassedBox = tuple[int, Box]
"""Class index, and x_min, y_min, x_max, y_max in pixels."""

LEAST_SHOWN: Final = 0.2
"""Share of a box's area that has to be in view: of an object that is cut away further nobody could tell what it is."""

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


def all_through(boxes: Sequence[ClassedBox], warp: Warp) -> list[ClassedBox]:
    """Return the boxes around what a warp's result shows of each box; those of which it shows too little are left out.

    As :func:`pixelwise.data.boxes.through`, with the sampling grid computed once.

    Args:
        boxes: in pixels of what is warped.
        warp: what the picture goes through.

    """
    if not boxes:
        return []
    rows, columns = warp.positions()
    (a, b), (c, d) = warp.matrix
    source_px = abs(a * d - b * c)  # area of the picture that one pixel of the result stands for
    seen = []
    for label, (x_min, y_min, x_max, y_max) in boxes:
        inside = (columns >= x_min - 0.5) & (columns < x_max - 0.5) & (rows >= y_min - 0.5) & (rows < y_max - 0.5)
        shown = np.count_nonzero(inside) * source_px
        if shown >= LEAST_SHOWN * (x_max - x_min) * (y_max - y_min) and shown:
            seen.append((label, box_around(inside)))
    return seen
