"""Segmented pictures: the picture, its true classes, the predicted ones, and where these differ."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.windows import WindowedArray
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
    too_large_to_predict,
)
from pixelwise.reporting.wording import clip

_RGB: Final = 3
_SIDE_PX: Final = 1536
"""Of a large picture that is shown, about: a few times that of a thumbnail."""
_STRIP_PX: Final = 32


def mask_shot(record: Record, sample: Sample, picture: Picture, model: RunModel) -> MaskShot:
    """Draw the picture, the truth, the prediction and the errors."""
    return panel_shot(sample, metric_of(record), lambda panels: _add_panels(panels, record, picture, model))


def _add_panels(panels: list[tuple[str, Thumbnail]], record: Record, picture: Picture, model: RunModel) -> None:
    """Add one panel after the other, so that an error leaves those that could be drawn."""
    from pixelwise.predict.prediction import MaskPrediction

    def add(caption: str, rgb: NDArray[np.uint8]) -> None:
        panels.append((caption, thumbnail(rgb, picture.limit_bytes)))

    (samples, index), classes = locate(picture), classes_of(record)
    windows = samples.windowed(index, _RGB)
    if windows is not None:
        image, truth = shrunk(*windows)
        add("Picture", fit(display_rgb(image)))
        add("Truth", overlay(image, truth, classes))
        raise too_large_to_predict()
    image = samples.image(index)
    add("Picture", fit(display_rgb(image)))
    truth = samples.label_map(index)
    add("Truth", overlay(image, truth, classes))
    prediction = model(image)
    assert isinstance(prediction, MaskPrediction)  # the run's task is segmentation
    add("Prediction", overlay(image, prediction.label_map, classes))
    add("Errors", error_map(image, truth, prediction.label_map, classes))


def shrunk(picture: WindowedArray, labels: WindowedArray) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Read a large picture strip by strip, and return it at about the size of a screen, with its label map.

    Returns:
        (h, w, C) means of squares of n x n pixels, of the picture's type, and (h, w) uint8, the label in the upper left
        corner of each square; pixels beyond the last whole square are left out. Of a picture thinner than a square,
        one line of means over all its thickness.

    """
    factor = -(-max(picture.shape[:2]) // _SIDE_PX)
    tall, wide = (min(factor, side) for side in picture.shape[:2])
    height, width = picture.shape[0] // tall, picture.shape[1] // wide
    image = np.empty((height, width, picture.shape[2]), picture.dtype)
    small = np.empty((height, width), np.uint8)
    for top in range(0, height, _STRIP_PX):
        bottom = min(top + _STRIP_PX, height)
        rows, columns = slice(top * tall, bottom * tall), slice(0, width * wide)
        squares = picture[rows, columns].reshape(bottom - top, tall, width, wide, -1)
        image[top:bottom] = squares.mean((1, 3), dtype=np.float32)
        small[top:bottom] = labels[rows, columns][::tall, ::wide]
    return image, small


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
