"""Whether pictures are photographs in colour, which have an up and a down, or grey, as most microscopy is."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.reading import SampleReader

LOOKED_AT: Final = 8
"""Pictures that stand for all of them."""
_DIFFERENCE, _SHARE = 16, 0.01


def are_coloured(reader: SampleReader, indices: NDArray[np.int64]) -> bool:
    """Whether most pictures show colours: three channels of bytes that differ, as grey stored as RGB does not.

    Up to ``LOOKED_AT`` pictures, evenly spaced, are read.
    """
    chosen = indices[np.unique(np.linspace(0, len(indices) - 1, min(LOOKED_AT, len(indices))).astype(int))]
    if not (reader.manifest.column("channels")[chosen] == 3).any():
        return False
    return 2 * sum(is_coloured(reader.image(index)) for index in chosen.tolist()) > len(chosen)


def is_coloured(image: NDArray[Any]) -> bool:
    """Whether the channels of an (H, W, C) picture differ by more than 16 of 255 in more than 1 % of its pixels."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        return False
    return bool((np.ptp(image, axis=2) > _DIFFERENCE).mean() > _SHARE)
