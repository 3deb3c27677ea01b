"""What a test protocol cuts out of a picture: places first, as plain numbers, then pixels.

Networks have one input size (h, w), that of the preprocessing, or of the picture where nothing is resized; it is S
pixels at its shorter side. A picture is resized without changing its shape until it covers (h, w) times the protocol's
size over S: for square inputs its short side then has the protocol's size. Where the model was trained to keep the
central 224 of 256 pixels, the centre of ``corners`` is what its own preprocessing gives.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.preprocess import Preprocess
from pixelwise.data.resample import resize_image
from pixelwise.errors import UsageError
from pixelwise.predict.protocols import LARGEST_SHARE, Protocol, Share, Size, Views

Extent = tuple[int, int]
"""Height and width in pixels."""
Window = tuple[int, int, int, int]
"""Top, left, height, width in pixels."""

_GRID = 5
"""Places along each side of a ``grid``."""


@dataclass(frozen=True, slots=True)
class View:
    """One view of a picture, whose mirror image may be a view as well."""

    resized: Extent | None
    """Size to which the whole picture is resized; None: the model's own preprocessing does it all."""
    window: Window
    """What is cut out of the resized picture; all of it for a dense view."""
    size: Extent
    """Size to which the window is brought at last: the network's input, or the window's own for a dense view."""
    is_dense: bool


def plan(protocol: Protocol, preprocess: Preprocess, height: int, width: int) -> dict[View, float]:
    """Return the views of a picture of ``height`` x ``width``, each with its weight; the weights sum to 1.

    Where several views fall on the same place, as the three squares of a square picture do, they are one view with
    the weight of all.

    Raises:
        UsageError: a crop does not fit into the resized picture, or a size in pixels is out of proportion to the
            network's input.

    """
    weights: dict[View, float] = {}
    for views in protocol.views:
        found = list(_views(views, preprocess.output_size(height, width), (height, width)))
        for view in found:
            weights[view] = weights.get(view, 0.0) + 1 / (len(found) * len(protocol.views))
    return weights


def show(
    picture: NDArray[Any], preprocess: Preprocess, views: dict[View, float]
) -> Iterator[tuple[View, NDArray[Any]]]:
    """Cut the views out of (H, W, C), one after the other: (h, w, C) of raw values."""
    resized = picture
    for view in views:
        if view.resized is None:
            yield view, preprocess.spatial(picture)
            continue
        if resized.shape[:2] != view.resized:
            resized = resize_image(picture, *view.resized)
        top, left, rows, columns = view.window
        cut = resized[top : top + rows, left : left + columns]
        yield view, cut if (rows, columns) == view.size else resize_image(np.ascontiguousarray(cut), *view.size)


def _views(views: Views, target: Extent, picture: Extent) -> Iterator[View]:
    """Yield the views of one kind; ``target`` is the network's input size."""
    if views.kind == "centre":
        yield View(None, (0, 0, *target), target, is_dense=False)
    for size in views.sizes:
        largest = LARGEST_SHARE * min(target)
        if not isinstance(size, Share) and size > largest:
            raise UsageError(
                f"protocol {views.to_text()}: {size} pixels for a network whose input has {min(target)}",
                expected=f"at most {largest} pixels, {LARGEST_SHARE} times the input",
                do="Choose smaller sizes, or shares of the input such as dense:256/224",
            )
        resized = _resized(picture, target, size)
        if views.kind == "dense":
            yield View(resized, (0, 0, *resized), resized, is_dense=True)
            continue
        if resized[0] < target[0] or resized[1] < target[1]:
            raise UsageError(
                f"protocol {views.to_text()}: the picture, resized to {resized[0]} x {resized[1]}",
                expected=f"at least {target[0]} x {target[1]} pixels, the network's input",
                do="Choose larger sizes",
            )
        for top, left, rows, columns in _windows(views, resized, target, size):
            yield View(resized, (top, left, rows, columns), target, is_dense=False)


def _resized(picture: Extent, target: Extent, size: Size) -> Extent:
    """Size of a picture of the same shape that just covers ``target``, enlarged by the protocol's size."""
    (height, width), share = picture, _share(size, target)
    scale = max(target[0] / height, target[1] / width) / share  # as in the preprocessing, to the last bit
    rows, columns = (round(length * scale) for length in picture)
    if share <= 1:
        rows, columns = max(rows, target[0]), max(columns, target[1])
    return max(rows, 1), max(columns, 1)


def _share(size: Size, target: Extent) -> float:
    """Share of the resized picture's short side that the network's input takes."""
    return size.below / size.above if isinstance(size, Share) else min(target) / size


def _windows(views: Views, resized: Extent, target: Extent, size: Size) -> Iterator[Window]:
    whole, square = (0, 0, *resized), _square(resized, target, size)
    down, across = resized[0] - square[0], resized[1] - square[1]
    if views.kind == "corners":
        yield from _corners((down // 2, across // 2, *square), target)
        yield _centre(whole, target)
    elif views.kind == "outer":
        yield from _corners(whole, target)
        yield _centre(whole, target)
    elif views.kind == "grid":
        down, across = resized[0] - target[0], resized[1] - target[1]
        for row in range(_GRID):
            for column in range(_GRID):
                yield row * down // (_GRID - 1), column * across // (_GRID - 1), *target
    else:
        for top, left in ((0, 0), (down // 2, across // 2), (down, across)):
            yield from _corners((top, left, *square), target)
            yield _centre((top, left, *square), target)
            yield top, left, *square


def _square(resized: Extent, target: Extent, size: Size) -> Extent:
    """Size of the largest part of the resized picture that has the shape of the network's input."""
    share = _share(size, target)
    rows, columns = (round(length / share) for length in target)
    return min(rows, resized[0]), min(columns, resized[1])


def _corners(frame: Window, target: Extent) -> Iterator[Window]:
    top, left = frame[:2]
    down, across = frame[2] - target[0], frame[3] - target[1]
    for below, beside in ((0, 0), (0, across), (down, 0), (down, across)):
        yield top + below, left + beside, *target


def _centre(frame: Window, target: Extent) -> Window:
    top, left = frame[:2]
    return top + (frame[2] - target[0]) // 2, left + (frame[3] - target[1]) // 2, *target
