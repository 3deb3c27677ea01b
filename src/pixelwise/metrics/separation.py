"""How well segments were kept apart: the Rand and information scores of the ISBI 2012 challenge.

Source: Arganda-Carreras et al., "Crowdsourcing the creation of image segmentation algorithms for connectomics", 2015,
section "Metrics", and the evaluation that the challenge published. With T the true and S the proposed segmentation,
p_ij the share of pixels that lie in segment i of S and j of T, s_i and t_j their sums:

- V^Rand: split = Σ p_ij² / Σ t_j², merge = Σ p_ij² / Σ s_i², and their harmonic mean F = 2 Σ p_ij² / (Σ s_i² + Σ t_j²).
- V^Info: with entropies H and mutual information I of the same shares, split = I / H(S), merge = I / H(T), F = 2 I /
  (H(S) + H(T)).
- The challenge's first Rand error is 1 - F of V^Rand without thinning.

*Foreground-restricted*: only pixels that lie in a segment of T are counted; those of them that the proposal gives to no
segment are segments of one pixel each.

*Thinned*: segments of the proposal are first grown into its borders until these are one pixel wide
(:func:`thin_borders`), so that broad borders are not punished. Scores after thinning are those that the challenge ranks
by today. It grows them by a watershed; here every pixel goes to the nearest segment, which puts the lines at the same
places but for about a pixel.

All scores are at most 1, which is perfect. Where the truth has no segment they are undefined (NaN). A V^Info score
whose denominator is 0 is 1: one segment cannot be split, and none merged with another.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from pixelwise.errors import DataError

CHALLENGE_THRESHOLDS = tuple(step / 10 for step in range(11))
"""The challenge binarises probabilities at these and takes the best."""


class VScore(NamedTuple):
    """One score: the harmonic mean ``f`` of ``split`` (low where segments are split) and ``merge``."""

    f: float
    split: float
    merge: float


def segments(mask: NDArray[Any]) -> NDArray[np.int32]:
    """Number the parts of a mask that are connected by sides (in volumes: faces): 1, 2, ..., and 0 outside."""
    return np.asarray(scipy.ndimage.label(mask)[0], np.int32)


def thin_borders(labels: NDArray[Any]) -> NDArray[Any]:
    """Grow segments into what is 0 until lines of one element keep them apart.

    Each element goes to the nearest segment; of two neighbours by a side that belong to different segments then, the
    first one along the axis becomes line. Lines that separated nothing are gone. Without any segment nothing changes.

    Args:
        labels: integers, 0 between the segments.

    """
    if not labels.any():
        return labels.copy()
    nearest = scipy.ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    grown = labels[tuple(nearest)]
    line = np.zeros(labels.shape, np.bool_)
    for axis in range(labels.ndim):
        ahead, here = (np.moveaxis(grown, axis, 0)[part] for part in (slice(1, None), slice(None, -1)))
        np.moveaxis(line, axis, 0)[:-1] |= ahead != here
    grown[line] = 0
    return grown


def v_rand(truth: NDArray[Any], prediction: NDArray[Any]) -> VScore:
    """Return the foreground-restricted V^Rand of two segmentations.

    Args:
        truth: integers of any shape, one number for each segment, 0 between them.
        prediction: the same shape; thin it first (:func:`thin_borders`) for the score that the challenge ranks by.

    Raises:
        DataError: shapes that differ.

    """
    joint, own, other = _shares(truth, prediction)
    if not len(own):
        return VScore(*[float("nan")] * 3)
    shared, split, merge = (float((shares**2).sum()) for shares in (joint, own, other))
    return VScore(2 * shared / (split + merge), shared / split, shared / merge)


def v_info(truth: NDArray[Any], prediction: NDArray[Any]) -> VScore:
    """Return the foreground-restricted V^Info of two segmentations; for the rest see :func:`v_rand`."""
    joint, own, other = _shares(truth, prediction)
    if not len(own):
        return VScore(*[float("nan")] * 3)
    of_both, of_truth, of_prediction = (float(-(shares * np.log(shares)).sum()) for shares in (joint, own, other))
    shared = max(0.0, of_truth + of_prediction - of_both)
    parts = ((of_truth + of_prediction) / 2, of_prediction, of_truth)
    return VScore(*(min(1.0, shared / part) if part > 0 else 1.0 for part in parts))


def pixel_error(truth: NDArray[Any], prediction: NDArray[Any]) -> float:
    """Return the share of elements in which two masks differ, 0 to 1: the challenge's pixel error, 1 - pixel accuracy.

    Args:
        truth: of any shape, not empty; what is not 0 belongs to the mask.
        prediction: the same shape.

    Raises:
        DataError: shapes that differ.

    """
    _check_shapes(truth, prediction)
    return float(((truth != 0) != (prediction != 0)).mean())


def rand_error(truth: NDArray[Any], prediction: NDArray[Any]) -> float:
    """Return the challenge's Rand error, 1 - F of :func:`v_rand`, of segmentations as they are (not thinned)."""
    return 1 - v_rand(truth, prediction).f


def best_over_thresholds(
    score: Callable[[NDArray[np.bool_], NDArray[np.bool_]], float],
    truths: Sequence[NDArray[Any]],
    probabilities: Sequence[NDArray[Any]],
    *,
    thresholds: Sequence[float] = CHALLENGE_THRESHOLDS,
    lowest: bool = False,
) -> tuple[float, float]:
    """Search the threshold as the challenge does: one for the whole stack, by the mean score of its slices.

    The threshold is chosen by looking at the truth, so the result flatters; a threshold fixed beforehand does not.

    Args:
        score: of the masks of truth and prediction of one slice.
        truths: masks of what is no border.
        probabilities: of that, 0 to 1; what is above the threshold is taken.
        thresholds: candidates.
        lowest: whether the lowest score is the best, as of errors.

    Returns:
        The best mean score and its threshold, of equals the first.

    """
    means = [
        float(np.mean([score(truth != 0, shares > at) for truth, shares in zip(truths, probabilities, strict=True)]))
        for at in thresholds
    ]
    place = int(np.nanargmin(means) if lowest else np.nanargmax(means))
    return means[place], thresholds[place]


def _shares(truth: NDArray[Any], prediction: NDArray[Any]) -> tuple[NDArray[np.float64], ...]:
    """Return the shares of the pairs of segments, of the true and of the proposed segments, none of them 0."""
    _check_shapes(truth, prediction)
    inside = truth != 0
    own, other = truth[inside], prediction[inside]
    single = np.full(int((other == 0).sum()), 1.0)  # segments of one pixel each
    given = other != 0
    names, numbers = np.unique(other[given], return_inverse=True)
    true_names, true_numbers = np.unique(own, return_inverse=True)
    pairs = np.bincount(true_numbers[given] * max(len(names), 1) + numbers).astype(np.float64)
    others = np.bincount(numbers, minlength=len(names)).astype(np.float64)
    owns = np.bincount(true_numbers, minlength=len(true_names)).astype(np.float64)
    return tuple(
        counts / max(len(own), 1)
        for counts in (np.concatenate([pairs[pairs > 0], single]), owns, np.concatenate([others, single]))
    )


def _check_shapes(truth: NDArray[Any], prediction: NDArray[Any]) -> None:
    if truth.shape != prediction.shape:
        raise DataError(
            f"The prediction has shape {prediction.shape}",
            expected=f"{truth.shape}, as the truth",
            do="Compare segmentations of the same picture",
        )
