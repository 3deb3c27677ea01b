"""The objects of a picture that is worked through strip by strip: the same as those of the whole picture.

Where the probabilities of tiles are exactly those of the whole picture, so are the classes, and with them the pieces
that steps of post-processing look at (:mod:`pixelwise.predict.postprocess.steps`). Objects are numbered as those of a
whole picture are, in the order of their pieces' first pixels, whatever the strips.

Where what is left of a piece follows from areas and holes, pieces are linked across strips, and may be of any size
(:mod:`pixelwise.predict.linking`). Other steps see a piece whole: it is worked on once no further pixel can join it, in
its own box, and rows wait until every piece in them is complete. Memory then follows the height of the tallest piece,
or of a strip, whichever is more; a piece that would take more than there is room for is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pixelwise.errors import ImageError, UsageError
from pixelwise.predict.bands import Band, Rows, Strip, Strips, bands_of
from pixelwise.predict.linking import can_link, link
from pixelwise.predict.postprocess.pieces import cut_piece, number_pieces
from pixelwise.predict.postprocess.pipeline import Pipeline

_BYTES_A_PIXEL = 24
"""Of rows that wait, beside their values: classes, labels, numbers of pieces, and what they are made of."""
_COPIES = 2
"""Of the values, while rows are added to those that wait."""
_BYTES_A_PIXEL_OF_A_PIECE = 64
"""While a watershed divides it."""


def bytes_a_row(width: int, planes: int) -> int:
    """Return what a row of a picture takes while its pieces are found, values of ``planes`` a pixel included."""
    return width * (4 * planes * _COPIES + _BYTES_A_PIXEL)


@dataclass(frozen=True, slots=True)
class _Divided:
    """A piece that is complete, and whose objects have numbers for the time being."""

    first: tuple[int, int]
    """Row and column, in the picture, of its first pixel row by row."""
    index: int
    numbers: slice


class Merger:
    """Takes the answers of a picture from top to bottom, and gives finished rows.

    Args:
        size: height and width of the picture.
        num_classes: K.
        pipeline: steps after the network.
        room_bytes: what rows that wait may take.

    """

    def __init__(self, size: tuple[int, int], num_classes: int, pipeline: Pipeline, *, room_bytes: int) -> None:
        self._size, self._num_classes, self._pipeline, self._room_bytes = size, num_classes, pipeline, room_bytes
        width = size[1]
        self._top = 0
        self._open = np.zeros((0, 4), np.int32)
        self._class_map = np.zeros((0, width), np.uint8)
        self._values = np.zeros((0, 0, width), np.float32)
        self._labels = np.zeros((0, width), np.int32)
        self._is_done = np.zeros((0, width), np.bool_)
        self._classes = np.zeros(1, np.uint8)
        self._divided: list[_Divided] = []
        self._final = np.zeros(1, np.int32)

    @property
    def waiting_rows(self) -> int:
        """Rows that are held because a piece in them may go on."""
        return len(self._class_map)

    def add(self, strip: Strip) -> Rows:
        """Take the next rows.

        Raises:
            ImageError: a piece that goes on is too tall for the memory.

        """
        values = strip.values
        assert values is not None  # steps that see pieces look at them
        height, width = values.shape[1:]
        self._refuse_too_tall(height, len(values))
        self._class_map = np.concatenate([self._class_map, strip.class_map])
        self._values = values if not len(self._labels) else np.concatenate([self._values, values], axis=1)
        self._labels = np.concatenate([self._labels, np.zeros((height, width), np.int32)])
        self._is_done = np.concatenate([self._is_done, np.zeros((height, width), np.bool_)])
        is_last = self._top + len(self._labels) >= self._size[0]
        numbered, boxes, classes = number_pieces(self._class_map)
        goes_on = np.zeros(len(boxes), np.bool_)
        if not is_last:
            goes_on[numbered[-1]] = True
            goes_on[0] = False
        self._complete(numbered, boxes, classes, goes_on)
        first_open = min(boxes[goes_on, 1].tolist(), default=len(self._labels))
        self._open = boxes[goes_on, :4] - np.array([0, first_open, 0, 0], np.int32)
        return self._release(first_open)

    def _refuse_too_tall(self, height: int, planes: int) -> None:
        """Refuse to let rows wait for pieces that with ``height`` more rows would take too much."""
        if not len(self._open):
            return
        rows, width = self.waiting_rows + height, self._size[1]
        left, top, across, _ = (int(value) for value in self._open[self._open[:, 1].argmin()])
        widest = int(self._open[:, 2].max())
        if _needed_bytes(rows, width, planes, widest) <= self._room_bytes:
            return
        more = _needed_bytes(self._size[0], width, planes, width) - self._room_bytes
        fit = self._room_bytes // _needed_bytes(1, width, planes, widest)
        raise ImageError(
            f"a piece of touching objects goes on from row {self._top + top:,} beyond row "
            f"{self._top + self.waiting_rows - 1:,}, in columns {left:,} to {left + across - 1:,}, and "
            f"{_seers(self._pipeline)} must see it whole",
            expected=f"pieces of at most {fit:,} rows within the memory that is allowed",
            do=f"Allow more (--memory): with {-(-more // 10**6):,} MB more, pieces may be as large as the picture. Or "
            f"leave {_seers(self._pipeline)} out (--post threshold,fill_holes,remove_small(area=10)): then they may "
            "have any size. The tiles are kept in both cases",
        )

    def _complete(
        self,
        numbered: NDArray[np.int32],
        boxes: NDArray[np.int32],
        classes: NDArray[np.uint8],
        goes_on: NDArray[np.bool_],
    ) -> None:
        """Work on the pieces that are complete and were not before."""
        count = len(self._final)
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
                place[numbers] = count + np.arange(len(numbers))
                np.copyto(self._labels[box], place[own], where=own > 0)
                first = (self._top + top, left + int(inside[0].argmax()))
                self._divided.append(_Divided(first, int(classes[number]), slice(count, count + len(numbers))))
                count += len(numbers)
        self._final = np.concatenate([self._final, np.zeros(count - len(self._final), np.int32)])

    def _release(self, rows: int) -> Rows:
        """Number the pieces that begin in the first rows, which are all complete, and let go of these rows."""
        self._top += rows
        begun = sorted((one for one in self._divided if one.first[0] < self._top), key=lambda one: one.first)
        self._divided = [one for one in self._divided if one.first[0] >= self._top]
        indices = [self._classes]
        count = len(self._classes)
        for piece in begun:
            objects = piece.numbers.stop - piece.numbers.start
            self._final[piece.numbers] = np.arange(count, count + objects)
            indices.append(np.full(objects, piece.index, np.uint8))
            count += objects
        self._classes = np.concatenate(indices)
        released = Rows(self._final[self._labels[:rows]], self._values[:, :rows], self._classes)
        self._class_map = self._class_map[rows:].copy()  # what is released is let go
        self._labels = self._labels[rows:].copy()
        self._is_done = self._is_done[rows:].copy()
        self._values = self._values[:, rows:].copy()
        return released


def merge(
    strips: Strips, size: tuple[int, int], num_classes: int, pipeline: Pipeline, *, room_bytes: int
) -> Iterator[Band]:
    """Return finished rows of a picture with its objects.

    Args:
        strips: of the picture; they may be gone through twice.
        size: height and width of the picture.
        num_classes: K.
        pipeline: steps after the network.
        room_bytes: what may be held of pieces, strips not included.

    Raises:
        UsageError: a step that needs more of the picture than one piece.
        ImageError: a piece that has to be seen whole is too large for the memory, or there are too many pieces.

    """
    refuse_whole_pictures(pipeline)
    if can_link(pipeline):
        rows = link(strips, size[0], pipeline, room_bytes=room_bytes)
    else:
        merger = Merger(size, num_classes, pipeline, room_bytes=room_bytes)
        rows = map(merger.add, strips())
    return bands_of(rows, size[0], pipeline.gap)


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


def _needed_bytes(rows: int, width: int, planes: int, across: int) -> int:
    """Return what rows take that wait for a piece which is ``across`` pixels wide."""
    return rows * (bytes_a_row(width, planes) + across * _BYTES_A_PIXEL_OF_A_PIECE)


def _seers(pipeline: Pipeline) -> str:
    return " and ".join(dict.fromkeys(step.name for step in pipeline.of_objects if not can_link(Pipeline((step,)))))
