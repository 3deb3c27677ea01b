"""Which class was predicted, and how often each class was taken for each other."""

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixelwise.errors import DataError

_EXACT_COUNTS = 2**24
"""OpenCV counts in float32, which is exact up to here: larger pictures are counted in parts."""


def predicted_classes(logits: Tensor) -> Tensor:
    """Return the class of the highest logit, (N, 1 or K, ...) -> (N, ...); uint8 up to 256 classes, else int64.

    One logit predicts class 1 where it is positive (a probability above 0.5). Among equals the first class wins.
    """
    if logits.shape[1] == 1:
        return (logits.squeeze(1) > 0).to(torch.uint8)
    # max(1).indices is several times faster than argmax(1) on the CPU and gives the same indices
    indices = logits.max(1).indices
    return indices.to(torch.uint8) if logits.shape[1] <= 256 else indices


def confusion_matrix(
    truth: NDArray[Any], prediction: NDArray[Any], num_classes: int, *, ignore: int | None
) -> NDArray[np.int64]:
    """Count pairs of true and predicted class.

    Args:
        truth: class indices of any shape, or ``ignore``; uint8 is the fast case.
        prediction: class indices of the same shape.
        num_classes: K.
        ignore: true value that is not counted; None counts everything.

    Returns:
        (K, K) counts: rows are the truth, columns the prediction.

    Raises:
        DataError: a value that is neither a class index nor ``ignore``.

    """
    if truth.dtype == np.uint8 and prediction.dtype == np.uint8 and num_classes <= 255 and ignore in (None, 255):
        counts = _count_bytes(truth.reshape(1, -1), prediction.reshape(1, -1), num_classes)
    else:
        counts = _count_integers(truth.ravel(), prediction.ravel(), num_classes, ignore)
    ignored = 0 if ignore is None else np.count_nonzero(truth == ignore)
    if counts.sum() + ignored != truth.size:
        raise _foreign_value(truth, prediction, num_classes, ignore)
    return counts


def confusion_matrix_tensor(truth: Tensor, prediction: Tensor, num_classes: int, *, ignore: int) -> Tensor:
    """Do what :func:`confusion_matrix` does where the tensors are, (K, K) int64.

    On the CPU it is that function; elsewhere the counting stays on the device and waits for nothing, at the price of
    not looking for foreign values.
    """
    if truth.device.type == "cpu":
        counted = confusion_matrix(truth.numpy(), prediction.numpy(), num_classes, ignore=ignore)
        return torch.from_numpy(counted)
    return _count_on_device(truth, prediction, num_classes, ignore)


def _count_on_device(truth: Tensor, prediction: Tensor, num_classes: int, ignore: int) -> Tensor:
    truth, prediction = truth.flatten().long(), prediction.flatten().long()
    cells = torch.where(truth == ignore, num_classes**2, truth * num_classes + prediction)
    counts = torch.zeros(num_classes**2 + 1, dtype=torch.int64, device=truth.device)
    counts.scatter_add_(0, cells, torch.ones_like(cells))
    return counts[:-1].view(num_classes, num_classes)


def _count_bytes(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], num_classes: int) -> NDArray[np.int64]:
    """Count (1, n) bytes with OpenCV; values beyond K - 1 (255 among them, as K <= 255) fall outside its ranges."""
    counts = np.zeros((num_classes, num_classes), np.int64)
    ranges = [0, num_classes, 0, num_classes]
    for start in range(0, truth.shape[1], _EXACT_COUNTS):
        pair = [truth[:, start : start + _EXACT_COUNTS], prediction[:, start : start + _EXACT_COUNTS]]
        counts += cv2.calcHist(pair, [0, 1], None, [num_classes, num_classes], ranges).astype(np.int64)
    return counts


def _count_integers(
    truth: NDArray[Any], prediction: NDArray[Any], num_classes: int, ignore: int | None
) -> NDArray[np.int64]:
    legal = (truth >= 0) & (truth < num_classes) & (prediction >= 0) & (prediction < num_classes)
    if ignore is not None:
        legal &= truth != ignore
    cells = truth[legal].astype(np.int64) * num_classes + prediction[legal]
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def _foreign_value(truth: NDArray[Any], prediction: NDArray[Any], num_classes: int, ignore: int | None) -> DataError:
    expected = f"0 to {num_classes - 1}" + ("" if ignore is None else f", or {ignore} for what is not counted")
    known = set(range(num_classes))
    foreign = sorted({int(value) for value in np.unique(truth)} - known - {ignore})
    if foreign:
        return DataError(
            f"the truth holds {foreign[0]}",
            expected=expected,
            do="Run pixelwise check on the data, and mend its labels",
        )
    foreign = sorted({int(value) for value in np.unique(prediction)} - known)
    return DataError(
        f"the prediction holds {foreign[0]}", expected=f"0 to {num_classes - 1}", do="Use a model for these classes"
    )
