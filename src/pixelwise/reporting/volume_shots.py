"""Segmented volumes: a slice along each axis, one below the other, with the truth, the prediction and the errors."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pixelwise.predict.overlay import display_rgb
from pixelwise.reporting.pictures import Thumbnail, error_map, fit, overlay, thumbnail
from pixelwise.reporting.record import Record
from pixelwise.reporting.shots import MaskShot, Picture, RunModel, Sample, classes_of, locate, metric_of, panel_shot


def volume_shot(record: Record, sample: Sample, picture: Picture, model: RunModel) -> MaskShot:
    """Draw slices through what the truth shows most of, with the truth, the prediction and the errors."""
    return panel_shot(sample, metric_of(record), lambda panels: _add_panels(panels, record, picture, model))


def _add_panels(panels: list[tuple[str, Thumbnail]], record: Record, picture: Picture, model: RunModel) -> None:
    """Add one panel after the other, so that an error leaves those that could be drawn."""
    from pixelwise.predict.volume_prediction import VolumePrediction, enlarged, middle_of, orthogonal, side_by_side

    samples, index = locate(picture)
    volume, classes = samples.volume(index), classes_of(record)
    truth = samples.label_map(index)
    places, spacing = middle_of(truth), volume.spacing_or_one()

    def slices(label_map: NDArray[np.uint8]) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        return [enlarged(*cut) for cut in orthogonal(volume.voxels, label_map, places, spacing)]

    def add(caption: str, draw: Callable[[int], NDArray[np.uint8]]) -> None:
        turned = side_by_side([draw(axis).swapaxes(0, 1) for axis in range(3)])
        panels.append((caption, thumbnail(np.ascontiguousarray(turned.swapaxes(0, 1)), picture.limit_bytes)))

    true = slices(truth)
    add("Slices", lambda axis: fit(display_rgb(true[axis][0])))
    add("Truth", lambda axis: overlay(*true[axis], classes))
    prediction = model(volume)
    assert isinstance(prediction, VolumePrediction)  # the run's task is volumes
    found = slices(prediction.label_map)
    add("Prediction", lambda axis: overlay(*found[axis], classes))
    add("Errors", lambda axis: error_map(*true[axis], found[axis][1], classes))
