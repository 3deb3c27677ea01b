"""Whether a model takes a large picture, told by samples of it before the first tile is predicted."""

import numpy as np

from pixelwise.data.preprocess import Preprocess
from pixelwise.data.regions import Region, RegionSource
from pixelwise.errors import UsageError
from pixelwise.predict.admission import admit
from pixelwise.runs.model import Model

_SAMPLE_PX = 256
_SAMPLES_A_SIDE = 4


def refuse_model(model: Model) -> None:
    """Refuse a model whose answer for a picture is not made of the answers for its tiles.

    Raises:
        UsageError: it has no answer for each pixel, resizes or resamples pictures, or levels each by its own mean.

    """
    preprocess = model.preprocess
    if model.spec.task != "segmentation":
        raise UsageError(
            f"A large picture with a {model.task.name} model",
            expected="a model that answers for every pixel",
            do="Make the picture smaller, or cut it into pictures",
        )
    what = {
        f"brings every picture to {' x '.join(map(str, preprocess.size or ()))} pixels ({preprocess.resize})": (
            preprocess.size is not None
        ),
        "brings every volume to voxels of one size": preprocess.spacing is not None,
        "levels each picture by its own mean and standard deviation": preprocess.statistics == "picture",
    }
    for how, it_does in what.items():
        if it_does:
            raise UsageError(
                f"A large picture with a model that {how}",
                expected="a model that looks at the pixels as they are",
                do="Make the picture smaller, or train a model without",
            )


def admit_samples(source: RegionSource, preprocess: Preprocess) -> tuple[str, ...]:
    """Check type, channels and range of values on samples spread over a picture; return notes of what is done to it.

    Raises:
        ImageError: it is not of the model's kind.

    """
    samples = [source.read(region).reshape(1, -1, source.channels) for region in _sample_regions(source.size)]
    return admit(np.concatenate(samples, axis=1), preprocess, source.name)[1]


def _sample_regions(size: tuple[int, ...]) -> list[Region]:
    """Return up to 16 windows on a grid over the picture, of a volume over the plane in the middle."""
    plane: Region = () if len(size) == 2 else ((size[0] // 2, size[0] // 2 + 1),)
    along = []
    for side in size[-2:]:
        window = min(_SAMPLE_PX, side)
        starts = {round(k * (side - window) / (_SAMPLES_A_SIDE - 1)) for k in range(_SAMPLES_A_SIDE)}
        along.append([(start, start + window) for start in sorted(starts)])
    return [(*plane, rows, columns) for rows in along[0] for columns in along[1]]
