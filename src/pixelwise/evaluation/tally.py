"""From counts per image to scores with intervals: the part of an evaluation that needs no network.

Scores of a split are computed from counts pooled over its images: IoU and Dice of a class from all of its pixels, F1
from all of its images. Means over classes weigh every defined class alike. Sources: Long, Shelhamer and Darrell,
"Fully Convolutional Networks", 2015, section 5 (pixel accuracy, mean accuracy, mean IU, all from pooled counts);
Guo et al. 2017 for the calibration error. Intervals are those of :mod:`pixelwise.metrics.bootstrap`.

The calibration error has no interval: resampling adds noise to every bin and so makes it larger, and the percentiles
would lie beside the value instead of around it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from pixelwise.evaluation.scores import ClassScores, Score, defined
from pixelwise.metrics import (
    CalibrationBin,
    ClassCounts,
    bootstrap_interval,
    expected_calibration_error,
    mean_defined,
)

TOP_K = 5
"""Top-5 is reported where there are more classes than that."""

Array = NDArray[np.float64]
Metric = Callable[[ClassCounts], Array]

_CLASSIFICATION: dict[str, Metric] = {
    "precision": ClassCounts.precision,
    "recall": ClassCounts.recall,
    "f1": ClassCounts.f1,
}
_SEGMENTATION: dict[str, Metric] = {
    "iou": ClassCounts.iou,
    "dice": ClassCounts.f1,
    "pixel_accuracy": ClassCounts.recall,
    "precision": ClassCounts.precision,
}


@dataclass(frozen=True, slots=True)
class Tally:
    """Overall scores and scores of the classes."""

    scores: tuple[Score, ...]
    classes: tuple[ClassScores, ...]


@dataclass(slots=True)
class ClassificationCounts:
    """What each classified image contributes, appended one by one."""

    truth: list[int] = field(default_factory=list)
    predicted: list[int] = field(default_factory=list)
    rank: list[int] = field(default_factory=list)
    """Place of the true class among the probabilities, 0 for the first."""

    def add(self, truth: int, predicted: int, rank: int) -> None:
        """Count one image."""
        self.truth.append(truth)
        self.predicted.append(predicted)
        self.rank.append(rank)

    def summands(self, num_classes: int) -> scipy.sparse.csr_array:
        """Return (n, 3K + 1): whether correct, true and predicted for each class, and whether in the top 5."""
        truth, predicted, rank = (
            np.array(column, dtype=np.int64) for column in (self.truth, self.predicted, self.rank)
        )
        images = np.arange(len(truth))
        right, in_top = truth == predicted, rank < TOP_K
        rows = np.concatenate([images[right], images, images, images[in_top]])
        ends = np.full(int(in_top.sum()), 3 * num_classes)
        columns = np.concatenate([truth[right], truth + num_classes, predicted + 2 * num_classes, ends])
        shape = (len(truth), 3 * num_classes + 1)
        return scipy.sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)


def tally_classification(
    counts: ClassificationCounts,
    bins: tuple[CalibrationBin, ...],
    classes: Sequence[str],
    *,
    seed: int,
    should_stop: Callable[[], None],
) -> Tally:
    """Score images that were classified: top-1, top-5, means of precision, recall and F1, calibration error."""
    size, n = len(classes), len(counts.truth)

    def overall(sums: Array, per_class: ClassCounts) -> dict[str, Array]:
        in_top = {"top5": sums[:, -1] / n} if size > TOP_K else {}
        means = {f"macro_{name}": mean_defined(metric(per_class)) for name, metric in _CLASSIFICATION.items()}
        return {"top1": per_class.accuracy(), **in_top, **means}

    tally = _tally(
        counts.summands(size), classes, overall, _CLASSIFICATION, images=n, seed=seed, should_stop=should_stop
    )
    ece = Score("ece", expected_calibration_error(bins), n, "fraction", None, None)
    return Tally((*tally.scores, ece), tally.classes)


def tally_segmentation(
    counts: ClassCounts, classes: Sequence[str], *, seed: int, should_stop: Callable[[], None]
) -> Tally:
    """Score images that were segmented, from the counts (n, K) of their pixels: mean IoU and Dice, pixel accuracies."""

    def overall(_sums: Array, per_class: ClassCounts) -> dict[str, Array]:
        return {
            "mean_iou": mean_defined(per_class.iou()),
            "mean_dice": mean_defined(per_class.f1()),
            "pixel_accuracy": per_class.accuracy(),
            "mean_pixel_accuracy": mean_defined(per_class.recall()),
        }

    labelled = counts.truth.sum(1) > 0
    summands = np.concatenate([counts.correct, counts.truth, counts.predicted], axis=1)[labelled]
    return _tally(
        scipy.sparse.csr_array(summands, dtype=np.float64),
        classes,
        overall,
        _SEGMENTATION,
        images=int(labelled.sum()),
        seed=seed,
        should_stop=should_stop,
    )


def _tally(
    summands: scipy.sparse.csr_array,
    classes: Sequence[str],
    overall: Callable[[Array, ClassCounts], dict[str, Array]],
    metrics: dict[str, Metric],
    *,
    images: int,
    seed: int,
    should_stop: Callable[[], None],
) -> Tally:
    """Turn summands, whose first 3K columns are counts of classes, into scores with intervals."""
    size = len(classes)

    def per_class(sums: Array) -> ClassCounts:
        return ClassCounts(sums[:, :size], sums[:, size : 2 * size], sums[:, 2 * size : 3 * size])

    def statistic(sums: Array) -> Array:
        counts = per_class(sums)
        whole = [values[:, None] for values in overall(sums, counts).values()]
        return np.concatenate(whole + [metric(counts) for metric in metrics.values()], axis=1)

    totals = np.asarray(summands.sum(0), dtype=np.float64)[None]
    values = statistic(totals)[0]
    bounds = bootstrap_interval(summands, statistic, seed=seed, should_stop=should_stop)
    names = list(overall(totals, per_class(totals)))
    scores = tuple(
        Score(name, defined(value), images, "fraction", defined(low), defined(high))
        for name, value, (low, high) in zip(names, values, bounds, strict=False)
    )
    table = values[len(names) :].reshape(len(metrics), size)
    table_bounds = bounds[len(names) :].reshape(len(metrics), size, 2)
    in_truth = per_class(totals).truth[0]
    return Tally(
        scores,
        tuple(
            ClassScores(
                name,
                int(in_truth[index]),
                {metric: defined(table[row, index]) for row, metric in enumerate(metrics)},
                {metric: _interval(table_bounds[row, index]) for row, metric in enumerate(metrics)},
            )
            for index, name in enumerate(classes)
        ),
    )


def _interval(bounds: Array) -> tuple[float, float] | None:
    low, high = map(defined, bounds)
    return None if low is None or high is None else (low, high)
