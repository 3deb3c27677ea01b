"""Planes of class, weight and object of a large mask, worked out for the window that is cut out of it.

The weight of a pixel depends on the objects around it as far as :data:`REACH_PX`: the window is read with so much more
on every side. Weights are then those of the whole picture, within the same millionth of w_0 that
:mod:`pixelwise.data.weight_map` leaves out; the weights of the classes are counted over the whole mask, once in
each process that reads it. Numbers of objects are those of the window, 1 to n.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.label_planes import OBJECTS, join_planes
from pixelwise.data.mask_reading import IGNORE, MaskReading, apply_reading
from pixelwise.data.objects import read_objects
from pixelwise.data.weight_map import (
    RADIUS_PX,
    balanced_class_weights,
    drawn_apart,
    separate_touching,
    separating_weights,
)
from pixelwise.data.windows import WindowedArray

_TOUCH_PX: Final = 1
_STRIP_PX: Final = 2**22
REACH_PX: Final = math.ceil(RADIUS_PX) + _TOUCH_PX
"""How far away an object may lie that decides about a pixel."""


@dataclass(frozen=True)
class ObjectPlanes:
    """Reads windows of planes (h, w, 3).

    Attributes:
        stored: the mask's values.
        reading: how they are meant: as numbers of objects.
        name: for messages.
        is_weighed: as for :class:`~pixelwise.data.dataset.Dataset`.

    """

    stored: WindowedArray
    reading: MaskReading
    name: str
    is_weighed: bool

    def windows(self) -> WindowedArray:
        """Return the planes of the whole mask, to be cut."""
        return WindowedArray((*self.stored.shape[:2], *OBJECTS.planes), OBJECTS.dtype, self._read)

    @cached_property
    def _class_weights(self) -> tuple[float, ...]:
        """Those that balance the pixels of the whole mask, objects that touch drawn apart."""
        height, width = self.stored.shape[:2]
        counts = np.zeros(IGNORE + 1, np.int64)
        rows = max(1, _STRIP_PX // width)
        for top in range(0, height, rows):
            first, end = max(0, top - _TOUCH_PX), min(height, top + rows)
            classes, objects = self._labels(slice(first, min(height, end + _TOUCH_PX)), slice(0, width))
            apart = drawn_apart(classes, separate_touching(objects))[top - first : end - first]
            counts += np.bincount(apart.ravel(), minlength=len(counts))
        return tuple(balanced_class_weights(counts)[: self.reading.num_classes].tolist())

    def _labels(self, rows: slice, columns: slice) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        values = self.stored[rows, columns]
        return apply_reading(values, self.reading, self.name), read_objects(values, self.reading, self.name)

    def _read(self, rows: slice, columns: slice) -> NDArray[Any]:
        reach = REACH_PX if self.is_weighed else 0
        around = [
            slice(max(0, part.start - reach), min(side, part.stop + reach))
            for part, side in zip((rows, columns), self.stored.shape, strict=False)
        ]
        classes, objects = self._labels(*around)
        weights = separating_weights(objects, classes, self._class_weights) if self.is_weighed else None
        planes = join_planes(classes, weights, objects)
        top, left = rows.start - around[0].start, columns.start - around[1].start
        return planes[top : top + rows.stop - rows.start, left : left + columns.stop - columns.start]
