"""The pieces of a picture in strips, however large a piece is: found by one pass, numbered and measured by another.

In the first pass the pieces of each strip get numbers of their own, and neighbours across the borders of strips are
noted down as pairs; the connected components of these pairs are the pieces of the picture (as Rosenfeld and Pfaltz,
"Sequential operations in digital picture processing", 1966, join labels within a picture). What is known then, areas
and which holes a piece encloses, decides what the steps after the network leave. The second pass numbers each strip
anew, in the same order, and turns its numbers into those of objects.

Memory follows the height of a strip, and :data:`BYTES_A_REGION` for each piece of a strip. Steps that have to see a
whole piece, such as a watershed, cannot be done so (:mod:`pixelwise.predict.merging`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pixelwise.errors import ImageError
from pixelwise.predict.bands import Rows, Strips
from pixelwise.predict.postprocess import Pipeline
from pixelwise.predict.postprocess.pieces import number_pieces
from pixelwise.predict.postprocess.steps import FillHoles, PieceStep, RemoveSmall

BYTES_A_REGION: Final = 192
"""What is held of each piece, or hole, of each strip at most: class, area, neighbours, and what they become."""
_BACKGROUND_JOINED: Final = 8
"""What is no piece is joined at corners, too, as pieces are joined by sides alone."""

Numbers = NDArray[np.int64]
"""Of regions, which are the pieces of strips and what lies between them: from 1 over the whole picture, 0 for none."""


def can_link(pipeline: Pipeline) -> bool:
    """Tell whether what the steps leave of a piece follows from areas and holes alone."""
    return all(isinstance(step, (FillHoles, RemoveSmall)) for step in pipeline.steps if isinstance(step, PieceStep))


def link(strips: Strips, height: int, pipeline: Pipeline, *, room_bytes: int) -> Iterator[Rows]:
    """Yield the rows of a picture with its objects, gaps not yet closed.

    Args:
        strips: of the picture, to be gone through twice.
        height: of the picture.
        pipeline: whose steps :func:`can_link` tells of.
        room_bytes: what numbers of pieces may take.

    Raises:
        ImageError: there are too many pieces for the memory.

    """
    linker = _Linker(pipeline)
    for strip in strips():
        linker.add(strip.class_map)
        if linker.count * BYTES_A_REGION > room_bytes:
            raise ImageError(
                f"the upper {linker.rows:,} of {height:,} rows fall into {linker.count:,} pieces and holes",
                expected=f"at most {room_bytes // BYTES_A_REGION:,} within the memory that is allowed",
                do="Allow more memory (--memory); so many pieces are noise, which the model should not have seen",
            )
    objects, classes = linker.finish()
    before = 0
    for strip in strips():
        numbered, areas, _ = _regions(strip.class_map, with_background=linker.fills)
        own = np.concatenate([objects[:1], objects[before + 1 : before + 1 + len(areas)]])
        before += len(areas)
        yield Rows(own[numbered], strip.values, classes)


@dataclass(slots=True)
class _Linker:
    """The first pass."""

    pipeline: Pipeline
    count: int = 0
    areas: list[NDArray[np.int64]] = field(default_factory=lambda: [np.zeros(1, np.int64)])
    classes: list[NDArray[np.uint8]] = field(default_factory=lambda: [np.zeros(1, np.uint8)])
    firsts: list[NDArray[np.int64]] = field(default_factory=lambda: [np.zeros(1, np.int64)])
    """The first pixel of each region: its number, row by row."""
    rows: int = 0
    same: list[Numbers] = field(default_factory=list)
    """(n, 2), regions that are one."""
    beside: list[Numbers] = field(default_factory=list)
    """(n, 2), a region between pieces, and a piece that it touches."""
    at_edge: list[Numbers] = field(default_factory=list)
    last_row: tuple[Numbers, NDArray[np.uint8]] | None = None
    """Regions and classes."""

    @property
    def fills(self) -> bool:
        """Whether regions between pieces count."""
        return any(isinstance(step, FillHoles) for step in self.pipeline.steps)

    def add(self, class_map: NDArray[np.uint8]) -> None:
        """Number the regions of a strip, and note down what they touch."""
        numbered, areas, classes = _regions(class_map, with_background=self.fills)
        touching = len(self.beside)
        kinds = np.concatenate([np.zeros(1, np.uint8), classes])
        first, last = (_of_all(numbered[row], self.count) for row in (0, -1))
        if self.last_row is None:
            self.at_edge.append(np.unique(first))
        else:
            self._join(*self.last_row, first, class_map[0])
        if self.fills:
            for column in (0, -1):
                self.at_edge.append(np.unique(_of_all(numbered[:, column], self.count)))
            for one, other in _neighbours(numbered):
                apart = one != other
                near, far = one[apart], other[apart]
                self._touch(_of_all(near, self.count), kinds[near], _of_all(far, self.count), kinds[far])
        self.beside[touching:] = [_distinct(_all(self.beside[touching:]))]
        self.firsts.append(_first_pixels(numbered, len(areas)) + self.rows * numbered.shape[1])
        self.areas.append(areas)
        self.classes.append(classes)
        self.count += len(areas)
        self.rows += len(numbered)
        self.last_row = last, class_map[-1].copy()

    def finish(self) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Return the object of each region, 0 for none; and the class of each object, that of none first."""
        if self.last_row is not None:
            self.at_edge.append(np.unique(self.last_row[0]))
        areas, classes = np.concatenate(self.areas), np.concatenate(self.classes)
        pairs = _all(self.same)
        self.areas.clear()  # as large as what was just made of it
        self.same.clear()
        graph = coo_array((np.ones(len(pairs), np.bool_), (pairs[:, 0], pairs[:, 1])), shape=(len(areas), len(areas)))
        whole = connected_components(graph, directed=False)[1]
        count = int(whole.max()) + 1
        area = np.bincount(whole, areas, count).astype(np.int64)
        index = np.zeros(count, np.uint8)
        index[whole] = classes
        around, owner = self._enclosing(whole, index), np.full(count, -1)
        stays = index > 0
        for step in self.pipeline.steps:
            if isinstance(step, RemoveSmall):
                stays &= area >= step.area
            elif isinstance(step, FillHoles):
                holes = np.flatnonzero((around >= 0) & (owner < 0) & stays[around])
                holes = holes[(area[holes] <= step.area) | (step.area == 0)]
                owner[holes] = around[holes]
                area += np.bincount(owner[holes], area[holes], count).astype(np.int64)
        first = np.full(count, np.iinfo(np.int64).max)
        np.minimum.at(first, whole, np.concatenate(self.firsts))
        kept = np.flatnonzero(stays)
        kept = kept[np.argsort(first[kept])]
        number = np.zeros(count, np.int32)
        number[kept] = np.arange(1, len(kept) + 1)
        number[owner >= 0] = number[owner[owner >= 0]]
        return number[whole], np.concatenate([np.zeros(1, np.uint8), index[kept]])

    def _join(
        self, above: Numbers, above_classes: NDArray[np.uint8], below: Numbers, below_classes: NDArray[np.uint8]
    ) -> None:
        """Note down what touches across the border of two strips."""
        alike = (above > 0) & (below > 0) & (above_classes == below_classes)
        self.same.append(_unique(above[alike], below[alike]))
        if not self.fills:
            return
        width = len(above)
        for shift in (-1, 0, 1):
            up, down = slice(max(0, -shift), width - max(0, shift)), slice(max(0, shift), width - max(0, -shift))
            one, other = above[up], below[down]
            free = (above_classes[up] == 0) & (below_classes[down] == 0)
            self.same.append(_unique(one[free], other[free]))
            self._touch(one, above_classes[up], other, below_classes[down])

    def _touch(
        self, one: Numbers, one_classes: NDArray[np.uint8], other: Numbers, other_classes: NDArray[np.uint8]
    ) -> None:
        """Note down neighbours of which one is a piece and the other is not."""
        known = (one > 0) & (other > 0)
        for free, piece, which in (
            (one, other, known & (one_classes == 0) & (other_classes > 0)),
            (other, one, known & (other_classes == 0) & (one_classes > 0)),
        ):
            self.beside.append(_unique(free[which], piece[which]))

    def _enclosing(self, whole: NDArray[np.int32], index: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the one piece around each hole, -1 for what is none: it reaches an edge, or touches several pieces."""
        around = np.full(len(index), -1)
        touching = whole[_all(self.beside)]
        self.beside.clear()
        pairs = _distinct(touching)
        around[pairs[:, 0]] = pairs[:, 1]
        is_hole = np.bincount(pairs[:, 0], minlength=len(index)) == 1
        is_hole[whole[np.concatenate([np.zeros(1, np.int64), *self.at_edge])]] = False
        return np.where(is_hole & (index == 0), around, -1)


def _regions(
    class_map: NDArray[np.uint8], *, with_background: bool
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint8]]:
    """Number the pieces of a strip, and what lies between them; return numbers (h, W), areas (n,) and classes (n,)."""
    numbered, table, classes = number_pieces(class_map)
    areas, classes = table[1:, cv2.CC_STAT_AREA].astype(np.int64), classes[1:]
    if with_background:
        found, own, stats, _ = cv2.connectedComponentsWithStats(
            (class_map == 0).astype(np.uint8), connectivity=_BACKGROUND_JOINED
        )
        np.add(own, len(areas), out=numbered, where=own > 0)
        areas = np.concatenate([areas, stats[1:, cv2.CC_STAT_AREA]])
        classes = np.concatenate([classes, np.zeros(found - 1, np.uint8)])
    return numbered, areas, classes


def _first_pixels(numbered: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Return the first pixel of each of the numbers 1 to ``count``, counted row by row."""
    height, width = numbered.shape
    first = np.zeros(count + 1, np.int64)
    backwards = np.arange(width - 1, -1, -1)
    for row in range(height - 1, -1, -1):  # what is assigned last stays
        first[numbered[row, ::-1]] = row * width + backwards
    return first[1:]


def _neighbours(numbered: NDArray[np.int32]) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """Yield every pixel beside its neighbours: to the right, below, and at both corners below."""
    yield numbered[:, :-1], numbered[:, 1:]
    yield numbered[:-1], numbered[1:]
    yield numbered[:-1, :-1], numbered[1:, 1:]
    yield numbered[:-1, 1:], numbered[1:, :-1]


def _of_all(numbered: NDArray[np.int32], before: int) -> Numbers:
    """Turn the numbers of a strip into those of the picture."""
    return np.where(numbered > 0, numbered.astype(np.int64) + before, 0)


def _unique(one: NDArray[Any], other: NDArray[Any]) -> Numbers:
    """Return each pair once, (n, 2)."""
    both = np.unique(one.astype(np.int64) << 32 | other.astype(np.int64))
    return np.stack([both >> 32, both & 0xFFFFFFFF], axis=1)


def _distinct(pairs: NDArray[Any]) -> Numbers:
    """Return each pair (n, 2) once."""
    return _unique(pairs[:, 0], pairs[:, 1])


def _all(pairs: Sequence[Numbers]) -> Numbers:
    return np.concatenate([np.zeros((0, 2), np.int64), *pairs])
