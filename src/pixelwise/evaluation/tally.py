"""From counts per image to scores with intervals: the part of an evaluation that needs no network.

Scores of a split are computed from counts pooled over its images: IoU and Dice of a class from all of its pixels, F1
from all of its images. Means over classes weigh every defined class alike. Sources: Long, Shelhamer and Darrell,
"Fully Convolutional Networks", 2015, section 5 (pixel accuracy, mean accuracy, mean IU, all from pooled counts);
Guo et al. 2017 for the calibration error. Intervals are those of :mod:`pixelwise.metrics.bootstrap`.

The calibration error has no interval: resampling adds noise to every bin and so makes it larger, and the percentiles
would lie beside the value instead of around it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from pixelwise.evaluation.further import Further
from pixelwise.evaluation.scores import ClassScores, Score, defined
from pixelwise.metrics import (
    PIXELS,
    CalibrationBin,
    ClassCounts,
    LabelMapScores,
    bootstrap_interval,
    expected_calibration_error,
    mean_defined,
    resampled_interval,
)

NOTHING_FURTHER = Further()
TOP_K = 5
"""Top-5 is reported where there are more classes than that."""

Array = NDArray[np.float64]
Metric = Callable[[ClassCounts], Array]

_CLASSIFICATION: dict[str, Metric] = {
    "precision": ClassCounts.precision,
    "recall": ClassCounts.recall,
    "f1": ClassCounts.f1,
}


@dataclass(frozen=True, slots=True)
class Tally:
    """Overall scores and scores of the classes."""

    scores: tuple[Score, ...]
    classes: tuple[ClassScores, ...]

    def with_score(self, score: Score) -> "Tally":
        """Return the same with one more overall score."""
        return Tally((*self.scores, score), self.classes)

    def with_thresholds(self, thresholds: NDArray[Any]) -> "Tally":
        """Return the same with the threshold of each class, from which it counts as shown, beside its scores."""
        classes = tuple(
            replace(
                one,
                values={**one.values, "threshold": round(float(threshold), 6)},
                intervals={**one.intervals, "threshold": None},
            )
            for one, threshold in zip(self.classes, thresholds, strict=True)
        )
        return replace(self, classes=classes)


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

    def measure(sums: Array) -> Measured:
        per_class = _counts(sums, size)
        in_top = {"top5": sums[:, -1] / n} if size > TOP_K else {}
        means = {f"macro_{name}": mean_defined(metric(per_class)) for name, metric in _CLASSIFICATION.items()}
        overall = {"top1": per_class.accuracy(), **in_top, **means}
        return Measured(overall, _of_classes(per_class, _CLASSIFICATION), per_class.truth)

    tally = tally_sums(counts.summands(size), measure, classes, images=n, seed=seed, should_stop=should_stop)
    return tally.with_score(Score("ece", expected_calibration_error(bins), n, "fraction", None, None))


def tally_segmentation(
    counts: ClassCounts,
    classes: Sequence[str],
    *,
    seed: int,
    should_stop: Callable[[], None],
    read: LabelMapScores = PIXELS,
    further: Further = NOTHING_FURTHER,
    outlines: Array | None = None,
) -> Tally:
    """Score images or volumes that were segmented, from the counts (n, K) of their pixels or voxels.

    ``read`` says what stands for the whole; ``further`` scores take the ``outlines`` of the images, (n, 2, outlines,
    K): see :meth:`Further.row`.
    """
    of_classes: dict[str, Metric] = {
        "iou": ClassCounts.iou,
        "dice": ClassCounts.f1,
        read.accuracy: ClassCounts.recall,
        "precision": ClassCounts.precision,
    }

    def measure(sums: Array) -> Measured:
        per_class = _counts(sums, len(classes))
        asked = further.of_classes(sums[:, 3 * len(classes) :], per_class)
        overall = read.overall(per_class) | {f"mean_{name}": read.mean(values) for name, values in asked.items()}
        columns = _of_classes(per_class, of_classes) | asked
        return Measured(overall, columns, per_class.truth, further.units())

    labelled = counts.truth.sum(1) > 0
    added = np.zeros((len(labelled), 0)) if outlines is None else outlines.reshape(len(labelled), -1)
    summands = np.concatenate([counts.correct, counts.truth, counts.predicted, added], axis=1)[labelled]
    return tally_sums(
        scipy.sparse.csr_array(summands, dtype=np.float64),
        measure,
        classes,
        images=int(labelled.sum()),
        seed=seed,
        should_stop=should_stop,
    )


def _counts(sums: Array, size: int) -> ClassCounts:
    """Counts of K classes from (b, 3K or more) sums: correct, in the truth, in the prediction."""
    return ClassCounts(sums[:, :size], sums[:, size : 2 * size], sums[:, 2 * size : 3 * size])


def _of_classes(counts: ClassCounts, metrics: dict[str, Metric]) -> dict[str, Array]:
    return {name: metric(counts) for name, metric in metrics.items()}


@dataclass(frozen=True, slots=True)
class Measured:
    """Scores of b resamples.

    Attributes:
        overall: (b,) by name.
        classes: (b, K) by name.
        truth: (b, K) how often each class is in the truth.
        units: of overall scores that are no fractions.

    """

    overall: dict[str, Array]
    classes: dict[str, Array]
    truth: NDArray[Any]
    units: Mapping[str, str] = field(default_factory=dict)

    def stacked(self) -> Array:
        """All scores side by side: (b, overall, then K for each of the classes' scores)."""
        whole = [values[:, None] for values in self.overall.values()]
        return np.concatenate([*whole, *self.classes.values()], axis=1)


Measure = Callable[[Array], Measured]


def tally_sums(
    summands: scipy.sparse.csr_array,
    measure: Measure,
    classes: Sequence[str],
    *,
    images: int,
    seed: int,
    should_stop: Callable[[], None],
) -> Tally:
    """Score images by sums over them: ``measure`` takes (b, m) sums of the (n, m) summands."""
    totals = np.asarray(summands.sum(0), dtype=np.float64)[None]
    bounds = bootstrap_interval(summands, lambda sums: measure(sums).stacked(), seed=seed, should_stop=should_stop)
    return _tally(measure(totals), bounds, classes, images)


def tally_order(
    measure: Measure, classes: Sequence[str], *, images: int, seed: int, should_stop: Callable[[], None]
) -> Tally:
    """Score images by their order: ``measure`` takes (b, n) how often each image counts."""
    bounds = resampled_interval(images, lambda counts: measure(counts).stacked(), seed=seed, should_stop=should_stop)
    return _tally(measure(np.ones((1, images))), bounds, classes, images)


def _tally(measured: Measured, bounds: Array, classes: Sequence[str], images: int) -> Tally:
    """Give every score its interval: ``bounds`` are (s, 2), in the order of :meth:`Measured.stacked`."""
    first = len(measured.overall)
    table = bounds[first:].reshape(len(measured.classes), len(classes), 2)
    return Tally(
        tuple(
            Score(
                name,
                defined(float(values[0])),
                images,
                measured.units.get(name, "fraction"),
                defined(low),
                defined(high),
            )
            for (name, values), (low, high) in zip(measured.overall.items(), bounds[:first], strict=True)
        ),
        tuple(
            ClassScores(
                name,
                int(measured.truth[0, index]),
                {metric: defined(float(values[0, index])) for metric, values in measured.classes.items()},
                {metric: _interval(table[row, index]) for row, metric in enumerate(measured.classes)},
            )
            for index, name in enumerate(classes)
        ),
    )


def _interval(bounds: Array) -> tuple[float, float] | None:
    low, high = map(defined, bounds)
    return None if low is None or high is None else (low, high)
