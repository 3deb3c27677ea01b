"""Intervals for scores by resampling images.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3, the percentile interval: images
are drawn with replacement, as many as there are, the score is computed anew, and the 2.5 and 97.5 percentiles of
many such scores bound the 95 % interval.

Most scores are functions of sums over images (correct pixels, pixels of a class, ...). A resample is then one
product of a row of multiplicities with the table of summands, and a thousand resamples are one matrix product.

What the interval covers is the choice of test images, not the training. Images that resemble each other, such as
slices of one stack, make it too narrow.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

Array = NDArray[np.float64]

RESAMPLES = 1000
LEVEL = 0.95
_CELLS_AT_ONCE = 1 << 22
_ROUNDING = 1e-12


def bootstrap_interval(
    summands: NDArray[Any] | scipy.sparse.csr_array,
    statistic: Callable[[Array], Array],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    should_stop: Callable[[], None] = lambda: None,
) -> Array:
    """Return the percentile interval of scores that depend on sums over images.

    Args:
        summands: (n, m), what each image adds to each sum.
        statistic: takes sums (b, m), one row a resample, and returns scores (b, s), NaN where undefined.
        seed: of the draws.
        resamples: how many.
        should_stop: called now and then; raises to end the work.

    Returns:
        (s, 2): lower and upper bounds. Resamples in which a score is undefined are left out of its percentiles. NaN
        where it is undefined in all of them, when there is only one image, and where all resamples agree: six right
        answers out of six do not prove that the seventh is right, though "100 to 100 %" would say so.

    """
    table = scipy.sparse.csr_array(summands, dtype=np.float64)
    return resampled_interval(
        table.shape[0],
        lambda multiplicities: statistic(np.asarray(multiplicities @ table)),
        sums=table.shape[1],
        seed=seed,
        resamples=resamples,
        should_stop=should_stop,
    )


def resampled_interval(
    n: int,
    statistic: Callable[[Array], Array],
    *,
    sums: int = 1,
    seed: int = 0,
    resamples: int = RESAMPLES,
    should_stop: Callable[[], None] = lambda: None,
) -> Array:
    """Return the percentile interval of any scores, such as those that depend on the images' order.

    Args:
        n: how many images.
        statistic: takes (b, n) how often each image counts in each of b resamples, and returns scores (b, s), NaN where
            undefined.
        sums: how many numbers it holds for each resample, besides those that it is given.
        seed: of the draws; the same draws as those of :func:`bootstrap_interval`.
        resamples: how many.
        should_stop: called now and then; raises to end the work.

    Returns:
        As :func:`bootstrap_interval`.

    """
    if n < 2:
        return np.full((statistic(np.zeros((1, n))).shape[1], 2), np.nan)
    rng = np.random.default_rng(seed)
    at_once = max(1, _CELLS_AT_ONCE // max(n, sums))
    parts = []
    for start in range(0, resamples, at_once):
        should_stop()
        rows = min(at_once, resamples - start)
        draws = rng.integers(n, size=(rows, n)) + np.arange(rows)[:, None] * n
        parts.append(statistic(np.bincount(draws.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)))
    return _percentiles(np.concatenate(parts))


def _percentiles(scores: Array) -> Array:
    bounds = np.full((scores.shape[1], 2), np.nan)
    tail = 100 * (1 - LEVEL) / 2
    defined = ~np.isnan(scores)
    whole = defined.all(0)
    bounds[whole] = np.percentile(scores[:, whole], [tail, 100 - tail], axis=0).T
    for column in np.flatnonzero(~whole & defined.any(0)):
        bounds[column] = np.percentile(scores[defined[:, column], column], [tail, 100 - tail])
    bounds[bounds[:, 1] - bounds[:, 0] < _ROUNDING] = np.nan
    return bounds
