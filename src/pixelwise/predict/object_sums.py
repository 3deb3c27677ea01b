"""Sums over the pixels of objects, from which they are measured; those of parts of an object can be joined.

Second moments are kept as squared deviations from the mean, which parts are joined by without cancellation (Chan, Golub
and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

_CHUNK_PX = 1 << 19
"""Pixels that are looked at together: what is held beside the labels does not grow with them."""


@dataclass(frozen=True, slots=True)
class ObjectRows:
    """What is known of n objects, or of parts of them: columns of n rows.

    Attributes:
        numbers: of the objects.
        classes: index of the class.

    """

    numbers: NDArray[np.int64]
    classes: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True, slots=True)
class ObjectSums(ObjectRows):
    """Sums over n objects or parts of them, in rising order of their numbers.

    Attributes:
        areas: pixels.
        means: (n, 2), x and y of the pixels' indices.
        spreads: (n, 3), sums of squared deviations from the means: x x, y y, x y.
        boxes: (n, 4), x_min, y_min, x_max, y_max.
        probabilities: sums.

    """

    areas: NDArray[np.int64]
    means: NDArray[np.float64]
    spreads: NDArray[np.float64]
    boxes: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    @classmethod
    def none(cls) -> Self:
        """Return the sums of no object."""
        return cls(
            np.zeros(0, np.int64),
            np.zeros(0, np.uint8),
            np.zeros(0, np.int64),
            np.zeros((0, 2)),
            np.zeros((0, 3)),
            np.zeros((0, 4), np.int64),
            np.zeros(0),
        )

    def chosen(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """Return those of some objects, by a mask or by their places."""
        return type(self)(
            self.numbers[which],
            self.classes[which],
            self.areas[which],
            self.means[which],
            self.spreads[which],
            self.boxes[which],
            self.probabilities[which],
        )

    def joined(self, other: "ObjectSums") -> Self:
        """Return the sums over the objects of both; parts of the same number become one."""
        numbers = np.union1d(self.numbers, other.numbers)
        mine, theirs = self._among(numbers), other._among(numbers)
        areas = mine.areas + theirs.areas
        apart = theirs.means - mine.means
        both = (mine.areas * (theirs.areas / areas))[:, None]
        products = np.stack([apart[:, 0] ** 2, apart[:, 1] ** 2, apart[:, 0] * apart[:, 1]], axis=1)
        return type(self)(
            numbers,
            np.maximum(mine.classes, theirs.classes),
            areas,
            mine.means + apart * (theirs.areas / areas)[:, None],
            mine.spreads + theirs.spreads + products * both,
            np.concatenate(
                [
                    np.minimum(mine.boxes[:, :2], theirs.boxes[:, :2]),
                    np.maximum(mine.boxes[:, 2:], theirs.boxes[:, 2:]),
                ],
                axis=1,
            ),
            mine.probabilities + theirs.probabilities,
        )

    def _among(self, numbers: NDArray[np.int64]) -> Self:
        """Return a row for each of ``numbers``, which hold all of mine: empty ones for the others."""
        place = np.searchsorted(numbers, self.numbers)
        corners = np.iinfo(np.int64)

        def spread(column: NDArray[Any], default: int = 0) -> NDArray[Any]:
            wide = np.full((len(numbers), *column.shape[1:]), default, column.dtype)
            wide[place] = column
            return wide

        boxes = np.concatenate([spread(self.boxes[:, :2], corners.max), spread(self.boxes[:, 2:], corners.min)], axis=1)
        return type(self)(
            numbers,
            spread(self.classes),
            spread(self.areas),
            spread(self.means),
            spread(self.spreads),
            boxes,
            spread(self.probabilities),
        )


def sums_of(
    labels: NDArray[np.int32],
    classes: NDArray[np.uint8],
    values: NDArray[np.float32] | None,
    corner: tuple[int, int] = (0, 0),
) -> ObjectSums:
    """Add up the pixels of objects.

    Args:
        labels: (H, W), 0 for none, 1 to n; a number without pixels is left out.
        classes: (n + 1,), the class of each number.
        values: (K or more, H, W), the probability of each class; None: all are 0.
        corner: y and x of the first pixel in the picture.

    """
    count = len(classes)
    boxes = np.zeros((count, 4), np.int64)
    for number, box in enumerate(scipy.ndimage.find_objects(labels, max(count - 1, 1)), start=1):
        if box is not None:
            boxes[number] = box[1].start, box[0].start, box[1].stop, box[0].stop
    areas, moments, probabilities = np.zeros(count, np.int64), np.zeros((5, count)), np.zeros(count)
    for own, rows, columns in _chunks(labels):
        first, last = int(own.min()), int(own.max()) + 1
        place = own - first
        x, y = columns - boxes[own, 0], rows - boxes[own, 1]  # within the box: small numbers, whose squares are exact
        areas[first:last] += np.bincount(place)
        for row, weights in enumerate((x, y, x * x, y * y, x * y)):
            moments[row, first:last] += np.bincount(place, weights)
        if values is not None:
            probabilities[first:last] += np.bincount(place, values[classes[own], rows, columns])
    numbers = np.flatnonzero(areas)
    areas, (x, y, xx, yy, xy), boxes = areas[numbers], moments[:, numbers], boxes[numbers]
    shift = np.array([corner[1], corner[0]])
    return ObjectSums(
        numbers,
        classes[numbers],
        areas,
        np.stack([x / areas, y / areas], axis=1) + boxes[:, :2] + shift,
        np.stack([xx - x * x / areas, yy - y * y / areas, xy - x * y / areas], axis=1),
        boxes + np.tile(shift, 2),
        probabilities[numbers],
    )


def _chunks(labels: NDArray[np.int32]) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """Yield numbers, rows and columns of the pixels of objects, some rows at a time."""
    step = max(1, _CHUNK_PX // max(labels.shape[1], 1))
    for top in range(0, len(labels), step):
        part = labels[top : top + step]
        rows, columns = np.nonzero(part)
        if len(rows):
            yield part[rows, columns], rows + top, columns
