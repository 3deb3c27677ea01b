"""Outlines of pixels: polygons along the pixels' edges, so that filling one gives the same pixels back.

Coordinates are those of the picture: x to the right, y down, the picture's own edges at 0, 0, width and height; the
pixel in column j covers j to j + 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelwise.predict.postprocess.steps import JOINED_BY_SIDES

Ring = list[tuple[float, float]]
"""Corners (x, y) in order; the last is joined to the first, which is not repeated."""

_Side = tuple[int, int, int]
"""Row and column of a lattice point, and which way a side leads from there."""

_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # x and y: right, down, left, up
_STARTS = ((0, 0), (1, 0), (1, 1), (0, 1))  # x and y where the upper, right, lower and left side of a pixel begin


@dataclass(frozen=True, slots=True)
class Shape:
    """One connected object, or one connected piece of a class.

    Attributes:
        number: of the object in its picture.
        index: of its class.
        rings: the outer outline, then those of holes, which go the other way around.
        area_px: in pixels, without holes.
        box: x_min, y_min, x_max, y_max.
        probability: mean probability of its class over its pixels; None where it is not known.

    """

    number: int
    index: int
    rings: list[Ring]
    area_px: float
    box: tuple[float, float, float, float]
    probability: float | None = None


def outline(inside: NDArray[np.bool_], corner: tuple[int, int] = (0, 0)) -> list[Ring]:
    """Return the rings of a mask (h, w): outer ones clockwise as seen, holes the other way.

    Pixels that touch at a corner alone are not joined.

    Args:
        inside: the mask.
        corner: y and x of its first pixel in the picture.

    """
    waiting = _sides(inside)
    rings = []
    for start in list(waiting):
        if start in waiting:
            rings.append([(x + corner[1], y + corner[0]) for x, y in _ring(start, waiting)])
    return sorted(rings, key=lambda ring: -_area(ring))


def count_sides(inside: NDArray[np.bool_]) -> int:
    """Return how many pixel sides lie between the inside of a mask (h, w) and what is outside."""
    along = sum(
        int((one != other).sum()) for one, other in ((inside[1:], inside[:-1]), (inside[:, 1:], inside[:, :-1]))
    )
    return along + sum(int(edge.sum()) for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


def _area(ring: Ring) -> float:
    """Twice the area of a ring, negative for holes."""
    following = [*ring[1:], ring[0]]
    return sum(x * y_next - x_next * y for (x, y), (x_next, y_next) in zip(ring, following, strict=True))


def _sides(inside: NDArray[np.bool_]) -> dict[_Side, None]:
    """Every pixel side between inside and outside, going around the inside clockwise, row by row."""
    padded = np.pad(inside, 1)
    own = padded[1:-1, 1:-1]
    neighbours = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])  # above, right, below, left
    sides: list[_Side] = []
    for direction, (neighbour, (x_start, y_start)) in enumerate(zip(neighbours, _STARTS, strict=True)):
        rows, columns = np.nonzero(own & ~neighbour)
        sides += [
            (y, x, direction) for y, x in zip((rows + y_start).tolist(), (columns + x_start).tolist(), strict=True)
        ]
    return dict.fromkeys(sorted(sides))


def _ring(start: _Side, waiting: dict[_Side, None]) -> Ring:
    """Follow the sides from ``start`` until they close, and take them out of ``waiting``; return the corners."""
    ring: Ring = []
    side, before = start, -1
    while side in waiting:
        del waiting[side]
        y, x, direction = side
        if direction != before:
            ring.append((x, y))
        before = direction
        x, y = x + _STEPS[direction][0], y + _STEPS[direction][1]
        # Where two pixels touch at a corner alone there are two ways on: turning right stays with the same pixel.
        ways = ((y, x, (direction + turn) % 4) for turn in (1, 0, 3))
        side = next((way for way in ways if way in waiting), start)
    return ring if before != start[2] else ring[1:]


def filled(shape: Shape) -> NDArray[np.bool_]:
    """Return the pixels of a shape whose corners are whole numbers, in its box: (h, w)."""
    x_min, y_min, x_max, y_max = (int(edge) for edge in shape.box)
    inside = np.zeros((y_max - y_min, x_max - x_min), np.bool_)
    for ring in shape.rings:
        for (x, y), (x_next, y_next) in zip(ring, [*ring[1:], ring[0]], strict=True):
            if x == x_next:  # every upright side changes what lies to its right
                low, high = sorted((int(y) - y_min, int(y_next) - y_min))
                inside[low:high, int(x) - x_min :] ^= True
    return inside


def class_shapes(label_map: NDArray[np.uint8], classes: list[int]) -> Iterator[Shape]:
    """Yield every connected piece of some classes of a label map (H, W), class by class."""
    number = 0
    for index in classes:
        found, pieces, stats, _ = cv2.connectedComponentsWithStats(
            (label_map == index).astype(np.uint8), connectivity=JOINED_BY_SIDES
        )
        for piece in range(1, found):
            left, top, width, height, area = (int(value) for value in stats[piece])
            number += 1
            box = slice(top, top + height), slice(left, left + width)
            rings = outline(pieces[box] == piece, (top, left))
            yield Shape(number, index, rings, area, (left, top, left + width, top + height))
