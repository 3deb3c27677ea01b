"""From stored mask values to numbered objects.

Masks of kind ``instance`` store the numbers themselves; they may leave numbers out. Of every other kind the objects are
the connected pieces of each class above 0, joined where pixels share a side: objects of one class that touch are then
one object, because nothing in the mask tells them apart.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from pixelwise.data.mask_reading import IGNORE, MaskReading, apply_reading
from pixelwise.data.mask_values import as_grey
from pixelwise.data.weight_map import connected_objects
from pixelwise.errors import MaskError

MOST_OBJECTS: Final = 2**24 - 1
"""In one mask: what the single precision of :mod:`pixelwise.data.label_planes` can number."""


def read_objects(values: NDArray[Any], reading: MaskReading, name: str) -> NDArray[np.int32]:
    """Number the objects of a mask.

    Args:
        values: (H, W) or (H, W, 3) as stored.
        reading: how they are meant.
        name: for messages.

    Returns:
        (H, W): 1 to n in the order of the stored numbers, or of the pieces; 0 for background and ignored pixels.

    Raises:
        MaskError: a value that the reading does not cover, or more than 16,777,215 objects.

    """
    label_map = apply_reading(values, reading, name)
    if reading.kind == "instance":
        grey = as_grey(values, reading.kind, name)
        numbers, places = np.unique(grey, return_inverse=True)
        offset = 0 if numbers[0] == 0 else 1
        count, objects = len(numbers) - 1 + offset, (places.reshape(grey.shape) + offset).astype(np.int32)
    else:
        objects = connected_objects(np.where(label_map == IGNORE, 0, label_map).astype(np.uint8))
        count = int(objects.max(initial=0))
    if count > MOST_OBJECTS:
        raise MaskError(
            f"{name} holds {count:,} objects",
            expected=f"at most {MOST_OBJECTS:,}, as many as are told apart in training",
            do="Cut the picture and its mask into smaller ones"
            if reading.kind == "instance"
            else "Check that the mask holds classes (--mask-kind), or cut the picture and its mask into smaller ones",
        )
    return objects


def objects_apart(objects: NDArray[np.int32]) -> Iterator[tuple[tuple[slice, slice], NDArray[np.bool_]]]:
    """Yield the rows and columns around each object, and which pixels within are its own."""
    for number, window in enumerate(scipy.ndimage.find_objects(objects), start=1):
        if window is not None:
            yield window, objects[window] == number
