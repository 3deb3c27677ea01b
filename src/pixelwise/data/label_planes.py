"""What goes with every pixel of a picture through resizing, caching and warping: a class, or more than that.

A label map is (H, W) uint8. Where objects are told apart, three planes take its place, (H, W, 3) float32: the class
(255 where ignored), the weight of the pixel in the loss, and the number of its object (0 for none). They are one array,
so that they are warped together with the picture at the same positions: class and object by the nearest pixel, the
weight, which is smooth, linearly.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelwise.data.mask_reading import IGNORE
from pixelwise.data.resample import Border, resize_label_map, resize_linear, sample_image, sample_label_map

CLASS, WEIGHT, OBJECT = range(3)
OUTSIDE: Final = (float(IGNORE), 0.0, 0.0)
"""Beyond a picture: ignored, no weight, no object."""


@dataclass(frozen=True, slots=True)
class LabelForm:
    """How labels lie in memory.

    Attributes:
        dtype: of every value.
        planes: shape of what one pixel has: () for one value.

    """

    dtype: np.dtype[Any]
    planes: tuple[int, ...] = ()

    @property
    def pixel_bytes(self) -> int:
        """Size of one pixel's labels."""
        return self.dtype.itemsize * int(np.prod(self.planes, dtype=int))


CLASSES: Final = LabelForm(np.dtype(np.uint8))
OBJECTS: Final = LabelForm(np.dtype(np.float32), (3,))


def join_planes(
    classes: NDArray[np.uint8], weights: NDArray[np.float32] | None, objects: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Return the planes of one picture, (H, W, 3); without weights every pixel counts alike."""
    planes = np.ones((*classes.shape, 3), np.float32)
    planes[..., CLASS] = classes
    planes[..., OBJECT] = np.where(classes == IGNORE, 0, objects)
    if weights is not None:
        planes[..., WEIGHT] = weights
    return planes


def ignore_beyond(labels: NDArray[Any], height: int, width: int) -> None:
    """Ignore what lies below and to the right of a picture, in place.

    Objects keep their numbers there: one that the picture's edge cuts goes on, and has no rim along it.

    Args:
        labels: (H, W), or planes (H, W, 3); no smaller than the picture.
        height: of the picture.
        width: of the picture.

    """
    for beyond in (labels[height:], labels[:height, width:]):
        if labels.ndim == 2:
            beyond[...] = IGNORE
        else:
            beyond[..., CLASS], beyond[..., WEIGHT] = IGNORE, OUTSIDE[WEIGHT]


def resize_labels(labels: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Resize a label map (H, W), or planes (H, W, 3)."""
    if labels.ndim == 2:
        return resize_label_map(labels, height, width)
    resized = resize_linear(labels, height, width)
    for plane in (CLASS, OBJECT):
        resized[..., plane] = resize_label_map(labels[..., plane], height, width)
    return resized


def sample_labels(
    labels: NDArray[Any], rows: NDArray[np.float32], columns: NDArray[np.float32], *, border: Border = "mirror"
) -> NDArray[Any]:
    """Take a label map (H, W), or planes (H, W, 3), at the positions (rows, columns), each (h, w)."""
    if labels.ndim == 2:
        return sample_label_map(labels, rows, columns, border=border)
    weight = np.ascontiguousarray(labels[..., WEIGHT : WEIGHT + 1])
    sampled = np.empty((*rows.shape, 3), np.float32)
    sampled[..., WEIGHT : WEIGHT + 1] = sample_image(weight, rows, columns, border=border, fill=OUTSIDE[WEIGHT:OBJECT])
    mode = cv2.BORDER_REFLECT_101 if border == "mirror" else cv2.BORDER_CONSTANT
    for plane in (CLASS, OBJECT):
        source = np.ascontiguousarray(labels[..., plane])
        sampled[..., plane] = cv2.remap(
            source, columns, rows, cv2.INTER_NEAREST, borderMode=mode, borderValue=(OUTSIDE[plane],)
        )
    return sampled
