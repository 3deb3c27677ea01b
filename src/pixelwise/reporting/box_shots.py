"""Pictures with true and predicted boxes drawn in: one of each, or any number."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.box_lists import parse_box_list
from pixelwise.data.boxes import Box, parse_box
from pixelwise.errors import PixelwiseError
from pixelwise.metrics import LOCALISED_IOU
from pixelwise.predict.overlay import display_rgb, draw_box
from pixelwise.reporting.pictures import Thumbnail, fit, thumbnail
from pixelwise.reporting.record import Record, number
from pixelwise.reporting.shots import ClassShot, Picture, RunModel, Sample, css, file_of, locate, percent_of
from pixelwise.reporting.word_shots import class_shot
from pixelwise.reporting.wording import clip, score_text

TRUE_BOX = (86, 180, 233)
PREDICTED_BOX = (230, 159, 0)
_LINES_PER_SIDE = 96
"""A box's line is this share of the thumbnail's longest side: more than two pixels of a page."""


def box_shot(record: Record, sample: Sample, picture: Picture, model: RunModel) -> ClassShot:
    """Draw the true and the predicted box; the latter is found once more, as scores hold no boxes."""
    from pixelwise.predict.box_prediction import BoxPrediction

    def boxes(annotation: str, image: NDArray[np.generic]) -> tuple[Sequence[Box], Sequence[Box]]:
        prediction = model(image)
        assert isinstance(prediction, BoxPrediction)  # the run's task is localisation
        return [parse_box(annotation)], [prediction.box]

    shown, fault = _drawn(picture, boxes)
    overlap, named = number(sample.get("score")), class_shot(record, sample, Picture(None, None, 0), model)
    return replace(
        named,
        picture=shown,
        fault=fault,
        right=named.right and overlap >= LOCALISED_IOU,
        score_text="",
        remark=f"overlap {score_text(overlap, '')}" if named.right else "",
    )


def objects_shot(_record: Record, sample: Sample, picture: Picture, model: RunModel) -> ClassShot:
    """Draw the boxes of all objects, and those that were detected."""
    from pixelwise.predict.detection import DetectionPrediction

    def boxes(annotation: str, image: NDArray[np.generic]) -> tuple[Sequence[Box], Sequence[Box]]:
        prediction = model(image)
        assert isinstance(prediction, DetectionPrediction)  # the run's task is detection
        return [box for _, box in parse_box_list(annotation)], [one.box for one in prediction.objects]

    shown, fault = _drawn(picture, boxes)
    score = number(sample.get("score"))
    return ClassShot(
        file=file_of(sample),
        picture=shown,
        fault=fault,
        truth=clip(str(sample.get("truth", ""))),
        prediction=clip(str(sample.get("prediction", ""))),
        right=score == 1,
        probability=None,
        probability_text="",
        share=percent_of(score),
        score_text="",
        remark="" if math.isnan(score) else f"F1 {score_text(score, '')}",
    )


def box_legend(_record: Record) -> tuple[tuple[str, str], ...]:
    """Return what the colours of boxes mean."""
    return ("true box", css(TRUE_BOX)), ("predicted box", css(PREDICTED_BOX))


Boxes = Callable[[str, NDArray[np.generic]], tuple[Sequence[Box], Sequence[Box]]]
"""Takes a picture's annotation and the picture; returns the true and the predicted boxes."""


def _drawn(picture: Picture, boxes: Boxes) -> tuple[Thumbnail | None, str]:
    """Return a picture with boxes, or why there is none."""
    if picture.reading is None:
        return None, ""
    try:
        samples, index = locate(picture)
        image = samples.image(index)
        drawn = fit(display_rgb(image))
        scale = drawn.shape[1] / image.shape[1], drawn.shape[0] / image.shape[0]
        line = math.ceil(max(drawn.shape[:2]) / _LINES_PER_SIDE)
        for some, colour in zip(
            boxes(samples.manifest.annotations[index], image), (TRUE_BOX, PREDICTED_BOX), strict=True
        ):
            for box in some:
                drawn = draw_box(drawn, _scaled(box, scale), colour, line)
        return thumbnail(drawn, picture.limit_bytes), ""
    except PixelwiseError as error:
        return None, f"The boxes cannot be shown: {clip(str(error), 200)}"


def _scaled(box: Box, scale: tuple[float, float]) -> Box:
    return box[0] * scale[0], box[1] * scale[1], box[2] * scale[0], box[3] * scale[1]
