"""The objects of a picture that is worked through strip by strip: the same as those of the whole picture.

Where the probabilities of tiles are exactly those of the whole picture, so are the classes, and with them the pieces
that steps of post-processing look at (:mod:`pixelwise.predict.postprocess.steps`): a piece is worked on once no further
pixel can join it, in its own box, and its objects come out the same to the pixel, whatever the strips. Only their
numbers differ: they follow the order in which pieces are completed.

Rows wait until every piece in them is complete. Memory therefore follows the height of the tallest piece, or of a
strip, whichever is more, never that of the picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pixelwise.errors import UsageError
from pixelwise.predict.object_table import ObjectTable, measure
from pixelwise.predict.postprocess.pieces import cut_piece, number_pieces
from pixelwise.predict.postprocess.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Band:
    """Rows that are finished, and objects that were completed with them.

    Attributes:
        top: the first row.
        labels: (h, W) int32, 0 for none, else the number of an object, from 1 over the whole picture; h may be 0.
        objects: measured; their rows may come in a later band, and those of this band may have come earlier.

    """

    top: int
    labels: NDArray[np.int32]
    objects: ObjectTable


class Merger:
    """Takes the answers of a picture from top to bottom, and gives finished rows.

    Args:
        size: height and width of the picture.
        num_classes: K.
        pipeline: steps after the network.

    Raises:
        UsageError: a step that needs more of the picture than one piece.

    """

    def __init__(self, size: tuple[int, int], num_classes: int, pipeline: Pipeline) -> None:
        refuse_whole_pictures(pipeline)
        self._size, self._num_classes, self._pipeline = size, num_classes, pipeline
        width = size[1]
        self._top = 0
        self._count = 0
        self._class_map = np.zeros((0, width), np.uint8)
        self._values = np.zeros((0, 0, width), np.float32)
        self._labels = np.zeros((0, width), np.int32)
        self._is_done = np.zeros((0, width), np.bool_)

    @property
    def waiting_rows(self) -> int:
        """Rows that are held because a piece in them may go on."""
        return len(self._class_map)

    def add(self, values: NDArray[np.float32]) -> Band:
        """Take the next rows: (C, h, W), the probabilities of the classes, then that of a rim where there is one."""
        height, width = values.shape[1:]
        self._class_map = np.concatenate([self._class_map, self._pipeline.classify(values[: self._num_classes])])
        self._values = values if not len(self._labels) else np.concatenate([self._values, values], axis=1)
        self._labels = np.concatenate([self._labels, np.zeros((height, width), np.int32)])
        self._is_done = np.concatenate([self._is_done, np.zeros((height, width), np.bool_)])
        is_last = self._top + len(self._labels) >= self._size[0]
        numbered, boxes, classes = number_pieces(self._class_map)
        goes_on = np.zeros(len(boxes), np.bool_)
        if not is_last:
            goes_on[numbered[-1]] = True
            goes_on[0] = False
        objects = self._complete(numbered, boxes, classes, goes_on)
        first_open = min(boxes[goes_on, 1].tolist(), default=len(self._labels))
        return self._release(first_open, objects)

    def _complete(
        self,
        numbered: NDArray[np.int32],
        boxes: NDArray[np.int32],
        classes: NDArray[np.uint8],
        goes_on: NDArray[np.bool_],
    ) -> ObjectTable:
        """Work on the pieces that are complete and were not before; return their objects."""
        fresh = np.zeros_like(self._labels)
        indices = [np.zeros(1, np.uint8)]
        count = 0
        for number in range(1, len(boxes)):
            left, top, width, height = (int(value) for value in boxes[number, :4])
            box = slice(top, top + height), slice(left, left + width)
            inside = numbered[box] == number
            if goes_on[number] or self._is_done[box][inside].any():
                continue
            piece = cut_piece(
                inside,
                self._class_map[box],
                self._values[:, *box],
                num_classes=self._num_classes,
                corner=(self._top + top, left),
                size=self._size,
            )
            self._is_done[box] |= inside
            own = self._pipeline.divide(piece)
            numbers = np.unique(own[own > 0])
            if len(numbers):
                place = np.zeros(int(numbers[-1]) + 1, np.int32)
                place[numbers] = count + 1 + np.arange(len(numbers))
                np.copyto(fresh[box], place[own], where=own > 0)
                indices.append(np.full(len(numbers), classes[number], np.uint8))
                count += len(numbers)
        objects = measure(fresh, np.concatenate(indices), self._values, (self._top, 0))
        np.copyto(self._labels, fresh + self._count, where=fresh > 0)
        objects = replace(objects, numbers=objects.numbers + self._count)
        self._count += count
        return objects

    def _release(self, rows: int, objects: ObjectTable) -> Band:
        band = Band(self._top, self._labels[:rows], objects)
        self._top += rows
        self._class_map = self._class_map[rows:].copy()  # what is released is let go
        self._labels = self._labels[rows:].copy()
        self._is_done = self._is_done[rows:].copy()
        self._values = self._values[:, rows:].copy()
        return band


def merge(
    strips: Iterator[NDArray[np.float32]], size: tuple[int, int], num_classes: int, pipeline: Pipeline
) -> Iterator[Band]:
    """Yield finished rows for strips (C, h, W) of answers, which follow each other from top to bottom."""
    merger = Merger(size, num_classes, pipeline)
    for values in strips:
        yield merger.add(values)


def refuse_whole_pictures(pipeline: Pipeline) -> None:
    """Refuse steps that need the whole picture at once.

    Raises:
        UsageError: there is one.

    """
    steps = (*pipeline.fields, *pipeline.of_pictures)
    if steps:
        raise UsageError(
            f"{steps[0].name} on a picture that is predicted in parts",
            expected="steps that look at one object at a time",
            do=f"Leave {steps[0].name} out with --post, or predict pictures that fit into memory",
        )
