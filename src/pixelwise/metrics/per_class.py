"""Ratios of counts per class, and what they are when a class is empty.

Definitions (TP, FP, FN: true positives, false positives, false negatives of one class):

========== =================================== =============================================
precision  TP / (TP + FP)                      of what was predicted as the class, the true share
recall     TP / (TP + FN)                      of what is the class, the found share
F1, Dice   2TP / (2TP + FP + FN)               van Rijsbergen 1979 and Dice 1945: the same number
F-beta     (1+b²)TP / ((1+b²)TP + b²FN + FP)   van Rijsbergen 1979; recall counts b times as much as precision
IoU        TP / (TP + FP + FN)                 Jaccard 1912
========== =================================== =============================================

A ratio without a denominator is undefined (NaN here, None in files) and no mean counts it. For IoU, F1 and F-beta that
is a class which is neither in the truth nor in the prediction; one that is predicted but not in the truth scores 0, and
one that is in the truth but never predicted scores 0. See :data:`EMPTY_CLASS_RULE`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EMPTY_CLASS_RULE = (
    "A class that is absent from truth and prediction alike is undefined and left out of the means; a class that is "
    "absent from the truth but predicted scores 0, as does one that is never found. Precision is undefined for a class "
    "that is never predicted, recall for one that is absent from the truth."
)


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Counts per class, each of shape (..., K): correct, in the truth, in the prediction."""

    correct: NDArray[Any]
    truth: NDArray[Any]
    predicted: NDArray[Any]

    @classmethod
    def from_confusion(cls, confusion: NDArray[Any]) -> "ClassCounts":
        """Take the counts from confusion matrices (..., K, K), rows the truth, columns the prediction."""
        diagonal = np.diagonal(confusion, axis1=-2, axis2=-1)
        return cls(diagonal, confusion.sum(-1), confusion.sum(-2))

    def precision(self) -> Array:
        """Return TP / (TP + FP) per class."""
        return ratio(self.correct, self.predicted)

    def recall(self) -> Array:
        """Return TP / (TP + FN) per class."""
        return ratio(self.correct, self.truth)

    def f1(self) -> Array:
        """Return 2TP / (2TP + FP + FN) per class; the Dice coefficient is the same number."""
        return ratio(2 * self.correct, self.truth + self.predicted)

    def f_beta(self, beta: float) -> Array:
        """Return (1 + beta²)TP / ((1 + beta²)TP + beta²FN + FP) per class; undefined where F1 is."""
        return ratio((1 + beta**2) * self.correct, beta**2 * self.truth + self.predicted)

    def iou(self) -> Array:
        """Return TP / (TP + FP + FN) per class."""
        return ratio(self.correct, self.truth + self.predicted - self.correct)

    def accuracy(self) -> Array:
        """Return the share of all that was counted which is correct, (...): top-1 or pixel accuracy."""
        return ratio(self.correct.sum(-1), self.truth.sum(-1))


def ratio(part: NDArray[Any], whole: NDArray[Any]) -> Array:
    """Divide, with NaN where ``whole`` is 0."""
    result = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=result, where=np.asarray(whole) != 0)
    return result


def mean_defined(values: Array) -> Array:
    """Return the mean over the last axis of what is defined; NaN where nothing is."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0).sum(-1), defined.sum(-1))
