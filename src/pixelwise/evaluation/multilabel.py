"""Scores of multi-label classifications: how well each class is ranked, and whether it is said where it is shown.

Of each class the average precision looks at the order of the pictures alone; precision, recall and F1 at what counts as
shown from the model's thresholds on. Sources and rules: :mod:`pixelwise.metrics.average_precision` and
:mod:`pixelwise.metrics.per_class`. "Exact match" is the share of pictures whose whole set is right.
"""

import numpy as np

from pixelwise.evaluation.tally import Array, Measured, tally_order
from pixelwise.evaluation.work import Findings, Work
from pixelwise.metrics import ClassCounts, average_precision, mean_defined
from pixelwise.predict.set_prediction import SetPrediction

BETWEEN_NAMES = "; "
"""Between the names of a sample's classes."""


def score_sets(work: Work) -> Findings:
    """Compare the set of classes of every sample with the predicted one."""
    truth = work.shown()
    probabilities = np.zeros(truth.shape)
    predicted = np.zeros(truth.shape, np.bool_)
    samples, thresholds = [], np.zeros(len(work.classes))
    for place, (index, prediction) in enumerate(work.predictions()):
        assert isinstance(prediction, SetPrediction)  # the model's task is multilabel
        probabilities[place], predicted[place] = prediction.probabilities, prediction.shown
        thresholds = np.array(prediction.thresholds)
        given = np.where(truth[place], prediction.probabilities, 1 - prediction.probabilities)
        samples.append(
            work.sample(
                index,
                float(given.mean()),
                truth=BETWEEN_NAMES.join(_names(work, truth[place])),
                prediction=BETWEEN_NAMES.join(_names(work, predicted[place])),
            )
        )
    right, exact = truth & predicted, (truth == predicted).all(1)

    def measure(multiplicities: Array) -> Measured:
        counts = ClassCounts(multiplicities @ right, multiplicities @ truth, multiplicities @ predicted)
        columns = zip(probabilities.T, truth.T, strict=True)
        ranked = np.stack([average_precision(*column, multiplicities) for column in columns], axis=1)
        classes = {
            "ap": ranked,
            "precision": counts.precision(),
            "recall": counts.recall(),
            "f1": counts.f1(),
        }
        means = {f"macro_{name}": mean_defined(classes[name]) for name in ("f1", "precision", "recall")}
        total = multiplicities.sum(1)
        matched = np.divide(multiplicities @ exact, total, out=np.zeros(len(total)), where=total > 0)
        return Measured({"map": mean_defined(ranked), **means, "exact_match": matched}, classes, counts.truth)

    tally = tally_order(measure, work.classes, images=len(truth), seed=work.seed, should_stop=work.should_stop)
    return Findings(tally.with_thresholds(thresholds), np.zeros((0, 0), np.int64), tuple(samples))


def _names(work: Work, shown: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> list[str]:
    return [work.classes[index] for index in np.flatnonzero(shown)]
