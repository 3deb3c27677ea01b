"""Boxes around objects: in pixels of a picture, as a share of the network's view, through a warp, and back.

A box is (x_min, y_min, x_max, y_max): the places of its edges, where the picture's own edges are 0, 0, width and
height. The pixel in column j covers j to j + 1, so a box around the columns j to k runs from j to k + 1. The network
is shown a *view*: the picture resized, padded, cut out or warped. Relative to it, a box is its centre, width and height
as shares of the view's (centre x, centre y, width, height), 0 to 1; a box of width 0 is no box.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.masks import IGNORE
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.warp import Warp

Box = tuple[float, float, float, float]
"""x_min, y_min, x_max, y_max."""

NO_BOX: Final = (0.0, 0.0, 0.0, 0.0)
"""Relative to the view: the object is not in it."""


def parse_box(annotation: str) -> Box:
    """Read what :func:`box_text` wrote."""
    x_min, y_min, x_max, y_max = map(float, annotation.split())
    return x_min, y_min, x_max, y_max


def box_text(box: Box) -> str:
    """Write a box as a manifest holds it; no digit is lost."""
    return " ".join(f"{int(edge)}" if edge == int(edge) else repr(float(edge)) for edge in box)


def cut_box(box: Box, height: float, width: float) -> Box | None:
    """Return the part of a box that lies within 0 .. width and 0 .. height; None when nothing does."""
    x_min, y_min, x_max, y_max = max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height)
    return (x_min, y_min, x_max, y_max) if x_min < x_max and y_min < y_max else None


def largest_object(label_map: NDArray[np.uint8]) -> tuple[int, Box] | None:
    """Return the class, background (0) left out, with the most pixels, and the box around all of these.

    Args:
        label_map: (H, W) class indices; 255 is ignored.

    Returns:
        None when nothing but background is there.

    """
    counts = np.bincount(label_map.ravel(), minlength=IGNORE + 1)
    counts[[0, IGNORE]] = 0
    label = int(counts.argmax())
    return (label, box_around(label_map == label)) if counts[label] else None


def in_view(box: Box, preprocess: Preprocess, height: int, width: int) -> Box:
    """Bring a box of a picture of ``height`` x ``width`` pixels to pixels of the view, which may show a part of it."""
    (rows, columns), (top, left) = preprocess.placement(height, width)
    x_scale, y_scale = columns / width, rows / height
    return box[0] * x_scale - left, box[1] * y_scale - top, box[2] * x_scale - left, box[3] * y_scale - top


def relative(box: Box, height: int, width: int) -> Box:
    """Return (centre x, centre y, width, height) of what a view of ``height`` x ``width`` shows of a box."""
    seen = cut_box(box, height, width)
    if seen is None:
        return NO_BOX
    x_min, y_min, x_max, y_max = seen
    return (x_min + x_max) / 2 / width, (y_min + y_max) / 2 / height, (x_max - x_min) / width, (y_max - y_min) / height


def in_picture(shares: Box, preprocess: Preprocess, height: int, width: int) -> Box:
    """Bring a box from shares of the view to pixels of a picture of ``height`` x ``width``, cut to its edges.

    A box that lies in the padding alone shrinks to a line at the picture's edge.
    """
    (rows, columns), (top, left) = preprocess.placement(height, width)
    view_height, view_width = preprocess.output_size(height, width)
    centre_x, centre_y, across, along = shares
    x_min, x_max = (
        min(max(((centre_x + side * across / 2) * view_width + left) * width / columns, 0.0), float(width))
        for side in (-1, 1)
    )
    y_min, y_max = (
        min(max(((centre_y + side * along / 2) * view_height + top) * height / rows, 0.0), float(height))
        for side in (-1, 1)
    )
    return x_min, y_min, x_max, y_max


def through(box: Box, warp: Warp) -> Box | None:
    """Return the box around those pixels of a warp's result that show the inside of ``box``; None when none does.

    The sampling grid itself is asked, so the answer holds for turns, shears and elastic deformations alike, to the
    pixel of the result. What ``border="mirror"`` shows beyond the picture's edge is no part of the object.

    Args:
        box: in pixels of what is warped, which holds all of it.
        warp: what the picture goes through.

    """
    rows, columns = warp.positions()  # of pixel centres, counted from the first pixel's centre
    x_min, y_min, x_max, y_max = box
    inside = (columns >= x_min - 0.5) & (columns < x_max - 0.5) & (rows >= y_min - 0.5) & (rows < y_max - 0.5)
    return box_around(inside) if inside.any() else None


def box_around(shown: NDArray[Any], top: int = 0, left: int = 0) -> Box:
    """Return the box around what is true in (H, W), which is true somewhere and lies at (top, left) of the picture."""
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    return float(left + columns[0]), float(top + rows[0]), float(left + columns[-1] + 1), float(top + rows[-1] + 1)
