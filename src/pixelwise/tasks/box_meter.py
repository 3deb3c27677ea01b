"""Running scores of localisation."""

import torch
from torch import Tensor

from pixelwise.metrics import LOCALISED_IOU, box_iou, corners
from pixelwise.tasks.meter import Meter, refuse_nothing

_STEPS = 2**20
"""Overlaps are summed up as whole numbers of this fraction: the sum is then the same in any order."""


class BoxMeter(Meter):
    """Shares of pictures whose class is right, and whose box is as well; and the mean overlap of the boxes.

    Overlaps are measured in the network's view. An object of which the view shows no part is not found, as in
    evaluation. Of one class there is no top1: it could not be wrong.

    Args:
        num_classes: K.

    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        names = ("pictures", "right", "localised", "overlap")
        self._state = {name: torch.zeros((), dtype=torch.int64) for name in names}

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Count a batch of logits (N, K + 4) and classes with boxes (N, 5)."""
        logits = logits.float()
        classes = logits[:, : self.num_classes].max(1).indices
        right = classes == target[:, 0].long()
        shown = target[:, 3] > 0
        overlap = box_iou(corners(torch.sigmoid(logits[:, self.num_classes :])), corners(target[:, 1:])) * shown
        self._add("pictures", torch.tensor(len(logits), device=logits.device))
        self._add("right", right.sum())
        self._add("localised", (right & (overlap >= LOCALISED_IOU)).sum())
        self._add("overlap", (overlap * _STEPS).round().long().sum())

    def scores(self) -> dict[str, float]:
        """Return localisation_accuracy, top1 and box_iou."""
        state = {name: int(tensor) for name, tensor in self._state.items()}
        pictures = state["pictures"]
        refuse_nothing(pictures)
        top1 = {"top1": state["right"] / pictures} if self.num_classes > 1 else {}
        box_iou = state["overlap"] / (_STEPS * pictures)
        return {"localisation_accuracy": state["localised"] / pictures, **top1, "box_iou": box_iou}
