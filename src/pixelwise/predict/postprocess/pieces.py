"""The pieces of a picture: found, worked on one by one, and put together again."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelwise.data.masks import IGNORE
from pixelwise.predict.postprocess.pipeline import Pipeline
from pixelwise.predict.postprocess.steps import JOINED_BY_SIDES, Piece


@dataclass(frozen=True, slots=True)
class Divided:
    """The objects of a picture.

    Attributes:
        labels: (H, W) int32, 0 for none, else 1 to n.
        classes: (n + 1,) uint8, the class of each; the first is 0, that of no object.

    """

    labels: NDArray[np.int32]
    classes: NDArray[np.uint8]


def divide(class_map: NDArray[np.uint8], values: NDArray[np.float32], num_classes: int, pipeline: Pipeline) -> Divided:
    """Divide a class map into objects, piece by piece, by the steps of a pipeline.

    Objects are numbered in the order of the pieces' first pixels, row by row, and within a piece as its steps number
    them. Then gaps are closed; steps for whole pictures come last.

    Args:
        class_map: (H, W), 0 for the background, 255 where there is no answer.
        values: (C, H, W), the probabilities of the classes, then that of a rim where there is one.
        num_classes: how many are classes.
        pipeline: the steps; what comes before pieces has been done.

    """
    labels = np.zeros(class_map.shape, np.int32)
    classes = [np.zeros(1, np.uint8)]
    count = 0
    for index, box, piece in pieces(class_map, values, num_classes):
        own = pipeline.divide(piece)
        numbers = np.unique(own[own > 0])
        if len(numbers):
            place = np.zeros(int(numbers[-1]) + 1, np.int32)
            place[numbers] = count + 1 + np.arange(len(numbers))
            target = labels[box]
            np.copyto(target, place[own], where=own > 0)
            count += len(numbers)
            classes.append(np.full(len(numbers), index, np.uint8))
    if pipeline.gap is not None:
        labels = pipeline.gap.apply(labels, class_map != IGNORE)
    return _chosen(Divided(labels, np.concatenate(classes)), pipeline)


def pieces(
    class_map: NDArray[np.uint8], values: NDArray[np.float32], num_classes: int
) -> Iterator[tuple[int, tuple[slice, slice], Piece]]:
    """Yield each piece with its class and its box, in the order of the pieces' first pixels."""
    numbered, stats, indices = number_pieces(class_map)
    for number in sorted(range(1, len(stats)), key=lambda one: _first_pixel(numbered, stats[one], one)):
        left, top, width, height = (int(value) for value in stats[number, :4])
        box = slice(top, top + height), slice(left, left + width)
        yield (
            int(indices[number]),
            box,
            cut_piece(
                numbered[box] == number,
                class_map[box],
                values[:, *box],
                num_classes=num_classes,
                corner=(top, left),
                size=class_map.shape,
            ),
        )


def number_pieces(
    class_map: NDArray[np.uint8],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]:
    """Number the pieces of each class; return the numbers (H, W), OpenCV's table of boxes, and the class of each."""
    numbered = np.zeros(class_map.shape, np.int32)
    tables, indices = [np.zeros((1, 5), np.int32)], [np.zeros(1, np.uint8)]
    count = 0
    for index in np.unique(class_map):
        if index in (0, IGNORE):
            continue
        found, own, stats, _ = cv2.connectedComponentsWithStats(
            (class_map == index).astype(np.uint8), connectivity=JOINED_BY_SIDES
        )
        np.copyto(numbered, own + count, where=own > 0)
        tables.append(stats[1:])
        indices.append(np.full(found - 1, index, np.uint8))
        count += found - 1
    return numbered, np.concatenate(tables), np.concatenate(indices)


def cut_piece(
    inside: NDArray[np.bool_],
    class_map: NDArray[np.uint8],
    values: NDArray[np.float32],
    *,
    num_classes: int,
    corner: tuple[int, int],
    size: tuple[int, ...],
) -> Piece:
    """Make a piece of what its box shows; ``corner`` is the box's place in a picture of ``size``."""
    (top, left), (height, width) = corner, inside.shape
    return Piece(
        labels=inside.astype(np.int32),
        values=values,
        num_classes=num_classes,
        is_free=class_map == 0,
        edges=(top == 0, top + height == size[0], left == 0, left + width == size[1]),
    )


def _first_pixel(numbered: NDArray[np.int32], row: NDArray[np.int32], number: int) -> tuple[int, int]:
    """Row and column of a number's first pixel, row by row."""
    left, top, width = (int(value) for value in row[:3])
    return top, left + int(np.argmax(numbered[top, left : left + width] == number))


def _chosen(divided: Divided, pipeline: Pipeline) -> Divided:
    for step in pipeline.of_pictures:
        stays = step.apply(divided.labels, divided.classes)
        place = np.cumsum(stays) * stays
        kept = np.concatenate([divided.classes[:1], divided.classes[stays]])
        divided = Divided(place[divided.labels].astype(np.int32), kept)
    return divided
