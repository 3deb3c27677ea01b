"""From drawn numbers to the affine map of a warp: flips, turns, windows and where the picture lies in the result.

Three frames, each with (row, column) coordinates whose whole numbers are pixel centres: the source picture; the same
picture after flips and quarter turns; and the result. A linear map is a pair of rows that act on (row, column).
"""

import math

from pixelwise.data.draws import Draws, Slot
from pixelwise.data.warp import Matrix

Window = tuple[int, int, int, int]
"""Top, left, height, width in whole pixels."""

ELASTIC_FRAME_PX = 512
"""Side of the U-Net paper's pictures. On larger ones the elastic lattice spans a frame of this side around the crop."""

_IDENTITY: Matrix = ((1.0, 0.0), (0.0, 1.0))
_QUARTER_TURNS: tuple[Matrix, ...] = (
    _IDENTITY,
    ((0.0, 1.0), (-1.0, 0.0)),
    ((-1.0, 0.0), (0.0, -1.0)),
    ((0.0, -1.0), (1.0, 0.0)),
)


def product(left: Matrix, right: Matrix) -> Matrix:
    """Return the map that applies ``right`` first."""
    (a, b), (c, d) = left
    (e, f), (g, h) = right
    return (a * e + b * g, a * f + b * h), (c * e + d * g, c * f + d * h)


def transform(matrix: Matrix, row: float, column: float) -> tuple[float, float]:
    """Apply a linear map to one vector."""
    (a, b), (c, d) = matrix
    return a * row + b * column, c * row + d * column


def inverse(matrix: Matrix) -> Matrix:
    """Return the map that undoes a linear map."""
    (a, b), (c, d) = matrix
    determinant = a * d - b * c
    return (d / determinant, -b / determinant), (-c / determinant, a / determinant)


def turn_matrix(quarters: int, *, vertical: bool, horizontal: bool) -> Matrix:
    """Source per turned picture: flips first, then ``quarters`` quarter turns (as ``numpy.rot90`` turns)."""
    flips: Matrix = ((-1.0 if vertical else 1.0, 0.0), (0.0, -1.0 if horizontal else 1.0))
    return product(flips, _QUARTER_TURNS[quarters])


def linear_matrix(*, scale: float, rotate_degrees: float, shear_degrees: float) -> Matrix:
    """Source per result: magnification by ``scale``, rotation, and columns that lean by ``shear_degrees``."""
    angle, lean = math.radians(rotate_degrees), math.tan(math.radians(shear_degrees))
    cosine, sine = math.cos(angle) / scale, math.sin(angle) / scale
    return product(((cosine, -sine), (sine, cosine)), ((1.0, 0.0), (lean, 1.0)))


def place_crop(
    size: tuple[int, int],
    output: tuple[int, int],
    context: tuple[int, int],
    draws: Draws,
    *,
    aim: tuple[float, float] | None = None,
) -> tuple[tuple[float, float], Window]:
    """Draw where a result of size ``output`` lies on a picture of ``size`` with ``context`` pixels around it.

    Args:
        size: height and width of the picture.
        output: of the result.
        context: see :meth:`~pixelwise.data.augment.Augment.apply`.
        draws: of the sample.
        aim: how far from the picture's centre, in rows and columns of the result, lies what its middle shall show. The
            result stays within picture and context as far as that stays within the result without its context.

    Returns:
        The picture's centre in coordinates of the result, and the elastic lattice's frame.

    """
    centre, frame_start, frame_size = [], [], []
    for axis, (length, extent, margin) in enumerate(zip(size, output, context, strict=True)):
        canvas = max(length + 2 * margin, extent)
        middle = (canvas - length) // 2 + (length - 1) / 2
        if aim is None:
            place = draws.whole((Slot.CROP_Y, Slot.CROP_X)[axis], 0, canvas - extent)
        else:
            aimed, reach = middle + aim[axis] - (extent - 1) / 2, (extent - 1) / 2 - margin
            place = round(min(max(aimed, min(0, aimed + reach)), max(canvas - extent, aimed - reach)))
        centre.append(middle - place)
        frame = min(canvas, max(extent, ELASTIC_FRAME_PX))
        room = canvas - extent
        frame_start.append(-(min(max(place, 0), room) * (frame - extent) // max(room, 1)))
        frame_size.append(frame)
    return (centre[0], centre[1]), (frame_start[0], frame_start[1], frame_size[0], frame_size[1])


def draw_window(
    size: tuple[int, int],
    area: tuple[float, float],
    aspect: tuple[float, float],
    attempts: list[list[float]],
    draws: Draws,
) -> Window:
    """Draw a window by its share of the area and its aspect (width / height), as in GoogLeNet's training.

    Szegedy et al. 2014, section 6: "sampling of various sized patches of the image whose size is distributed evenly
    between 8% and 100% of the image area with aspect ratio constrained to the interval [3/4, 4/3]".

    Args:
        size: height and width of the picture.
        area: smallest and largest share.
        aspect: smallest and largest width / height, uniform in the logarithm.
        attempts: rows of two uniform numbers. The first window that fits is taken; if none does, the largest central
            one whose aspect is allowed.
        draws: the place of the window.

    """
    height, width = size
    for area_draw, aspect_draw in attempts:
        pixels = (area[0] + (area[1] - area[0]) * area_draw) * height * width
        ratio = aspect[0] * (aspect[1] / aspect[0]) ** aspect_draw
        rows, columns = round(math.sqrt(pixels / ratio)), round(math.sqrt(pixels * ratio))
        if 0 < rows <= height and 0 < columns <= width:
            top, left = draws.whole(Slot.CROP_Y, 0, height - rows), draws.whole(Slot.CROP_X, 0, width - columns)
            return top, left, rows, columns
    rows = min(height, max(round(width / aspect[0]), 1))
    columns = min(width, max(round(height * aspect[1]), 1))
    return (height - rows) // 2, (width - columns) // 2, rows, columns
