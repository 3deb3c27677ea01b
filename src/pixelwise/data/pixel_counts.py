"""How many pixels of the masks show each class."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.measuring import MOST_IMAGES


class MaskSource(Protocol):
    """Whatever gives the label map of an index in parts, (h, W) or (d, H, W) uint8: a ``SampleReader``, say."""

    def label_strips(self, index: int) -> Iterable[NDArray[np.uint8]]:
        """Return the label map, cut across its first axis."""


def count_pixels(source: MaskSource, indices: Sequence[int] | NDArray[np.int64], num_classes: int) -> NDArray[np.int64]:
    """Return how many pixels show each class, (num_classes,); ignored ones are not counted.

    Of many masks, ``MOST_IMAGES`` evenly spaced ones stand for all: the same ones for the same data.

    Raises:
        DataError: a mask cannot be read any more.

    """
    counts: NDArray[Any] = np.zeros(256, np.int64)
    chosen = np.unique(np.linspace(0, len(indices) - 1, min(len(indices), MOST_IMAGES)).round().astype(np.int64))
    for index in np.asarray(indices)[chosen].tolist():
        for strip in source.label_strips(index):
            counts += np.bincount(strip.ravel(), minlength=len(counts))
    return counts[:num_classes]
