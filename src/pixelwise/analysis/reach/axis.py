"""Intervals of input positions, for every place along one axis.

A place of a map depends on an interval [low, high] of input pixels along each axis of the input. The intervals of all
places are kept as two arrays, so every operation is the same thing: each new place joins the intervals of the old
places that it reads. Windows that hang over the edge, uneven sizes and steps need no formulas of their own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
_FAR: Final = 2**60
"""Lower end of an interval that holds nothing; the upper end is its negative."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What the places of a tensor depend on along one axis of the input."""

    dim: int | None
    """The tensor's dimension along which the intervals differ; None: they are the same everywhere."""
    low: Places
    high: Places
    """(n,), both ends included, n the tensor's size along ``dim`` or 1; low > high: no dependence."""
    step: Fraction = Fraction(1)
    """Input pixels from a place to the next one along ``dim``."""

    @property
    def is_empty(self) -> bool:
        """Whether no place depends on anything."""
        return bool((self.low > self.high).all())

    def at(self, dim: int | None) -> "Axis":
        """Return the same intervals along another dimension."""
        return replace(self, dim=dim)


@dataclass(frozen=True, slots=True)
class Window:
    """Geometry of a pooling along one axis, which its indices remember."""

    kernel: int
    stride: int
    padding: int
    dilation: int
    size: int
    """Places of the pooled map."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What a tensor depends on, one entry for each axis of the input."""

    axes: tuple[Axis, ...]
    windows: tuple[Window, ...] = ()
    """Of indices that a maximum pooling returned: where in its input they may point; else empty."""


def whole_input(size: Sequence[int]) -> Reach:
    """Return what the input (1, C, *size) depends on: every pixel on itself."""
    pixels = [np.arange(side) for side in size]
    return Reach(tuple(Axis(2 + number, side, side) for number, side in enumerate(pixels)))


def nothing() -> Axis:
    """Return the axis of a tensor that does not depend on it."""
    return Axis(None, np.array([_FAR]), np.array([-_FAR]))


def collect(axis: Axis, sources: Iterable[Places], step: Fraction) -> Axis:
    """Join, for each new place, the intervals of the old places that it reads.

    Args:
        axis: the old places.
        sources: for each tap of a window, the old place that each new place reads there; outside the map: none.
        step: from one new place to the next.

    """
    size = len(axis.low)
    lows, highs = np.append(axis.low, _FAR), np.append(axis.high, -_FAR)
    low: Places | None = None
    high: Places | None = None
    for source in sources:
        picked = np.where((source >= 0) & (source < size), source, size)
        low = lows[picked] if low is None else np.minimum(low, lows[picked])
        high = highs[picked] if high is None else np.maximum(high, highs[picked])
    assert low is not None  # every window has a tap
    assert high is not None
    return Axis(axis.dim, low, high, step)


def merged(axis: Axis) -> Axis:
    """Return an axis whose places were all joined into one."""
    return Axis(None, axis.low.min(keepdims=True), axis.high.max(keepdims=True))


def joined(first: Axis, second: Axis) -> Axis:
    """Join the intervals of two axes place by place; one of them may be the same everywhere.

    Raises:
        ValueError: the places of the two lie along different dimensions.

    """
    if first.dim is not None and second.dim is not None and first.dim != second.dim:
        raise ValueError(f"places along dimensions {first.dim} and {second.dim}")
    along = second if first.dim is None else first
    return Axis(along.dim, np.minimum(first.low, second.low), np.maximum(first.high, second.high), along.step)
