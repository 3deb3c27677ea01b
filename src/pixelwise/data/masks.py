"""Masks: from files to label maps.

`mask_values` reads what is stored, `mask_guess` finds out how it is meant, `mask_reading` writes the meaning down and
applies it. Their public names are gathered here.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.images import MAX_PIXELS
from pixelwise.data.mask_guess import MaskSurvey, guess_mask_kind
from pixelwise.data.mask_reading import IGNORE, MASK_KINDS, MaskKind, MaskReading, apply_reading
from pixelwise.data.mask_values import read_mask_raw, read_mask_values
from pixelwise.data.names import show_path

__all__ = [
    "IGNORE",
    "MASK_KINDS",
    "MaskKind",
    "MaskReading",
    "MaskSurvey",
    "apply_reading",
    "guess_mask_kind",
    "read_label_map",
    "read_mask_raw",
    "read_mask_values",
]


def read_label_map(
    path: Path, reading: MaskReading, *, frame: int | None = None, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """Read a mask as a label map.

    Returns:
        (H, W) uint8 class indices, 255 where ignored.

    Raises:
        MaskError: a value or colour that the reading does not cover (with its count); see also `read_mask_raw`.
        ImageError: the file itself cannot be read.

    """
    return apply_reading(read_mask_raw(path, frame=frame, max_pixels=max_pixels), reading, show_path(str(path)))
