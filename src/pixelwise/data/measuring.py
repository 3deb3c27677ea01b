"""Measuring the preprocessing of a network: value range, mean and standard deviation of its training pictures."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.images import to_channels
from pixelwise.data.preprocess import Preprocess, Resize
from pixelwise.data.statistics import Moments, RangePolicy
from pixelwise.errors import DataError

MOST_IMAGES = 2_000
"""Pictures that are measured at most, evenly spaced over the split."""


class ImageSource(Protocol):
    """Whatever gives the picture of an index, (H, W, C): a ``SampleReader``, say."""

    def image(self, index: int) -> NDArray[Any]:
        """Return the picture."""


def measure_preprocess(
    source: ImageSource,
    indices: Sequence[int] | NDArray[np.int64],
    *,
    channels: int,
    resize: Resize = "none",
    size: tuple[int, int] | None = None,
    crop_fraction: float = 1.0,
    value_range: RangePolicy | tuple[float, float] = "auto",
) -> Preprocess:
    """Measure the preprocessing of a network from its training pictures.

    Mean and standard deviation are those of all pixels, after resizing and without padding, of at most ``MOST_IMAGES``
    evenly spaced pictures. A channel that never varies gets the standard deviation 1.

    Args:
        source: gives the pictures.
        indices: those of the training split.
        channels: of the network's input.
        resize: see :class:`~pixelwise.data.preprocess.Preprocess`.
        size: likewise.
        crop_fraction: likewise.
        value_range: which raw values become 0 and 1. ``dtype``: 0..255, 0..65,535, and 0..1 for floats. ``measured``: 0
            to the largest value found, and for floats the smallest to the largest. ``percentile``: between the
            ``PERCENTILES`` of all values, for pictures with a few hot pixels. ``auto``: ``dtype`` for 8 bits, else
            ``measured``, because 16-bit cameras rarely use all their bits. Or two numbers. Values beyond the range are
            mapped beyond 0..1 and never clipped.

    Raises:
        DataError: no pictures, pictures of different types, or nothing but one value in all of them.
        ImageError: a picture holds NaN or infinity.

    """
    if len(indices) == 0:
        raise DataError("The training split is empty", expected="at least one picture", do="Change the split")
    frame = Preprocess(
        channels=channels,
        low=0.0,
        high=1.0,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        resize=resize,
        size=size,
        crop_fraction=crop_fraction,
    )
    chosen = np.unique(np.linspace(0, len(indices) - 1, min(len(indices), MOST_IMAGES)).round().astype(np.int64))
    moments = Moments(channels, value_range)
    for index in np.asarray(indices)[chosen].tolist():
        name = f"The picture with index {index}"
        moments.add(frame.resized(to_channels(source.image(index), channels, name)), name)
    low, high = moments.value_range()
    if not low < high:
        raise DataError(
            f"Every pixel of the {len(chosen)} measured training pictures has the value {low:g}",
            expected="pictures that show something",
            do="Check the pictures; `pixelwise check DATA` names those of one single value",
        )
    mean, std = moments.mean, moments.std
    return Preprocess(
        channels=channels,
        low=low,
        high=high,
        mean=tuple(((mean - low) / (high - low)).tolist()),
        std=tuple(np.where(std > 0, std / (high - low), 1.0).tolist()),
        resize=resize,
        size=size,
        crop_fraction=crop_fraction,
    )
