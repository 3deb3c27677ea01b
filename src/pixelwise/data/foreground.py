"""Where a picture or volume shows its foreground, so that training crops can be aimed at it.

Of each class but the first, which is background, up to :data:`MOST_POINTS` pixels are kept, drawn uniformly from all of
its pixels; where a class has no more than these, they are all kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.draws import picture_generator, place_generator
from pixelwise.data.mask_reading import IGNORE
from pixelwise.data.windows import WindowedArray

MOST_POINTS: Final = 10_000
"""Pixels of one class of one picture that are remembered."""


@dataclass(frozen=True, slots=True)
class Foreground:
    """Pixels of the foreground classes that one picture shows.

    Attributes:
        size: of the picture, (H, W) or (D, H, W).
        points: of each class that it shows, places in row-major order.

    """

    size: tuple[int, ...]
    points: tuple[NDArray[np.int64], ...]

    def draw(self, rng: np.random.Generator) -> tuple[int, ...] | None:
        """Draw a class, each as likely as another, and one of its pixels; None where the picture shows none."""
        if not self.points:
            return None
        of_class = self.points[int(rng.integers(len(self.points)))]
        place = of_class[int(rng.integers(len(of_class)))]
        return tuple(int(at) for at in np.unravel_index(place, self.size))


class Aims:
    """Draws for each crop whether it is aimed at the foreground, and at which pixel of it.

    Args:
        seed: of the run.
        probability: that a crop is aimed.

    """

    def __init__(self, seed: int, probability: float) -> None:
        self._seed, self._probability = seed, probability
        self._known: dict[int, Foreground] = {}

    def draw(self, labels: NDArray[Any] | WindowedArray, epoch: int, index: int, patch: int) -> tuple[int, ...] | None:
        """Return a pixel, or None for a crop that lies anywhere.

        Args:
            labels: (H, W) or (D, H, W) class indices of the whole picture; looked through once.
            epoch: which the draw belongs to.
            index: of the picture.
            patch: which crop of it.

        """
        rng = place_generator(self._seed, epoch, index, patch)
        if rng.random() >= self._probability:
            return None
        if index not in self._known:
            strips = labels.strips() if isinstance(labels, WindowedArray) else (labels,)
            self._known[index] = find_foreground(strips, labels.shape, picture_generator(self._seed, index))
        return self._known[index].draw(rng)


def find_foreground(strips: Iterable[NDArray[Any]], size: tuple[int, ...], rng: np.random.Generator) -> Foreground:
    """Collect the foreground of a picture.

    Args:
        strips: of its label map, cut across the first axis, in order: (h, W) or (d, H, W) class indices.
        size: of the whole label map.
        rng: for drawing from classes of many pixels.

    """
    kept: dict[int, NDArray[np.int64]] = {}
    seen: dict[int, int] = {}
    start = 0
    for strip in strips:
        shown = np.flatnonzero(np.bincount(strip.astype(np.uint8, copy=False).ravel()))
        for label in shown[(shown != 0) & (shown != IGNORE)].tolist():
            found = start + np.flatnonzero(strip == label)
            kept[label] = _merged(kept.get(label), seen.get(label, 0), found, rng)
            seen[label] = seen.get(label, 0) + len(found)
        start += strip.size
    return Foreground(size, tuple(kept[label] for label in sorted(kept)))


def _merged(
    kept: NDArray[np.int64] | None, seen: int, found: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return a uniform sample of ``seen`` places, of which ``kept`` is a uniform sample, and the places ``found``."""
    old = found[:0] if kept is None else kept
    if seen + len(found) <= MOST_POINTS:
        return np.concatenate([old, found])
    new = int(rng.hypergeometric(len(found), seen, MOST_POINTS)) if seen else MOST_POINTS
    chosen = (rng.choice(found, new, replace=False), rng.choice(old, MOST_POINTS - new, replace=False))
    return np.concatenate(chosen)
