"""What is shown of one prediction, whatever the task: a picture with words, or a picture as several panels."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from pixelwise.data.manifest import Manifest
from pixelwise.data.names import show_path
from pixelwise.data.reading import SampleReader
from pixelwise.data.volumes.volume import Volume
from pixelwise.errors import PixelwiseError
from pixelwise.predict.overlay import display_rgb
from pixelwise.reporting.pictures import Thumbnail, thumbnail
from pixelwise.reporting.record import Record, number
from pixelwise.reporting.wording import clip, label, score_text

if TYPE_CHECKING:
    from pixelwise.predict.prediction import Prediction
    from pixelwise.predict.predictor import Predictor

PREDICTED_PIXELS = 2**22
"""Larger pictures are not predicted once more for the report: on a processor that takes minutes each."""


@dataclass(frozen=True, slots=True)
class ClassShot:
    """One picture with its class, its classes or its object; without it, the reason why not."""

    file: str
    picture: Thumbnail | None
    fault: str
    truth: str
    prediction: str
    right: bool
    probability: float | None
    """Of the predicted class."""
    probability_text: str
    """Empty where several classes have one each."""
    share: float
    score_text: str
    """Probability of the true class; empty where that is not what is scored."""
    remark: str = ""
    """What else there is to say of it."""


@dataclass(frozen=True, slots=True)
class MaskShot:
    """One segmented picture as panels (caption, picture); what is missing is explained by ``fault``."""

    file: str
    label: str
    score: float | None
    score_text: str
    panels: tuple[tuple[str, Thumbnail], ...]
    fault: str


@dataclass(frozen=True, slots=True)
class Reading:
    """Where pictures come from."""

    manifest: Manifest
    samples: SampleReader


@dataclass(frozen=True, slots=True)
class Picture:
    """One sample's place in the data, if it can be read, and what its thumbnail may weigh."""

    reading: Reading | None
    index: int | None
    limit_bytes: int


class RunModel:
    """The run's own model, loaded when the first picture asks for it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._predictor: Predictor | None = None

    def __call__(self, image: NDArray[Any] | Volume) -> "Prediction":
        """Predict a picture (H, W, C), or a volume.

        Raises:
            PixelwiseError: the picture is too large, or cannot be predicted.

        """
        from pixelwise.predict.predictor import Predictor

        size = image.voxels.shape[:3] if isinstance(image, Volume) else image.shape[:2]
        if math.prod(size) > PREDICTED_PIXELS:
            raise too_large_to_predict()
        if self._predictor is None:
            self._predictor = Predictor.load(self._path)
        return self._predictor.predict(image)


def too_large_to_predict() -> PixelwiseError:
    """Return the reason why a large picture has no prediction in a report."""
    return PixelwiseError("The picture is too large to be predicted once more for a report")


Sample = dict[str, Any]
"""An entry of ``samples`` in scores.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """What is shown of a task's predictions.

    Attributes:
        worst, best: how many of each.
        panels: pictures that each takes.
        shoot: makes one.
        legend: (meaning, CSS colour) of what is drawn.
        is_large: pictures are shown larger than usual, because something is drawn in them.

    """

    worst: int
    best: int
    shoot: Callable[[Record, Sample, Picture, RunModel], ClassShot | MaskShot]
    panels: int = 1
    legend: Callable[[Record], tuple[tuple[str, str], ...]] = lambda _record: ()
    is_large: bool = False


def key_of(sample: dict[str, Any]) -> tuple[str, int]:
    """Return what tells a sample from all others: path and frame."""
    frame = sample.get("frame")
    return str(sample.get("path")), frame if isinstance(frame, int) else -1


def panel_shot(sample: Sample, metric: str, add_panels: Callable[[list[tuple[str, Thumbnail]]], None]) -> MaskShot:
    """Draw a picture as several panels; of an error those that were drawn before it stay.

    Args:
        sample: what scores.json says of it.
        metric: the name of its score.
        add_panels: appends (caption, picture), one after the other.

    """
    panels: list[tuple[str, Thumbnail]] = []
    fault = ""
    try:
        add_panels(panels)
    except PixelwiseError as error:
        fault = f"Not all could be drawn: {clip(str(error), 300)}"
    score = number(sample.get("score"))
    return MaskShot(
        file=file_of(sample),
        label=label(metric),
        score=None if math.isnan(score) else score,
        score_text=score_text(score, ""),
        panels=tuple(panels),
        fault=fault,
    )


def metric_of(record: Record) -> str:
    """Return the name of the score that picks a run's best weights."""
    return str((record.scores or {}).get("metric", "score"))


def file_of(sample: dict[str, Any]) -> str:
    """Return how a sample is called: its path, and its frame where a file holds several."""
    path, frame = key_of(sample)
    return clip(show_path(path)) + (f" [{frame}]" if frame >= 0 else "")


def probability_of(sample: Sample) -> float:
    """Return the probability of what was predicted; NaN where there is none."""
    return number(sample.get("probability"))


def percent_of(share: float) -> float:
    """Return a share as per cent, with one decimal; 0 for NaN."""
    return 0.0 if math.isnan(share) else round(100 * share, 1)


def shown_picture(picture: Picture) -> tuple[Thumbnail | None, str]:
    """Return a sample's thumbnail, or why there is none."""
    if picture.reading is None:
        return None, ""
    try:
        samples, index = locate(picture)
        return thumbnail(display_rgb(samples.image(index)), picture.limit_bytes), ""
    except PixelwiseError as error:
        return None, f"The picture cannot be shown: {clip(str(error), 200)}"


def locate(picture: Picture) -> tuple[SampleReader, int]:
    """Return where a sample is read from.

    Raises:
        PixelwiseError: the run's manifest does not know it.

    """
    if picture.reading is None or picture.index is None:
        raise PixelwiseError("The run's manifest does not know this file")
    return picture.reading.samples, picture.index


def classes_of(record: Record) -> tuple[str, ...]:
    """Return the class table of a run's data; empty where it cannot be read."""
    return record.manifest.classes if record.manifest is not None else ()


def css(colour: tuple[int, ...]) -> str:
    """Write a colour for a style sheet."""
    return f"rgb({colour[0]}, {colour[1]}, {colour[2]})"
