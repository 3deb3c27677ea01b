"""Running scores of a split, cheap enough for every epoch.

A meter's state is counts, so the states of several processes add up to the state of the whole: sum each tensor over
the processes, load the sums, and read the scores.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pixelwise.errors import DataError
from pixelwise.metrics import (
    PIXELS,
    ClassCounts,
    LabelMapScores,
    confusion_matrix_tensor,
    mean_defined,
    predicted_classes,
    rank_of_truth,
)
from pixelwise.tasks.crop import crop_to_logits

TOP_K = 5


class Meter(ABC):
    """Counts over batches, and the scores that follow from them."""

    _state: dict[str, Tensor]

    @abstractmethod
    def update(self, logits: Tensor, target: Tensor) -> None:
        """Count one batch, on the device where it is; call it without gradients."""

    @abstractmethod
    def scores(self) -> dict[str, float]:
        """Return each score by name, 0 to 1, higher is better; undefined ones are left out.

        Raises:
            DataError: nothing was counted.

        """

    def state(self) -> dict[str, Tensor]:
        """Return the counts (int64, whatever device they are on); summing in place is seen by the meter."""
        return self._state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from these counts."""
        self._state = dict(state)

    def _add(self, name: str, counts: Tensor) -> None:
        self._state[name] = self._state[name].to(counts.device) + counts


class ClassificationMeter(Meter):
    """Top-1 and, above five classes, top-5 accuracy, and the mean F1 of the classes."""

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        counts = {name: torch.zeros(num_classes, dtype=torch.int64) for name in ("correct", "truth", "predicted")}
        self._state = counts | {"in_top": torch.zeros((), dtype=torch.int64)}

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Count a batch of logits (N, K or 1) and class indices (N,)."""
        predicted, classes = predicted_classes(logits).long(), self.num_classes
        target = target.long()
        per_class = torch.zeros(3, classes, dtype=torch.int64, device=logits.device)
        per_class[0].scatter_add_(0, target, (predicted == target).long())
        per_class[1].scatter_add_(0, target, torch.ones_like(target))
        per_class[2].scatter_add_(0, predicted, torch.ones_like(predicted))
        for name, counts in zip(("correct", "truth", "predicted"), per_class, strict=True):
            self._add(name, counts)
        if classes > TOP_K:
            self._add("in_top", (rank_of_truth(logits, target) < TOP_K).sum())

    def scores(self) -> dict[str, float]:
        """Return top1, top5 (above five classes) and macro_f1."""
        state = {name: tensor.cpu().numpy() for name, tensor in self._state.items()}
        total = int(state["truth"].sum())
        refuse_nothing(total)
        counts = ClassCounts(state["correct"], state["truth"], state["predicted"])
        scores = {"top1": float(counts.accuracy()), "macro_f1": float(mean_defined(counts.f1()))}
        if self.num_classes > TOP_K:
            scores["top5"] = int(state["in_top"]) / total
        return scores


class SegmentationMeter(Meter):
    """Means over the classes and the share of correct pixels or voxels, pooled over all images or volumes."""

    def __init__(self, num_classes: int, ignore_index: int, read: LabelMapScores = PIXELS) -> None:
        self.num_classes, self.ignore_index, self.read = num_classes, ignore_index, read
        self._state = {"confusion": torch.zeros(num_classes, num_classes, dtype=torch.int64)}

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Count a batch of logits (N, K or 1, h, w) and label maps (N, H, W) that are as large or larger."""
        target = crop_to_logits(target, logits)
        counts = confusion_matrix_tensor(target, predicted_classes(logits), self.num_classes, ignore=self.ignore_index)
        self._add("confusion", counts)

    def scores(self) -> dict[str, float]:
        """Return mean_iou, mean_dice and pixel_accuracy; of volumes foreground_dice and its like, where defined."""
        confusion = self._state["confusion"].cpu().numpy()
        refuse_nothing(int(confusion.sum()))
        scores = self.read.running(ClassCounts.from_confusion(confusion))
        return {name: float(value) for name, value in scores.items() if not np.isnan(value)}


def refuse_nothing(total: int) -> None:
    """Refuse to score what was not counted.

    Raises:
        DataError: ``total`` is 0.

    """
    if not total:
        raise DataError(
            "Nothing was counted: the split has no labelled image, or no pixel that is not ignored",
            expected="at least one label",
            do="Run pixelwise check on the data",
        )
