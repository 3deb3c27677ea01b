"""Predictions in words: classes, sets of classes, strings."""

import math
from dataclasses import replace

from pixelwise.reporting.record import Record, entries, number
from pixelwise.reporting.shots import (
    ClassShot,
    Picture,
    RunModel,
    Sample,
    classes_of,
    file_of,
    percent_of,
    probability_of,
    shown_picture,
)
from pixelwise.reporting.wording import clip, probability_text

_NO_CLASS = "no class"
_NO_TEXT = "nothing"


def class_shot(record: Record, sample: Sample, picture: Picture, _model: RunModel) -> ClassShot:
    """Name the true and the predicted class."""
    truth, prediction = (class_name(record, sample.get(key)) for key in ("truth", "prediction"))
    score = number(sample.get("score"))
    return in_words(sample, picture, truth, prediction, probability=probability_of(sample), score=score)


def set_shot(_record: Record, sample: Sample, picture: Picture, _model: RunModel) -> ClassShot:
    """Name all true and all predicted classes."""
    truth, prediction = (clip(str(sample.get(key) or _NO_CLASS)) for key in ("truth", "prediction"))
    score = number(sample.get("score"))
    return replace(in_words(sample, picture, truth, prediction), probability_text="", share=percent_of(score))


def text_shot(_record: Record, sample: Sample, picture: Picture, _model: RunModel) -> ClassShot:
    """Write down the true and the predicted string."""
    truth, prediction = (clip(str(sample.get(key) or _NO_TEXT)) for key in ("truth", "prediction"))
    return in_words(sample, picture, truth, prediction, probability=probability_of(sample))


def in_words(
    sample: Sample,
    picture: Picture,
    truth: str,
    prediction: str,
    *,
    probability: float = math.nan,
    score: float | None = None,
) -> ClassShot:
    """Return a picture with its truth and prediction as words; NaN stands for a probability that there is not."""
    shown, fault = shown_picture(picture)
    return ClassShot(
        file=file_of(sample),
        picture=shown,
        fault=fault,
        truth=truth,
        prediction=prediction,
        right=sample.get("truth") == sample.get("prediction"),
        probability=None if math.isnan(probability) else probability,
        probability_text=probability_text(probability),
        share=percent_of(probability),
        score_text="" if score is None else probability_text(score),
    )


def class_name(record: Record, value: object) -> str:
    """Return a class's name; scores may hold its index or its name."""
    classes = classes_of(record) or tuple(str(entry.get("name")) for entry in entries(record.scores, "classes"))
    if isinstance(value, int) and 0 <= value < len(classes):
        return clip(classes[value], 60)
    return clip(str(value), 60)
