"""What a class and a box cost together: a sum of losses of the one and of the other.

Source: Girshick, "Fast R-CNN", 2015, section 2.3, equation 1: the loss of the class plus a factor times that of the
box. Written as ``"ce+smooth_l1"`` or ``"ce+2*giou"``.
"""

import torch
from torch import Tensor

from pixelwise.errors import UsageError
from pixelwise.losses.base import LossSettings, at_least_float32
from pixelwise.losses.boxes import BoxLoss
from pixelwise.losses.sums import LossSum, sum_of
from pixelwise.losses.table import BOX_LOSSES, CLASS_LOSSES
from pixelwise.losses.text import parse_loss

BOX_OUTPUTS = 4
"""Outputs of a network that give its box, after those of the classes."""

_CLASS_LOSSES = {"ce": CLASS_LOSSES["ce"]}


class LocalisationLoss:
    """A sum of losses of the class and of the box.

    Args:
        text: the sum; of one class there is nothing to tell, and it has losses of the box only.
        settings: ``num_outputs`` is the number of classes.

    Raises:
        UsageError: a loss that is unknown or stands twice; no loss of the box, or none of the classes.

    """

    def __init__(self, text: str, settings: LossSettings) -> None:
        self.num_classes = settings.num_outputs
        terms = parse_loss(text, {**_CLASS_LOSSES, **BOX_LOSSES})
        box_terms = [term for term in terms if term.name in BOX_LOSSES]
        class_terms = [term for term in terms if term.name not in BOX_LOSSES]
        for what, found, known in (("box", box_terms, BOX_LOSSES), ("class", class_terms, _CLASS_LOSSES)):
            if not found and not (what == "class" and self.num_classes == 1):
                raise UsageError(
                    f"loss {text!r} says nothing of the {what}",
                    expected=f"a term of {' or '.join(known)}",
                    do="For example ce+smooth_l1",
                )
        if class_terms and self.num_classes == 1:
            raise UsageError(
                f"loss {text!r} has a term of the class, and there is one class only",
                expected="losses of the box",
                do=f"Leave {class_terms[0].name} out",
            )
        if not class_terms and (settings.class_weights is not None or settings.label_smoothing):
            raise UsageError(
                f"loss {text!r} makes no use of class weights or label smoothing",
                expected="neither, where there is one class",
                do="Leave them out",
            )
        self.of_boxes: list[tuple[float, BoxLoss]] = [(term.factor, BOX_LOSSES[term.name]()) for term in box_terms]
        self.of_classes: LossSum | None = sum_of(class_terms, settings, _CLASS_LOSSES) if class_terms else None

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the cost as a scalar.

        Args:
            logits: (N, K + 4): of the K classes, then what the sigmoid turns into the box.
            target: (N, 5): class index, then centre x, centre y, width, height as shares of the view.

        """
        boxes = torch.sigmoid(at_least_float32(logits[:, self.num_classes :]))
        cost = sum(factor * loss(boxes, target[:, 1:]) for factor, loss in self.of_boxes)
        assert isinstance(cost, Tensor)  # there is at least one term
        if self.of_classes is not None:
            cost = cost + self.of_classes(logits[:, : self.num_classes], target[:, 0].long())
        return cost
