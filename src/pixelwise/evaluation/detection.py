"""Scores of detections: COCO's average precision, and what is found at the model's own thresholds.

Sources and rules: :mod:`pixelwise.metrics.box_average_precision`. ``ap`` is the mean over the IoU thresholds 0.5, 0.55,
..., 0.95, and means over classes leave out those that no picture shows. Precision, recall and F1 count what the model
says from its thresholds on, against the true boxes at an IoU of 0.5.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.box_lists import parse_box_list
from pixelwise.data.boxes import Box
from pixelwise.evaluation.tally import Array, Measured, tally_order
from pixelwise.evaluation.work import Findings, Work
from pixelwise.metrics import (
    IOU_THRESHOLDS,
    BoxSet,
    average_precision_of_matches,
    match_boxes,
    mean_defined,
    ratio,
)
from pixelwise.predict.detection import Detected, DetectionPrediction

HALF = 0.5
"""IoU from which on a box counts as right where one threshold has to do."""


def score_objects(work: Work) -> Findings:
    """Compare the boxes of every sample with the predicted ones."""
    size, thresholds = len(work.classes), np.zeros(len(work.classes))
    truth, candidates, shown = list[BoxSet](), list[BoxSet](), list[BoxSet]()
    for index, prediction in work.predictions():
        assert isinstance(prediction, DetectionPrediction)  # the model's task is detection
        thresholds = np.array(prediction.thresholds)
        truth.append(true_boxes(work, index))
        candidates.append(said_boxes(prediction.candidates))
        shown.append(said_boxes(prediction.objects))
    matches = [match_boxes(truth, candidates, label) for label in range(size)]
    objects = np.stack([one.objects for one in matches], axis=1)
    right, said = np.zeros_like(objects), np.zeros_like(objects)
    for label in range(size):
        found = match_boxes(truth, shown, label, thresholds=(HALF,))
        said[:, label] = np.bincount(found.images, minlength=len(truth))
        right[:, label] = np.bincount(found.images[found.found[0]], minlength=len(truth))

    def measure(multiplicities: Array) -> Measured:
        ranked = np.stack([average_precision_of_matches(one, multiplicities) for one in matches], axis=1)
        found, shown_all, true = multiplicities @ right, multiplicities @ said, multiplicities @ objects
        classes = {
            "ap50": ranked[:, :, IOU_THRESHOLDS.index(HALF)],
            "ap75": ranked[:, :, IOU_THRESHOLDS.index(0.75)],
            "ap": ranked.mean(2),
            **_at_thresholds(found, shown_all, true),
        }
        overall = {name: mean_defined(classes[name]) for name in ("ap50", "ap75", "ap")}
        pooled = _at_thresholds(found.sum(1), shown_all.sum(1), true.sum(1))
        return Measured(overall | pooled, classes, true)

    tally = tally_order(measure, work.classes, images=len(truth), seed=work.seed, should_stop=work.should_stop)
    counts = zip(objects.sum(1).tolist(), said.sum(1).tolist(), right.sum(1).tolist(), strict=True)
    samples = tuple(
        work.sample(
            int(index),
            2 * found / (true + shown_all) if true + shown_all else 1.0,
            truth=_objects(true),
            prediction=f"{_objects(shown_all)}, {found} right",
        )
        for index, (true, shown_all, found) in zip(work.indices, counts, strict=True)
    )
    return Findings(tally.with_thresholds(thresholds), np.zeros((0, 0), np.int64), samples)


def true_boxes(work: Work, index: int) -> BoxSet:
    """Return the true boxes of a sample, with classes of the model's table."""
    boxes = parse_box_list(work.manifest.annotations[index])
    labels = [int(work.order[label]) for label, _ in boxes]
    return BoxSet(corners=_corners([box for _, box in boxes]), classes=np.array(labels, np.int64))


def said_boxes(detected: Sequence[Detected]) -> BoxSet:
    """Return detections as arrays."""
    return BoxSet(
        corners=_corners([one.box for one in detected]),
        classes=np.array([one.index for one in detected], np.int64),
        scores=np.array([one.probability for one in detected], np.float64),
    )


def _corners(boxes: Sequence[Box]) -> NDArray[np.float64]:
    return np.array(boxes, np.float64).reshape(-1, 4)


def _at_thresholds(found: Array, said: Array, true: Array) -> dict[str, Array]:
    return {"precision": ratio(found, said), "recall": ratio(found, true), "f1": ratio(2 * found, said + true)}


def _objects(count: int) -> str:
    return f"{count} object" if count == 1 else f"{count} objects"
