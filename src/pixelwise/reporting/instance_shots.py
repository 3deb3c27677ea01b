"""Pictures with objects: the picture, the true objects with those that were missed, the found with those invented."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelwise.predict.overlay import display_rgb
from pixelwise.reporting.pictures import INVENTED, MISSED, Thumbnail, fit, thumbnail
from pixelwise.reporting.record import Record
from pixelwise.reporting.shots import MaskShot, Picture, RunModel, Sample, css, locate, panel_shot

FOUND = (86, 180, 233)
_IOU = 0.5


def instance_shot(_record: Record, sample: Sample, picture: Picture, model: RunModel) -> MaskShot:
    """Draw the outlines of the true and of the predicted objects."""
    return panel_shot(sample, "ap50", lambda panels: _add_panels(panels, picture, model))


def instance_legend(_record: Record) -> tuple[tuple[str, str], ...]:
    """Return (meaning, CSS colour) of the outlines."""
    return ("found (IoU of 0.5 or more)", css(FOUND)), ("not found", css(MISSED)), ("invented", css(INVENTED))


def _add_panels(panels: list[tuple[str, Thumbnail]], picture: Picture, model: RunModel) -> None:
    """Add one panel after the other, so that an error leaves those that could be drawn."""
    from pixelwise.predict.instance_prediction import InstancePrediction

    def add(caption: str, rgb: NDArray[np.uint8]) -> None:
        panels.append((caption, thumbnail(rgb, picture.limit_bytes)))

    samples, index = locate(picture)
    image = samples.image(index)
    add("Picture", fit(display_rgb(image)))
    truth = samples.objects(index)
    prediction = model(image)
    assert isinstance(prediction, InstancePrediction)  # the run's task is instances
    for caption, own, other, colour in (
        ("Truth", truth, prediction.labels, MISSED),
        ("Prediction", prediction.labels, truth, INVENTED),
    ):
        found = matched(own, other)
        colours = np.where(found[:, None], np.array(FOUND), np.array(colour)).astype(np.uint8)
        add(f"{caption}: {int((np.bincount(own.ravel())[1:] > 0).sum()):,}", _drawn(image, own, colours))


def matched(own: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which numbers of a label image have a partner in another one at an IoU of one half or more, (n + 1,)."""
    width = int(other.max(initial=0)) + 1
    pairs, shared = np.unique(own.astype(np.int64) * width + other, return_counts=True)
    one, another = np.divmod(pairs, width)
    own_areas, other_areas = np.bincount(own.ravel()), np.bincount(other.ravel())
    iou = shared / (own_areas[one] + other_areas[another] - shared)
    result = np.zeros(len(own_areas), np.bool_)
    result[one[(another > 0) & (iou >= _IOU)]] = True
    return result


def _drawn(image: NDArray[Any], labels: NDArray[np.int32], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw outlines over the picture in the size of a thumbnail."""
    from pixelwise.predict.instance_prediction import outlined

    small = fit(display_rgb(image))
    size = (small.shape[1], small.shape[0])
    scaled = cv2.resize(labels.astype(np.float32), size, interpolation=cv2.INTER_NEAREST).astype(np.int32)
    return outlined(small, scaled, colours)
