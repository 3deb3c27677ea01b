"""What a picture that is worked through from top to bottom is given in, and what comes of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pixelwise.predict.object_sums import ObjectSums, sums_of
from pixelwise.predict.object_table import ObjectTable, measured
from pixelwise.predict.postprocess.steps import GapStep

Values = NDArray[np.float32] | None
"""(C, h, W), the probabilities of the classes, then that of a rim where there is one; None where they are not known."""


@dataclass(frozen=True, slots=True)
class Strip:
    """Some rows of a picture.

    Attributes:
        class_map: (h, W) uint8, 0 for the background.
        values: of the same rows.

    """

    class_map: NDArray[np.uint8]
    values: Values = None


Strips = Callable[[], Iterator[Strip]]
"""Begins anew, each time that it is called, to give the strips of a picture from top to bottom."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows whose objects are settled; the next ones follow right below.

    Attributes:
        labels: (h, W) int32, 0 for none, else the number of an object, from 1 over the whole picture; h may be 0.
        values: of the same rows.
        classes: (n + 1,), the class of each number so far, that of none first.

    """

    labels: NDArray[np.int32]
    values: Values
    classes: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Band:
    """Rows that are finished, and the objects that end in them or did before.

    Attributes:
        top: the first row.
        labels: as those of :class:`Rows`.
        classes: likewise.
        objects: measured, in the order of their lower edges, whatever the bands.

    """

    top: int
    labels: NDArray[np.int32]
    classes: NDArray[np.uint8]
    objects: ObjectTable


def bands_of(rows: Iterator[Rows], height: int, gap: GapStep | None) -> Iterator[Band]:
    """Close the gaps between objects, and measure each object once its last row has come.

    Args:
        rows: of a picture, from top to bottom.
        height: of the picture.
        gap: how gaps are closed; None: they are not.

    """
    top, parts, reach_px = 0, ObjectSums.none(), 0
    if gap is not None:
        rows, reach_px = _closed(rows, gap, height), gap.reach_px
    for part in rows:
        present, places = numbers_in(part.labels)
        sums = sums_of(places, part.classes[present], part.values, (top, 0))
        parts = parts.joined(replace(sums, numbers=present[sums.numbers]))
        bottom = top + len(part.labels)
        goes_on = (parts.boxes[:, 3] >= bottom - reach_px) & (bottom < height)
        done = parts.chosen(~goes_on)
        yield Band(top, part.labels, part.classes, measured(done.chosen(np.lexsort([done.numbers, done.boxes[:, 3]]))))
        top, parts = bottom, parts.chosen(goes_on)


def numbers_in(labels: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Find the numbers of rows, which lie far apart where an old object stands among new ones.

    Args:
        labels: (h, W), 0 for none.

    Returns:
        The numbers that occur, (n + 1,), rising, the first one 0 in any case; and (h, W), the place of each among them.

    """
    occurs = np.zeros(int(labels.max(initial=0)) + 1, np.bool_)
    occurs[labels] = True
    occurs[0] = True
    numbers = np.flatnonzero(occurs)
    place = np.zeros(len(occurs), np.int32)
    place[numbers] = np.arange(len(numbers))
    return numbers, place[labels]


def _closed(rows: Iterator[Rows], gap: GapStep, height: int) -> Iterator[Rows]:
    """Close the gaps between objects; the last rows wait for those that decide about them."""
    above: NDArray[np.int32] | None = None
    waiting: Rows | None = None
    done = 0
    for fresh in rows:
        waiting = fresh if waiting is None else _joined(waiting, fresh)
        count = len(waiting.labels)
        finished = count if done + count >= height else max(0, count - gap.sight_px)
        context = waiting.labels if above is None else np.concatenate([above, waiting.labels])
        first = len(context) - count
        closed = gap.apply(context, np.ones(context.shape, np.bool_))[first : first + finished]
        yield Rows(closed, None if waiting.values is None else waiting.values[:, :finished], waiting.classes)
        above = context[max(0, first + finished - gap.sight_px) : first + finished].copy()
        waiting = _from(waiting, finished)
        done += finished


def _joined(upper: Rows, lower: Rows) -> Rows:
    values = None
    if upper.values is not None and lower.values is not None:
        values = np.concatenate([upper.values, lower.values], axis=1)
    return Rows(np.concatenate([upper.labels, lower.labels]), values, lower.classes)


def _from(rows: Rows, first: int) -> Rows:
    """Return the rows from ``first`` on, and let go of those above."""
    values = None if rows.values is None else rows.values[:, first:].copy()
    return Rows(rows.labels[first:].copy(), values, rows.classes)
