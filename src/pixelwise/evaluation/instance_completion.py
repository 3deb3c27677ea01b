"""The steps of a model for instances, chosen on pictures that it was not trained on.

The probability from which on a pixel belongs to an object, then, where seeds are the thickest places of an object, how
near to each other they may be: of each the value with the best average precision over the IoU thresholds from 0.5 to
0.95, all pictures' objects counted together. Of equals the one that stands first, which is the usual one. Of a large
picture whose objects are numbered, the middle is looked at.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.label_planes import CLASS, OBJECT
from pixelwise.data.masks import IGNORE
from pixelwise.evaluation.classes import label_map_table
from pixelwise.evaluation.work import Work
from pixelwise.metrics import IOU_THRESHOLDS, InstanceCounts, instance_counts, mean_defined
from pixelwise.predict.instance_prediction import InstancePrediction
from pixelwise.predict.postprocess import Pipeline, Threshold
from pixelwise.predict.postprocess.pieces import divide
from pixelwise.predict.postprocess.watershed import Watershed

THRESHOLDS = (0.5, 0.4, 0.6, 0.3, 0.7)
MIN_DISTANCES_PX = (5, 3, 8, 12)
MIDDLE_PX = 2048
"""Sides of the middle of a large picture."""
_OTHER_COUNTS = 6
"""In a row of :class:`~pixelwise.metrics.InstanceCounts`, after the matches."""


def tune(work: Work) -> Pipeline:
    """Return the pipeline with its numbers chosen on the samples of ``work``."""
    pipeline = work.predictor.pipeline
    pipeline = _best(work, [pipeline.with_parameters(Threshold, value=value) for value in THRESHOLDS])
    if any(isinstance(step, Watershed) and step.seeds == "thickest" for step in pipeline.steps):
        tried = [pipeline.with_parameters(Watershed, min_distance=value) for value in MIN_DISTANCES_PX]
        pipeline = _best(work, tried)
    return pipeline


def _best(work: Work, tried: Sequence[Pipeline]) -> Pipeline:
    rows = [np.zeros(len(IOU_THRESHOLDS) + _OTHER_COUNTS)] * len(tried)
    for class_map, objects, values in _answers(work):
        for place, pipeline in enumerate(tried):
            count = len(work.classes)
            found = divide(pipeline.classify(values[:count]), values, count, pipeline)
            for index in range(1, count):
                rows[place] = (
                    rows[place]
                    + instance_counts(
                        np.where(class_map == index, objects, 0),
                        np.where(found.classes[found.labels] == index, found.labels, 0),
                        ignored=class_map == IGNORE,
                    ).row()
                )
    scores = [float(mean_defined(InstanceCounts.from_row(row).average_precision())) for row in rows]
    return tried[int(np.nanargmax(scores))] if not np.isnan(scores).all() else tried[0]


def _answers(work: Work) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.float32]]]:
    """Yield class map, objects and the network's answers of each sample."""
    table = label_map_table(work.order)
    for index in work.indices.tolist():
        work.should_stop()
        image, label_map, objects = _middle(work, index) or (
            work.reader.image(index),
            work.reader.label_map(index),
            work.reader.objects(index),
        )
        prediction = work.predictor.predict(image, probabilities=True)
        assert isinstance(prediction, InstancePrediction)  # the model's task is instances
        assert prediction.values is not None  # they were asked for
        yield table[label_map], objects, prediction.values


def _middle(work: Work, index: int) -> tuple[NDArray[Any], NDArray[np.uint8], NDArray[np.int32]] | None:
    """Read picture, classes and objects in the middle of a large picture that is read by window."""
    channels = int(work.manifest.columns["channels"][index])
    windowed = work.reader.windowed_objects(index, channels, is_weighed=False)
    if windowed is None or work.predictor.model.preprocess.size is not None:
        return None
    image, planes = windowed
    across, down = (slice(max(0, (side - MIDDLE_PX) // 2), (side + MIDDLE_PX) // 2) for side in image.shape[1::-1])
    labels = planes[down, across]
    return image[down, across], labels[..., CLASS].astype(np.uint8), labels[..., OBJECT].astype(np.int32)
