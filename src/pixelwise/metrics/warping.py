"""The warping error: mistakes of topology, with borders forgiven for lying a little beside the place.

Source: Jain et al., "Boundary Learning by Optimization with Topological Constraints", 2010, section 3, and the
published evaluation of the ISBI 2012 challenge, which settles what the paper leaves open. The truth is *warped*:
pixels in which it differs from the prediction are changed one after the other, as long as each is *simple*, that is,
its change neither splits, merges, creates nor removes an object or a hole. What still differs when no such pixel is
left are the places where the topology is wrong; the warping error is their share of all pixels.

Objects are connected by sides, what lies between them by sides and corners, and beyond the picture there is no object.
A pixel is simple if, among its eight neighbours, exactly one group connected by sides of object pixels, and exactly one
group connected by sides and corners of the others, is its own neighbour in that sense (Bertrand, "Simple points,
topological numbers and geodesic neighborhoods in cubic grids", 1994).

Limits: pixels are tried in sweeps, the most certain ones of the prediction first, until a sweep changes nothing. This
is the usual procedure; the smallest number over all orders of changes may be lower, and other orders among equally
certain pixels give slightly other numbers. Two-dimensional only.
"""

from functools import cache
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from pixelwise.errors import DataError

_AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
_CORNERS_TOO = np.ones((3, 3), np.bool_)


def warping_error(truth: NDArray[Any], prediction: NDArray[Any], certainty: NDArray[Any] | None = None) -> float:
    """Return the share of pixels in which the topology of a prediction is wrong.

    Args:
        truth: (H, W), what is not 0 belongs to objects.
        prediction: (H, W), likewise.
        certainty: (H, W) of the prediction, such as the distance of its probability from the threshold: pixels are
            tried in falling order. None = all alike, row by row.

    Returns:
        0 to 1; 0 for equal topology.

    Raises:
        DataError: shapes that differ, or not two axes.

    """
    return float(warping_mistakes(truth, prediction, certainty).mean())


def warping_mistakes(
    truth: NDArray[Any], prediction: NDArray[Any], certainty: NDArray[Any] | None = None
) -> NDArray[np.bool_]:
    """Return where the warped truth still differs from the prediction, (H, W); for the rest see `warping_error`."""
    arrays = (truth, prediction) if certainty is None else (truth, prediction, certainty)
    if truth.ndim != 2 or any(one.shape != truth.shape for one in arrays) or not truth.size:
        raise DataError(
            f"The arrays have shapes {', '.join(str(one.shape) for one in arrays)}",
            expected="masks of one shape, (H, W)",
            do="Compare masks of the same picture; take volumes slice by slice",
        )
    target = np.pad(prediction != 0, 1)
    warped = np.pad(truth != 0, 1)
    width = target.shape[1]
    wrong = np.flatnonzero(warped != target)
    if certainty is not None:
        wrong = wrong[np.argsort(-np.pad(certainty, 1).ravel()[wrong], kind="stable")]
    values, simple = warped.ravel().view(np.uint8).tolist(), _simple_neighbourhoods()
    offsets = [(row * width + column, 1 << bit) for bit, (row, column) in enumerate(_AROUND)]
    left = wrong.tolist()
    while True:
        stuck = []
        for place in left:
            code = 0
            for offset, bit in offsets:
                if values[place + offset]:
                    code |= bit
            if simple[code]:
                values[place] ^= 1
            else:
                stuck.append(place)
        if len(stuck) == len(left):
            break
        left = stuck
    mistakes = np.zeros(target.size, np.bool_)
    mistakes[left] = True
    return mistakes.reshape(target.shape)[1:-1, 1:-1]


@cache
def _simple_neighbourhoods() -> tuple[bool, ...]:
    """Return for each of the 256 sets of object pixels around a pixel whether that pixel is simple."""
    return tuple(_is_simple(code) for code in range(256))


def _is_simple(code: int) -> bool:
    around = np.zeros((3, 3), np.bool_)
    for bit, (row, column) in enumerate(_AROUND):
        around[1 + row, 1 + column] = code >> bit & 1
    beside = scipy.ndimage.label(around)[0]
    others = ~around
    others[1, 1] = False
    between = scipy.ndimage.label(others, structure=_CORNERS_TOO)[0]
    adjacent = np.array([beside[0, 1], beside[1, 0], beside[1, 2], beside[2, 1]])
    return len(np.unique(adjacent[adjacent > 0])) == 1 and int(between.max()) == 1
