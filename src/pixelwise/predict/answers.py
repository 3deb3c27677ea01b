"""From a model's averaged probabilities to a prediction, for each task."""

import numpy as np
import torch
from numpy.typing import NDArray

from pixelwise.data.masks import IGNORE
from pixelwise.data.preprocess import Preprocess
from pixelwise.metrics import predicted_classes
from pixelwise.predict.prediction import ClassPrediction, MaskPrediction, Prediction
from pixelwise.tasks import Task

SEEN = 0.5
"""Sum of the probabilities: 1 within what a network saw, 0 where the preprocessing cut the picture off."""


def in_the_picture(
    task: Task, preprocess: Preprocess, values: NDArray[np.float32], original: tuple[int, int]
) -> NDArray[np.float32]:
    """Return probabilities in the size of the picture, where they have places: (K,), or (K, H, W)."""
    return preprocess.restore_size(values, *original) if task.name == "segmentation" else values


def make_prediction(
    task: Task, values: NDArray[np.float32], notes: tuple[str, ...], *, is_cut_off: bool, keep: bool
) -> Prediction:
    """Make the prediction of one picture.

    Args:
        task: of the model.
        values: probabilities, (K,) or (K, H, W) in the size of the picture.
        notes: what was done to the picture.
        is_cut_off: the preprocessing cuts the edges off, so that some pixels may have no answer.
        keep: keep the probabilities of a segmentation.

    """
    if task.name != "segmentation":
        return ClassPrediction(task.classes, values, notes)
    label_map = predicted_classes(torch.from_numpy(values)[None])[0].numpy()
    if is_cut_off:
        label_map[values.sum(0) < SEEN] = IGNORE
    return MaskPrediction(task.classes, label_map, values if keep else None, notes)
