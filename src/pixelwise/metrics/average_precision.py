"""How well scores put what is the class before what is not.

Definition (Manning, Raghavan and Schütze, "Introduction to Information Retrieval", 2008, section 8.4, equation 8.8; not
interpolated): with pictures in the order of falling scores, the precision among the first so many, averaged over the
places of those that show the class::

    AP = sum_n (R_n - R_{n-1}) P_n

with recall R_n and precision P_n after the n-th distinct score: pictures of equal scores have no order among
themselves and enter together. A class that no picture shows has no average precision (NaN), and the mean over the
classes (mAP) leaves it out; one that every picture shows has 1.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.metrics.per_class import ratio

Array = NDArray[np.float64]


def average_precision(scores: NDArray[Any], truth: NDArray[Any], multiplicities: NDArray[Any] | None = None) -> Array:
    """Return the average precision of one class.

    Args:
        scores: (n,), higher is likelier.
        truth: (n,) whether each picture shows the class.
        multiplicities: (b, n) how often each picture counts in each of b resamples; None = once.

    Returns:
        (b,), 0 to 1, NaN where no picture shows the class; b = 1 without multiplicities.

    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))  # of each distinct score
    counts = np.ones((1, len(scores))) if multiplicities is None else multiplicities[:, order]
    everything = np.add.reduceat(counts, starts, axis=1)
    positives = np.add.reduceat(counts * truth[order], starts, axis=1)
    return average_precision_of_counts(positives, everything)


def average_precision_of_counts(positives: NDArray[Any], everything: NDArray[Any]) -> Array:
    """Return the average precision from counts at each score, (..., m) with the highest score first: (...)."""
    precision = ratio(positives.cumsum(-1), everything.cumsum(-1))
    return ratio(np.where(positives > 0, positives * precision, 0).sum(-1), positives.sum(-1))
