"""Whether a confidence of 0.9 is right nine times in ten.

Source: Guo et al., "On Calibration of Modern Neural Networks", 2017, section 2, equations 2, 3 and 5: confidences fall
into M bins of equal width, ((m - 1) / M, m / M]; the expected calibration error is the mean distance between accuracy
and confidence of the bins, each weighed by its share of the samples. The paper uses M = 15.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUM_BINS = 15


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """One bin: its confidences lie in (low, high]; confidence and accuracy are means, None in an empty bin."""

    low: float
    high: float
    confidence: float | None
    accuracy: float | None
    n: int

    @property
    def gap(self) -> float:
        """Distance between accuracy and confidence; 0 in an empty bin."""
        return 0.0 if self.accuracy is None or self.confidence is None else abs(self.accuracy - self.confidence)


def calibration_bins(
    confidence: NDArray[Any], correct: NDArray[Any], *, num_bins: int = NUM_BINS
) -> tuple[CalibrationBin, ...]:
    """Sort samples into bins of equal width.

    Args:
        confidence: (n,) probability of the predicted class, 0 to 1.
        correct: (n,) whether the predicted class is the true one.
        num_bins: M.

    """
    confidence = np.asarray(confidence, np.float64)
    edges = np.linspace(0, 1, num_bins + 1)
    places = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, num_bins - 1)
    n = np.bincount(places, minlength=num_bins)
    sums = [np.bincount(places, weights=values, minlength=num_bins) for values in (confidence, correct)]
    return tuple(
        CalibrationBin(
            low=float(edges[m]),
            high=float(edges[m + 1]),
            confidence=float(sums[0][m] / n[m]) if n[m] else None,
            accuracy=float(sums[1][m] / n[m]) if n[m] else None,
            n=int(n[m]),
        )
        for m in range(num_bins)
    )


def expected_calibration_error(bins: tuple[CalibrationBin, ...]) -> float | None:
    """Return the weighted mean of |accuracy - confidence| over the bins, 0 to 1; None without samples."""
    total = sum(one.n for one in bins)
    return sum(one.n * one.gap for one in bins) / total if total else None
