"""How one prediction is shown, task by task.

A new task is one :class:`Exhibit`, and one line in :data:`EXHIBITS`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.boxes import Box, parse_box
from pixelwise.data.manifest import Manifest
from pixelwise.data.names import show_path
from pixelwise.data.reading import SampleReader
from pixelwise.errors import PixelwiseError
from pixelwise.metrics import LOCALISED_IOU
from pixelwise.predict.overlay import display_rgb, draw_box
from pixelwise.predict.palette import background_class, class_colours
from pixelwise.reporting.pictures import INVENTED, MISSED, Thumbnail, error_map, fit, overlay, thumbnail
from pixelwise.reporting.record import Record, entries, number
from pixelwise.reporting.wording import clip, label, probability_text, score_text

if TYPE_CHECKING:
    from pixelwise.predict.prediction import Prediction
    from pixelwise.predict.predictor import Predictor

PREDICTED_PIXELS = 2**22
"""Larger pictures are not predicted once more for the report: on a processor that takes minutes each."""

TRUE_BOX = (86, 180, 233)
PREDICTED_BOX = (230, 159, 0)
_LINES_PER_SIDE = 96
"""A box's line is this share of the thumbnail's longest side: more than two pixels of a page."""
_NO_CLASS = "no class"
_NO_TEXT = "nothing"


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

    def __call__(self, image: NDArray[Any]) -> "Prediction":
        """Predict a picture (H, W, C).

        Raises:
            PixelwiseError: the picture is too large, or cannot be predicted.

        """
        from pixelwise.predict.predictor import Predictor

        if image.shape[0] * image.shape[1] > PREDICTED_PIXELS:
            raise PixelwiseError("The picture is too large to be predicted once more for a report")
        if self._predictor is None:
            self._predictor = Predictor.load(self._path)
        return self._predictor.predict(image)


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


def _file(sample: dict[str, Any]) -> str:
    path, frame = key_of(sample)
    return clip(show_path(path)) + (f" [{frame}]" if frame >= 0 else "")


def _class_shot(record: Record, sample: Sample, picture: Picture, _model: RunModel) -> ClassShot:
    truth, prediction = (_class_name(record, sample.get(key)) for key in ("truth", "prediction"))
    score = number(sample.get("score"))
    return _in_words(sample, picture, truth, prediction, probability=_probability(sample), score=score)


def _set_shot(_record: Record, sample: Sample, picture: Picture, _model: RunModel) -> ClassShot:
    truth, prediction = (clip(str(sample.get(key) or _NO_CLASS)) for key in ("truth", "prediction"))
    score = number(sample.get("score"))
    return replace(_in_words(sample, picture, truth, prediction), probability_text="", share=_percent(score))


def _text_shot(_record: Record, sample: Sample, picture: Picture, _model: RunModel) -> ClassShot:
    truth, prediction = (clip(str(sample.get(key) or _NO_TEXT)) for key in ("truth", "prediction"))
    return _in_words(sample, picture, truth, prediction, probability=_probability(sample))


def _probability(sample: Sample) -> float:
    return number(sample.get("probability"))


def _in_words(
    sample: Sample,
    picture: Picture,
    truth: str,
    prediction: str,
    *,
    probability: float = math.nan,
    score: float | None = None,
) -> ClassShot:
    """Return a picture with its truth and prediction as words; NaN stands for a probability that there is not."""
    shown, fault = _shown(picture)
    return ClassShot(
        file=_file(sample),
        picture=shown,
        fault=fault,
        truth=truth,
        prediction=prediction,
        right=sample.get("truth") == sample.get("prediction"),
        probability=None if math.isnan(probability) else probability,
        probability_text=probability_text(probability),
        share=_percent(probability),
        score_text="" if score is None else probability_text(score),
    )


def _percent(share: float) -> float:
    return 0.0 if math.isnan(share) else round(100 * share, 1)


def _box_shot(record: Record, sample: Sample, picture: Picture, model: RunModel) -> ClassShot:
    """Draw the true and the predicted box; the latter is found once more, as scores hold no boxes."""
    from pixelwise.predict.box_prediction import BoxPrediction

    shown, fault = None, ""
    if picture.reading is not None:
        try:
            samples, index = _locate(picture)
            image = samples.image(index)
            small = fit(display_rgb(image))
            scale = small.shape[1] / image.shape[1], small.shape[0] / image.shape[0]
            line = math.ceil(max(small.shape[:2]) / _LINES_PER_SIDE)
            truth = _scaled(parse_box(samples.manifest.annotations[index]), scale)
            drawn = draw_box(small, truth, TRUE_BOX, line)
            prediction = model(image)
            assert isinstance(prediction, BoxPrediction)  # the run's task is localisation
            drawn = draw_box(drawn, _scaled(prediction.box, scale), PREDICTED_BOX, line)
            shown = thumbnail(drawn, picture.limit_bytes)
        except PixelwiseError as error:
            fault = f"The boxes cannot be shown: {clip(str(error), 200)}"
    overlap, named = number(sample.get("score")), _class_shot(record, sample, Picture(None, None, 0), model)
    return replace(
        named,
        picture=shown,
        fault=fault,
        right=named.right and overlap >= LOCALISED_IOU,
        score_text="",
        remark=f"overlap {score_text(overlap, '')}" if named.right else "",
    )


def _scaled(box: Box, scale: tuple[float, float]) -> Box:
    return box[0] * scale[0], box[1] * scale[1], box[2] * scale[0], box[3] * scale[1]


def _shown(picture: Picture) -> tuple[Thumbnail | None, str]:
    """Return a sample's thumbnail, or why there is none."""
    if picture.reading is None:
        return None, ""
    try:
        samples, index = _locate(picture)
        return thumbnail(display_rgb(samples.image(index)), picture.limit_bytes), ""
    except PixelwiseError as error:
        return None, f"The picture cannot be shown: {clip(str(error), 200)}"


def _mask_shot(record: Record, sample: Sample, picture: Picture, model: RunModel) -> MaskShot:
    panels: list[tuple[str, Thumbnail]] = []
    fault = ""
    try:
        _add_panels(panels, record, picture, model)
    except PixelwiseError as error:
        fault = f"Not all could be drawn: {clip(str(error), 300)}"
    score = number(sample.get("score"))
    return MaskShot(
        file=_file(sample),
        label=label(str((record.scores or {}).get("metric", "score"))),
        score=None if math.isnan(score) else score,
        score_text=score_text(score, ""),
        panels=tuple(panels),
        fault=fault,
    )


def _add_panels(panels: list[tuple[str, Thumbnail]], record: Record, picture: Picture, model: RunModel) -> None:
    """Add one panel after the other, so that an error leaves those that could be drawn."""
    from pixelwise.predict.prediction import MaskPrediction

    def add(caption: str, rgb: NDArray[np.uint8]) -> None:
        panels.append((caption, thumbnail(rgb, picture.limit_bytes)))

    samples, index = _locate(picture)
    image, classes = samples.image(index), _classes(record)
    add("Picture", fit(display_rgb(image)))
    truth = samples.label_map(index)
    add("Truth", overlay(image, truth, classes))
    prediction = model(image)
    assert isinstance(prediction, MaskPrediction)  # the run's task is segmentation
    add("Prediction", overlay(image, prediction.label_map, classes))
    add("Errors", error_map(image, truth, prediction.label_map, classes))


def _locate(picture: Picture) -> tuple[SampleReader, int]:
    if picture.reading is None or picture.index is None:
        raise PixelwiseError("The run's manifest does not know this file")
    return picture.reading.samples, picture.index


def _classes(record: Record) -> tuple[str, ...]:
    return record.manifest.classes if record.manifest is not None else ()


def _class_name(record: Record, value: object) -> str:
    """Return a class's name; scores may hold its index or its name."""
    classes = _classes(record) or tuple(str(entry.get("name")) for entry in entries(record.scores, "classes"))
    if isinstance(value, int) and 0 <= value < len(classes):
        return clip(classes[value], 60)
    return clip(str(value), 60)


def _mask_legend(record: Record) -> tuple[tuple[str, str], ...]:
    """Return (meaning, CSS colour) of the classes that are painted, then of the error map."""
    classes = _classes(record)
    background = background_class(classes)
    colours = [(name, tuple(map(int, colour))) for name, colour in zip(classes, class_colours(classes), strict=True)]
    shown = [entry for index, entry in enumerate(colours) if index != background][:40]
    shown.append(("error: not found" if background is not None else "error", MISSED))
    if background is not None:
        shown.append((f"error: {classes[background]} taken for something", INVENTED))
    return tuple((clip(name, 40), _css(colour)) for name, colour in shown)


def _box_legend(_record: Record) -> tuple[tuple[str, str], ...]:
    return ("true box", _css(TRUE_BOX)), ("predicted box", _css(PREDICTED_BOX))


def _css(colour: tuple[int, ...]) -> str:
    return f"rgb({colour[0]}, {colour[1]}, {colour[2]})"


EXHIBITS: Final[dict[str, Exhibit]] = {
    "classification": Exhibit(worst=12, best=6, shoot=_class_shot),
    "segmentation": Exhibit(worst=4, best=2, panels=4, shoot=_mask_shot, legend=_mask_legend),
    "multilabel": Exhibit(worst=12, best=6, shoot=_set_shot),
    "localisation": Exhibit(worst=12, best=6, shoot=_box_shot, legend=_box_legend, is_large=True),
    "sequence": Exhibit(worst=12, best=6, shoot=_text_shot),
}
"""By the name of the task."""
