"""Segmented pictures: the picture, its true classes, the predicted ones, and where these differ."""

import numpy as np
from numpy.typing import NDArray

from pixelwise.predict.overlay import display_rgb
from pixelwise.predict.palette import background_class, class_colours
from pixelwise.reporting.pictures import INVENTED, MISSED, Thumbnail, error_map, fit, overlay, thumbnail
from pixelwise.reporting.record import Record
from pixelwise.reporting.shots import (
    MaskShot,
    Picture,
    RunModel,
    Sample,
    classes_of,
    css,
    locate,
    metric_of,
    panel_shot,
)
from pixelwise.reporting.wording import clip


def mask_shot(record: Record, sample: Sample, picture: Picture, model: RunModel) -> MaskShot:
    """Draw the picture, the truth, the prediction and the errors."""
    return panel_shot(sample, metric_of(record), lambda panels: _add_panels(panels, record, picture, model))


def _add_panels(panels: list[tuple[str, Thumbnail]], record: Record, picture: Picture, model: RunModel) -> None:
    """Add one panel after the other, so that an error leaves those that could be drawn."""
    from pixelwise.predict.prediction import MaskPrediction

    def add(caption: str, rgb: NDArray[np.uint8]) -> None:
        panels.append((caption, thumbnail(rgb, picture.limit_bytes)))

    samples, index = locate(picture)
    image, classes = samples.image(index), classes_of(record)
    add("Picture", fit(display_rgb(image)))
    truth = samples.label_map(index)
    add("Truth", overlay(image, truth, classes))
    prediction = model(image)
    assert isinstance(prediction, MaskPrediction)  # the run's task is segmentation
    add("Prediction", overlay(image, prediction.label_map, classes))
    add("Errors", error_map(image, truth, prediction.label_map, classes))


def mask_legend(record: Record) -> tuple[tuple[str, str], ...]:
    """Return (meaning, CSS colour) of the classes that are painted, then of the error map."""
    classes = classes_of(record)
    background = background_class(classes)
    colours = [(name, tuple(map(int, colour))) for name, colour in zip(classes, class_colours(classes), strict=True)]
    shown = [entry for index, entry in enumerate(colours) if index != background][:40]
    shown.append(("error: not found" if background is not None else "error", MISSED))
    if background is not None:
        shown.append((f"error: {classes[background]} taken for something", INVENTED))
    return tuple((clip(name, 40), css(colour)) for name, colour in shown)
