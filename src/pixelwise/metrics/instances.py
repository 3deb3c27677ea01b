"""How well objects were told apart and outlined, object by object.

Definitions, with G the true objects, S the predicted ones, and IoU the shared pixels of two objects by those of either:

- *Aggregated Jaccard index* (Kumar et al., "A Dataset and a Technique for Generalized Nuclear Segmentation for
  Computational Pathology", 2017, section IV and algorithm 1): each true object is laid beside the predicted one of
  highest IoU with it, which may be used again; AJI is the sum of the shared pixels by that of the joint ones, where
  predicted objects that no true one was laid beside add all of theirs to the latter.
- *Panoptic quality* (Kirillov et al., "Panoptic Segmentation", 2019, equations 1 and 2) of one class: pairs of IoU
  above 0.5 are matches, TP of them; PQ = sum of their IoU / (TP + FP / 2 + FN / 2), the product of segmentation
  quality SQ = mean IoU of the matches and recognition quality RQ = TP / (TP + FP / 2 + FN / 2).
- *Average precision over IoU thresholds* in the form of the 2018 Data Science Bowl (Caicedo et al., "Nucleus
  segmentation across imaging experiments", 2019) and of StarDist and Cellpose: TP / (TP + FP + FN) with as many
  one-to-one pairs of IoU of at least the threshold as there can be. No scores are ranked, and it is not COCO's.

Empty images: without any object in truth and prediction alike all are undefined (NaN); with objects in one of both
alone AJI, PQ, RQ and average precision are 0. SQ is undefined without a match. Counts of several images are added
before dividing (:class:`InstanceCounts`), so that an image without objects still counts what was predicted there; but
AJI is that of one image, and of several the mean, as in its paper's tables: added up, a predicted object that is laid
beside a hundred true ones would enter a hundred times.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.sparse.csgraph import maximum_bipartite_matching

from pixelwise.errors import DataError
from pixelwise.metrics.per_class import ratio

Array = NDArray[np.float64]

IOU_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""0.5, 0.55, ..., 0.95, as in the Data Science Bowl and in COCO."""
PANOPTIC_IOU = 0.5


@dataclass(frozen=True, slots=True)
class InstanceCounts:
    """What images contribute; fields are added over images, and every field may have leading axes (...).

    Attributes:
        matches: (..., T) pairs at each IoU threshold.
        truth: (...) true objects.
        predicted: (...) predicted objects.
        panoptic_matches: (...) pairs of IoU above 0.5.
        panoptic_iou: (...) the sum of their IoU.
        shared: (...) pixels in the numerator of the aggregated Jaccard index.
        joint: (...) pixels in its denominator.

    """

    matches: Array
    truth: Array
    predicted: Array
    panoptic_matches: Array
    panoptic_iou: Array
    shared: Array
    joint: Array

    def row(self) -> Array:
        """Return all fields side by side, (..., T + 6): what sums over images are taken of."""
        parts = (self.truth, self.predicted, self.panoptic_matches, self.panoptic_iou, self.shared, self.joint)
        return np.concatenate([self.matches, np.stack(parts, axis=-1)], axis=-1)

    @classmethod
    def from_row(cls, row: Array) -> "InstanceCounts":
        """Undo :meth:`row`."""
        return cls(row[..., :-6], *(row[..., place] for place in range(-6, 0)))

    def average_precision(self) -> Array:
        """Return TP / (TP + FP + FN) at each threshold, (..., T)."""
        either = (self.truth + self.predicted)[..., None] - self.matches
        return ratio(self.matches, either)

    def panoptic_quality(self) -> Array:
        """Return PQ, (...)."""
        return ratio(2 * self.panoptic_iou, self.truth + self.predicted)

    def segmentation_quality(self) -> Array:
        """Return SQ, (...)."""
        return ratio(self.panoptic_iou, self.panoptic_matches)

    def recognition_quality(self) -> Array:
        """Return RQ, (...): the F1 of finding objects."""
        return ratio(2 * self.panoptic_matches, self.truth + self.predicted)

    def aggregated_jaccard(self) -> Array:
        """Return AJI, (...)."""
        return ratio(self.shared, self.joint)


def instance_counts(
    truth: NDArray[Any],
    prediction: NDArray[Any],
    *,
    thresholds: Sequence[float] = IOU_THRESHOLDS,
    ignored: NDArray[np.bool_] | None = None,
) -> InstanceCounts:
    """Compare the objects of one image.

    Args:
        truth: integers of any shape, one number for each object, 0 for none.
        prediction: the same shape.
        thresholds: T of them, above 0, at most 1.
        ignored: pixels that are taken out of both first; an object that lies there alone is not counted.

    Raises:
        DataError: shapes that differ, or thresholds out of their range.

    """
    if truth.shape != prediction.shape:
        raise DataError(
            f"The prediction has shape {prediction.shape}",
            expected=f"{truth.shape}, as the truth",
            do="Compare label images of the same picture",
        )
    if not all(0 < threshold <= 1 for threshold in thresholds):
        raise DataError(f"thresholds={tuple(thresholds)}", expected="numbers above 0, at most 1", do="Correct them")
    if ignored is not None:
        truth, prediction = truth[~ignored], prediction[~ignored]
    own, own_areas = _numbered(truth)
    other, other_areas = _numbered(prediction)
    pairs, shared = np.unique(
        own[(own > 0) & (other > 0)] * (len(other_areas) + 1) + other[(own > 0) & (other > 0)], return_counts=True
    )
    rows, columns = pairs // (len(other_areas) + 1) - 1, pairs % (len(other_areas) + 1) - 1
    joint = own_areas[rows] + other_areas[columns] - shared
    iou = shared / joint
    sides = (len(own_areas), len(other_areas))
    good = iou > PANOPTIC_IOU  # at most one for each object: two would share more than the object has
    nearest = _nearest(rows, iou)
    laid_beside = np.isin(np.arange(sides[0]), rows[nearest])
    unused = ~np.isin(np.arange(sides[1]), columns[nearest])
    matches = [_pairs(rows, columns, iou >= threshold, sides) for threshold in thresholds]
    all_joint = joint[nearest].sum() + own_areas[~laid_beside].sum() + other_areas[unused].sum()
    return InstanceCounts.from_row(
        np.array([*matches, *sides, good.sum(), iou[good].sum(), shared[nearest].sum(), all_joint], np.float64)
    )


def aggregated_jaccard(truth: NDArray[Any], prediction: NDArray[Any]) -> float:
    """Return the aggregated Jaccard index of one image, 0 to 1; NaN without objects in both."""
    return float(instance_counts(truth, prediction).aggregated_jaccard())


def panoptic_quality(truth: NDArray[Any], prediction: NDArray[Any]) -> tuple[float, float, float]:
    """Return PQ, SQ and RQ of one image and one class, 0 to 1; NaN where undefined (see the module)."""
    counts = instance_counts(truth, prediction)
    return (
        float(counts.panoptic_quality()),
        float(counts.segmentation_quality()),
        float(counts.recognition_quality()),
    )


def instance_average_precision(
    truth: NDArray[Any], prediction: NDArray[Any], thresholds: Sequence[float] = IOU_THRESHOLDS
) -> Array:
    """Return TP / (TP + FP + FN) of one image at each IoU threshold, (T,); NaN without objects in both."""
    return instance_counts(truth, prediction, thresholds=thresholds).average_precision()


def _numbered(labels: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number objects 1, 2, ... without gaps; return that with the objects' areas."""
    values, places, areas = np.unique(labels, return_inverse=True, return_counts=True)
    background = int((values <= 0).sum())
    return np.maximum(places.reshape(labels.shape) + 1 - background, 0), areas[background:]


def _nearest(rows: NDArray[np.int64], iou: Array) -> NDArray[np.int64]:
    """Return the place of the pair of highest IoU for each row that has pairs; of equals the first."""
    order = np.lexsort((-iou, rows))
    return order[np.unique(rows[order], return_index=True)[1]]


def _pairs(
    rows: NDArray[np.int64], columns: NDArray[np.int64], allowed: NDArray[np.bool_], sides: tuple[int, int]
) -> int:
    """Return how many one-to-one pairs there can be among those allowed."""
    rows, columns = rows[allowed], columns[allowed]
    if len(np.unique(rows)) == len(rows) and len(np.unique(columns)) == len(columns):
        return len(rows)
    graph = scipy.sparse.csr_array((np.ones(len(rows), np.int8), (rows, columns)), shape=sides)
    return int((maximum_bipartite_matching(graph) >= 0).sum())
