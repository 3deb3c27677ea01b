"""Measuring the preprocessing of a network for volumes: value range, mean and standard deviation of the training ones.

The range is that between the outer percentiles of all values, after every volume has got its own scale where that is
asked for: photometric augmentation counts in shares of it, and it is never cut to.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.preprocess import Preprocess, Statistics
from pixelwise.data.reading import SampleReader
from pixelwise.data.statistics import Moments
from pixelwise.data.volumes.volume import Spacing
from pixelwise.errors import DataError

_MOST_VOLUMES = 200
"""Volumes that are measured at most, evenly spaced over the split."""


def measure_volumes(
    reader: SampleReader,
    indices: NDArray[np.int64],
    *,
    channels: int,
    statistics: Statistics,
    clip: tuple[float, float] | None = None,
    spacing: Spacing | None = None,
) -> Preprocess:
    """Measure the preprocessing of a network from its training volumes.

    Args:
        reader: of the data set.
        indices: of the training split.
        channels: of the volumes.
        statistics: see :class:`~pixelwise.data.preprocess.Preprocess`.
        clip: likewise.
        spacing: likewise. Where there is none, that of the first training volume is kept as ``training_spacing``: all
            training volumes have one.

    Raises:
        DataError: nothing but one value in all of them.

    """
    fields: dict[str, Any] = {"channels": channels, "statistics": statistics, "clip": clip, "spacing": spacing}
    if spacing is None:
        fields["training_spacing"] = reader.manifest.spacing(int(indices[0]))
    frame = Preprocess(**fields, low=0.0, high=1.0, mean=(0.0,) * channels, std=(1.0,) * channels)
    chosen = np.unique(np.linspace(0, len(indices) - 1, min(len(indices), _MOST_VOLUMES)).round().astype(np.int64))
    moments = Moments(channels, "percentile")
    for index in indices[chosen].tolist():
        volume = frame.levelled(reader.image(index))
        moments.add(volume.reshape(-1, *volume.shape[2:]), reader.manifest.paths[index])
    low, high = moments.value_range()
    if not low < high:
        raise DataError(
            f"Nearly every voxel of the {len(chosen)} measured training volumes has the value {low:g}",
            expected="volumes that show something",
            do="Check the volumes; `pixelwise check DATA` names those of one single value",
        )
    return Preprocess(
        **fields,
        low=low,
        high=high,
        mean=tuple(((moments.mean - low) / (high - low)).tolist()),
        std=tuple(np.where(moments.std > 0, moments.std / (high - low), 1.0).tolist()),
    )
