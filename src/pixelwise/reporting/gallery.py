"""The best and the worst predictions, with their pictures."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.manifest import Manifest
from pixelwise.data.names import show_path
from pixelwise.data.reading import SampleReader
from pixelwise.errors import PixelwiseError
from pixelwise.predict.overlay import display_rgb
from pixelwise.predict.palette import background_class, class_colours
from pixelwise.reporting.pictures import INVENTED, MISSED, Thumbnail, error_map, fit, overlay, thumbnail
from pixelwise.reporting.record import Record, entries, number
from pixelwise.reporting.wording import clip, label, probability_text, score_text

if TYPE_CHECKING:
    from pixelwise.predict.predictor import Predictor

CLASS_SHOTS = (12, 6)
"""Worst and best predictions of a classifier that are shown."""
MASK_SHOTS = (4, 2)
PANELS = 4
PICTURE_LIMIT_BYTES = 90_000
"""Most that one picture may take, however few there are."""
PREDICTED_PIXELS = 2**22
"""Larger pictures are not segmented once more for the report: on a processor that takes minutes each."""
_PICTURE_MINIMUM_BYTES = 3_000


@dataclass(frozen=True, slots=True)
class ClassShot:
    """One classified picture; without it, the reason why not."""

    file: str
    picture: Thumbnail | None
    fault: str
    truth: str
    prediction: str
    right: bool
    probability: float | None
    """Of the predicted class."""
    probability_text: str
    share: float
    score_text: str
    """Probability of the true class."""


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
class Gallery:
    """Groups (heading, shots) of the task's kind; ``unavailable`` says why there are no pictures."""

    groups: tuple[tuple[str, tuple[ClassShot | MaskShot, ...]], ...]
    legend: tuple[tuple[str, str], ...]
    unavailable: str


class _Segmenter:
    """The run's own model, loaded when the first picture asks for it."""

    def __init__(self, record: Record) -> None:
        self._path = record.path
        self._predictor: Predictor | None = None

    def __call__(self, image: NDArray[Any]) -> NDArray[np.uint8]:
        from pixelwise.predict.prediction import MaskPrediction
        from pixelwise.predict.predictor import Predictor

        if image.shape[0] * image.shape[1] > PREDICTED_PIXELS:
            raise PixelwiseError("The picture is too large to be segmented once more for a report")
        if self._predictor is None:
            self._predictor = Predictor.load(self._path)
        prediction = self._predictor.predict(image)
        assert isinstance(prediction, MaskPrediction)  # the run's task is segmentation
        return prediction.label_map


def gallery(record: Record, budget_bytes: int) -> Gallery | None:
    """Choose, read and draw the best and worst predictions of the run's scores.

    Args:
        record: the run.
        budget_bytes: most characters that all pictures' addresses may have together.

    Returns:
        None when there are no scores of single samples.

    """
    segmentation = record.task == "segmentation"
    worst, best = _choose(entries(record.scores, "samples"), *(MASK_SHOTS if segmentation else CLASS_SHOTS))
    if not worst:
        return None
    pictures = (len(worst) + len(best)) * (PANELS if segmentation else 1)
    limit = min(PICTURE_LIMIT_BYTES, budget_bytes // pictures)
    reader, unavailable = _reader(record)
    if limit < _PICTURE_MINIMUM_BYTES:
        reader, unavailable = None, "There is no room for pictures: the tables fill this file."
    if segmentation and reader is None:
        return Gallery((), (), unavailable)
    places = {} if reader is None else _places(reader.manifest, [*worst, *best])
    groups = []
    segment = _Segmenter(record) if segmentation and reader is not None else None
    for heading, samples in (("Worst", worst), ("Best", best)):
        shots: list[ClassShot | MaskShot] = []
        for sample in samples:
            picture = _Picture(reader, places.get(_key(sample)), limit)
            if segment is not None:
                shots.append(_mask_shot(record, sample, picture, segment))
            else:
                shots.append(_class_shot(record, sample, picture))
        if shots:
            groups.append((heading, tuple(shots)))
    return Gallery(tuple(groups), _legend(record) if segmentation else (), unavailable)


@dataclass(frozen=True, slots=True)
class _Reading:
    """Where pictures come from."""

    manifest: Manifest
    samples: SampleReader


@dataclass(frozen=True, slots=True)
class _Picture:
    """One sample's place in the data, if it can be read, and what its thumbnail may weigh."""

    reading: _Reading | None
    index: int | None
    limit_bytes: int


def _choose(samples: list[dict[str, Any]], worst: int, best: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the samples with the lowest and with the highest scores, each extreme first; no sample is in both.

    The best are of different classes, as far as there are enough: the easiest class alone would say little.
    """
    scored = [sample for sample in samples if math.isfinite(number(sample.get("score")))]
    scored.sort(key=lambda sample: number(sample["score"]))
    low = scored[: min(worst, math.ceil(len(scored) * worst / (worst + best)))]
    firsts: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    seen: set[str] = set()
    for sample in reversed(scored[len(low) :]):
        truth = str(sample.get("truth"))
        (others if truth in seen else firsts).append(sample)
        seen.add(truth)
    return low, [*firsts, *others][:best]


def _reader(record: Record) -> tuple[_Reading | None, str]:
    root = record.root
    if record.manifest is None:
        return None, "The run's manifest cannot be read, so the pictures are not known."
    if root is None:
        where = clip(str(record.data.get("root", "")))
        return None, f"The pictures are left out: the data folder {where} is not there any more."
    return _Reading(record.manifest, SampleReader(root, record.manifest)), ""


def _key(sample: dict[str, Any]) -> tuple[str, int]:
    frame = sample.get("frame")
    return str(sample.get("path")), frame if isinstance(frame, int) else -1


def _places(manifest: Manifest, samples: list[dict[str, Any]]) -> dict[tuple[str, int], int]:
    """Find the manifest's indices of a few samples."""
    wanted = {_key(sample) for sample in samples}
    return {(item.path, item.frame): item.index for item in manifest if (item.path, item.frame) in wanted}


def _file(sample: dict[str, Any]) -> str:
    path, frame = _key(sample)
    return clip(show_path(path)) + (f" [{frame}]" if frame >= 0 else "")


def _class_shot(record: Record, sample: dict[str, Any], picture: _Picture) -> ClassShot:
    shown, fault = None, ""
    if picture.reading is not None:
        try:
            samples, index = _locate(picture)
            shown = thumbnail(display_rgb(samples.image(index)), picture.limit_bytes)
        except PixelwiseError as error:
            fault = f"The picture cannot be shown: {clip(str(error), 200)}"
    truth, prediction = (_class_name(record, sample.get(key)) for key in ("truth", "prediction"))
    probability, score = number(sample.get("probability")), number(sample.get("score"))
    return ClassShot(
        file=_file(sample),
        picture=shown,
        fault=fault,
        truth=truth,
        prediction=prediction,
        right=sample.get("truth") == sample.get("prediction"),
        probability=None if math.isnan(probability) else probability,
        probability_text=probability_text(probability),
        share=0.0 if math.isnan(probability) else round(100 * probability, 1),
        score_text=probability_text(score),
    )


def _mask_shot(record: Record, sample: dict[str, Any], picture: _Picture, segment: _Segmenter) -> MaskShot:
    panels: list[tuple[str, Thumbnail]] = []
    fault = ""
    try:
        _add_panels(panels, record, picture, segment)
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


def _add_panels(panels: list[tuple[str, Thumbnail]], record: Record, picture: _Picture, segment: _Segmenter) -> None:
    """Add one panel after the other, so that an error leaves those that could be drawn."""

    def add(caption: str, rgb: NDArray[np.uint8]) -> None:
        panels.append((caption, thumbnail(rgb, picture.limit_bytes)))

    samples, index = _locate(picture)
    image, classes = samples.image(index), _classes(record)
    add("Picture", fit(display_rgb(image)))
    truth = samples.label_map(index)
    add("Truth", overlay(image, truth, classes))
    prediction = segment(image)
    add("Prediction", overlay(image, prediction, classes))
    add("Errors", error_map(image, truth, prediction, classes))


def _locate(picture: _Picture) -> tuple[SampleReader, int]:
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


def _legend(record: Record) -> tuple[tuple[str, str], ...]:
    """Return (meaning, CSS colour) of the classes that are painted, then of the error map."""
    classes = _classes(record)
    background = background_class(classes)
    colours = [(name, tuple(map(int, colour))) for name, colour in zip(classes, class_colours(classes), strict=True)]
    shown = [entry for index, entry in enumerate(colours) if index != background][:40]
    shown.append(("error: not found" if background is not None else "error", MISSED))
    if background is not None:
        shown.append((f"error: {classes[background]} taken for something", INVENTED))
    return tuple((clip(name, 40), f"rgb({colour[0]}, {colour[1]}, {colour[2]})") for name, colour in shown)
