"""From which probability on a class counts as shown.

Source: Lipton, Elkan and Narayanaswamy, "Optimal Thresholding of Classifiers to Maximize F1 Measure", 2014: the
threshold that maximises F1 depends on the class and is rarely 1/2; it is found on pictures that were not trained on.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

DEFAULT_THRESHOLD = 0.5


def best_threshold(probabilities: NDArray[Any], truth: NDArray[Any], *, missed: int = 0) -> float:
    """Return the threshold whose class F1 is highest: what has at least this probability counts as shown.

    Candidates lie half-way between neighbouring probabilities; of equally good ones the one nearest to 1/2 is taken,
    so that a class which is told apart with ease gets no extreme one. Without a picture that shows the class it is 1/2.

    Args:
        probabilities: (n,), 0 to 1.
        truth: (n,) whether each picture shows the class.
        missed: how many more there are that no threshold would show, such as objects that were not detected at all.

    """
    if not truth.any():
        return DEFAULT_THRESHOLD
    levels, place = np.unique(probabilities.astype(np.float64), return_inverse=True)
    shown = np.bincount(place, minlength=len(levels))[::-1].cumsum()[::-1]  # predicted at each level's threshold
    found = np.bincount(place, weights=truth, minlength=len(levels))[::-1].cumsum()[::-1]
    f1 = 2 * found / (shown + truth.sum() + missed)
    thresholds = (np.concatenate([[0.0], levels[:-1]]) + levels) / 2
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(thresholds[best[np.abs(thresholds[best] - DEFAULT_THRESHOLD).argmin()]])
