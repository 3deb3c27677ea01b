"""Running scores of instances: cheap enough for every epoch, so without the steps that a prediction goes through."""

from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixelwise.data.label_planes import OBJECT
from pixelwise.data.masks import IGNORE
from pixelwise.data.weight_map import close_contacts
from pixelwise.metrics import (
    ClassCounts,
    confusion_matrix_tensor,
    instance_counts,
    mean_defined,
    predicted_classes,
)
from pixelwise.tasks.crop import crop_to_logits
from pixelwise.tasks.meter import Meter, refuse_nothing

_FOUND_IOU = 0.5


class ObjectMeter(Meter):
    """Objects found, invented and missed, and the IoU of the outputs.

    An object is taken for a connected piece of what the network says is inside an object, without its rim where rims
    are told; it is compared with the same part of the true object. Where objects that touch are drawn apart, pieces are
    grown back first and compared with the whole true object. ``ap50`` is found / (found + invented + missed), as
    in the 2018 Data Science Bowl; ``object_f1`` is 2 found / (2 found + invented + missed).

    Args:
        num_outputs: channels of the logits.
        num_classes: K; the background is the first of them, the rim follows the last.
        output_indices: gives the right output of each pixel (N, H, W) for planes (N, 3, H, W).
        grown_px: how far pieces grow back into the gaps between them; 0 for outputs that leave none.

    """

    def __init__(
        self, num_outputs: int, num_classes: int, output_indices: Callable[[Tensor], Tensor], *, grown_px: int
    ) -> None:
        self.num_outputs, self.num_classes, self._output_indices = num_outputs, num_classes, output_indices
        self._grown_px = grown_px
        counts = {name: torch.zeros((), dtype=torch.int64) for name in ("found", "predicted", "true")}
        self._state = {"confusion": torch.zeros(num_outputs, num_outputs, dtype=torch.int64)} | counts

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Count a batch of logits (N, num_outputs, h, w) and planes (N, 3, H, W)."""
        truth = crop_to_logits(self._output_indices(target), logits)
        predicted = predicted_classes(logits)
        self._add("confusion", confusion_matrix_tensor(truth, predicted, self.num_outputs, ignore=IGNORE))
        objects = crop_to_logits(target[:, OBJECT], logits).cpu().numpy().astype(np.int32)
        indices, guesses = truth.cpu().numpy(), predicted.cpu().numpy()
        for index, guess, numbers in zip(indices, guesses, objects, strict=True):
            counted = index != IGNORE
            pieces = cv2.connectedComponents((self._is_inside(guess) & counted).astype(np.uint8), connectivity=4)[1]
            if self._grown_px:
                pieces = close_contacts(pieces, reach_px=self._grown_px, is_open=counted)
                inside = np.where(counted, numbers, 0)
            else:
                inside = np.where(self._is_inside(index), numbers, 0)
            counts = instance_counts(inside, pieces, thresholds=(_FOUND_IOU,))
            for name, count in (("found", counts.matches[0]), ("true", counts.truth), ("predicted", counts.predicted)):
                self._add(name, torch.tensor(int(count)))

    def scores(self) -> dict[str, float]:
        """Return ap50 and object_f1, where there is any object, and mean_iou."""
        confusion = self._state["confusion"].cpu().numpy()
        refuse_nothing(int(confusion.sum()))
        found, predicted, true = (int(self._state[name]) for name in ("found", "predicted", "true"))
        iou = {"mean_iou": float(mean_defined(ClassCounts.from_confusion(confusion).iou()))}
        if not predicted + true:
            return iou
        return {"ap50": found / (predicted + true - found), "object_f1": 2 * found / (predicted + true)} | iou

    def _is_inside(self, outputs: NDArray[np.integer]) -> NDArray[np.bool_]:
        return (outputs > 0) & (outputs < self.num_classes)
