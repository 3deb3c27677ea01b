"""COCO's average precision of boxes.

Source: Lin et al., "Microsoft COCO: Common Objects in Context", 2014, and the challenge's published evaluation: for
each class and image, detections in the order of falling score (at most ``max_detections``) take the free true box of
highest IoU, if that is at least the threshold; detections of all images are ranked together; precision is made
non-increasing and read at 101 recalls 0, 0.01, ..., 1 (0 where a recall is never reached), and the mean of these is the
average precision (AP). AP50 is that at IoU 0.5; AP@[.5:.95] is the mean over ten thresholds.

*Ignored* truth (crowds, and boxes outside the range of areas) is neither to be found nor a mistake when found, may be
found repeatedly when it is a crowd, and is taken only where no other true box fits; the IoU with a crowd is the share
of the detection that lies in it. Detections that match nothing and whose area is out of range are left out as well.
Areas are those of the boxes.

Equal scores keep the order in which they are given, image by image. A class without true boxes has no average
precision (NaN), and means leave it out: detections of a class that no image shows cost nothing, as in COCO. A class
with true boxes but no detection has 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.errors import DataError
from pixelwise.metrics.instances import IOU_THRESHOLDS
from pixelwise.metrics.per_class import ratio

Array = NDArray[np.float64]

MAX_DETECTIONS = 100
SMALL_PX, LARGE_PX = 32.0**2, 96.0**2
"""COCO's bounds between small, medium and large areas, in square pixels."""
RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, kw_only=True, slots=True)
class BoxSet:
    """The boxes of one image.

    Attributes:
        corners: (n, 4) x_min, y_min, x_max, y_max in pixels.
        classes: (n,) integers.
        scores: (n,) of detections, higher is likelier; None for the truth.
        crowd: (n,) whether a true box stands for many objects; None = none.

    """

    corners: NDArray[Any]
    classes: NDArray[Any]
    scores: NDArray[Any] | None = None
    crowd: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class BoxMatches:
    """What became of the detections of one class, in the order of falling score over all images.

    Attributes:
        images: (n,) number of the image of each detection.
        found: (T, n) whether it took a true box at each IoU threshold.
        counted: (T, n) whether it counts; those that took ignored truth do not.
        objects: (images,) true boxes to be found in each image.

    """

    images: NDArray[np.int64]
    found: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    objects: NDArray[np.int64]


def match_boxes(
    truth: Sequence[BoxSet],
    predicted: Sequence[BoxSet],
    class_index: int,
    *,
    thresholds: Sequence[float] = IOU_THRESHOLDS,
    max_detections: int = MAX_DETECTIONS,
    area_px: tuple[float, float] = (0.0, np.inf),
) -> BoxMatches:
    """Match the detections of one class with its true boxes, image by image.

    Args:
        truth: one entry for each image.
        predicted: likewise, with scores.
        class_index: which class.
        thresholds: T IoU thresholds.
        max_detections: for each image and class, those of highest score.
        area_px: areas that count, both ends included.

    Raises:
        DataError: lists of different lengths.

    """
    if len(truth) != len(predicted):
        raise DataError(
            f"{len(predicted)} images have predicted boxes",
            expected=f"{len(truth)}, as many as have true ones",
            do="Give an entry, empty or not, for every image",
        )
    parts = [
        _match_image(own, other, class_index, thresholds=thresholds, max_detections=max_detections, area_px=area_px)
        for own, other in zip(truth, predicted, strict=True)
    ]
    images = np.repeat(np.arange(len(parts)), [len(scores) for scores, *_ in parts])
    scores = np.concatenate([scores for scores, *_ in parts] or [np.zeros(0)])
    empty = [np.zeros((len(thresholds), 0), np.bool_)]
    order = np.argsort(-scores, kind="stable")
    return BoxMatches(
        images[order],
        np.concatenate([found for _, found, _, _ in parts] or empty, axis=1)[:, order],
        np.concatenate([counted for _, _, counted, _ in parts] or empty, axis=1)[:, order],
        np.array([objects for *_, objects in parts], np.int64),
    )


def average_precision_of_matches(matches: BoxMatches, multiplicities: NDArray[Any] | None = None) -> Array:
    """Return COCO's average precision of one class at each threshold.

    Args:
        matches: of :func:`match_boxes`.
        multiplicities: (b, images) how often each image counts in each of b resamples; None = once.

    Returns:
        (b, T), 0 to 1, NaN without true boxes; b = 1 without multiplicities.

    """
    counts = np.ones((1, len(matches.objects))) if multiplicities is None else multiplicities.astype(np.float64)
    objects, weights = counts @ matches.objects, counts[:, matches.images]
    result = np.full((len(counts), len(matches.found)), np.nan)
    for place, (found, counted) in enumerate(zip(matches.found, matches.counted, strict=True)):
        right = (weights * (found & counted)).cumsum(1)
        shown = (weights * counted).cumsum(1)
        precision = np.nan_to_num(ratio(right, shown))
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        envelope = np.pad(envelope, ((0, 0), (0, 1)))  # what is never reached has precision 0
        for row in np.flatnonzero(objects):
            at = np.searchsorted(right[row] / objects[row], RECALLS, side="left")
            result[row, place] = envelope[row, at].mean()
    return result


def box_average_precision(
    truth: Sequence[BoxSet],
    predicted: Sequence[BoxSet],
    num_classes: int,
    *,
    thresholds: Sequence[float] = IOU_THRESHOLDS,
    max_detections: int = MAX_DETECTIONS,
    area_px: tuple[float, float] = (0.0, np.inf),
) -> Array:
    """Return COCO's average precision of each class at each threshold, (num_classes, T); NaN without true boxes.

    AP@[.5:.95] is the mean over all defined entries, AP50 that over the first column (with the thresholds of COCO).
    For the arguments see :func:`match_boxes`.
    """
    rows = [
        average_precision_of_matches(
            match_boxes(truth, predicted, index, thresholds=thresholds, max_detections=max_detections, area_px=area_px)
        )
        for index in range(num_classes)
    ]
    return np.concatenate(rows)


def _match_image(
    truth: BoxSet,
    predicted: BoxSet,
    class_index: int,
    *,
    thresholds: Sequence[float],
    max_detections: int,
    area_px: tuple[float, float],
) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_], int]:
    """Return the scores of the detections, whether each was found and counts at each threshold, and the objects."""
    assert predicted.scores is not None, "predicted boxes have scores"
    own = truth.classes == class_index
    crowd = np.zeros(int(own.sum()), np.bool_) if truth.crowd is None else truth.crowd[own]
    corners = np.asarray(truth.corners, np.float64).reshape(-1, 4)[own]
    ignored = crowd | _out_of_range(corners, area_px)
    order = np.argsort(ignored, kind="stable")
    corners, crowd, ignored = corners[order], crowd[order], ignored[order]
    other = np.flatnonzero(predicted.classes == class_index)
    other = other[np.argsort(-predicted.scores[other], kind="stable")][:max_detections]
    detections = np.asarray(predicted.corners, np.float64).reshape(-1, 4)[other]
    overlaps = pairwise_iou(detections, corners, crowd)
    found = np.zeros((len(thresholds), len(other)), np.bool_)
    counted = np.repeat(~_out_of_range(detections, area_px)[None], len(thresholds), axis=0)
    for place, threshold in enumerate(thresholds):
        free = np.ones(len(corners), np.bool_)
        for row, overlap in enumerate(overlaps):
            fits = (overlap >= threshold) & (free | crowd)
            if (fits & ~ignored).any():
                fits &= ~ignored
            if fits.any():
                # of equals the last one, as in the published evaluation
                chosen = len(fits) - 1 - int(np.where(fits, overlap, -1)[::-1].argmax())
                free[chosen], found[place, row], counted[place, row] = False, True, not ignored[chosen]
    return np.asarray(predicted.scores[other], np.float64), found, counted, int((~ignored).sum())


def pairwise_iou(boxes: Array, others: Array, crowd: NDArray[np.bool_] | None = None) -> Array:
    """Return the IoU of each box with each other, (n, m); with a crowd, the share of the box that lies in it."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = (high - low).clip(min=0).prod(2)
    areas = _areas(boxes)[:, None]
    joint = areas + _areas(others) - shared
    if crowd is not None:
        joint = np.where(crowd, areas, joint)
    return np.divide(shared, joint, out=np.zeros_like(shared), where=joint > 0)


def _areas(boxes: Array) -> Array:
    return (boxes[:, 2:] - boxes[:, :2]).prod(1)


def _out_of_range(boxes: Array, area_px: tuple[float, float]) -> NDArray[np.bool_]:
    areas = _areas(boxes)
    return (areas < area_px[0]) | (areas > area_px[1])
