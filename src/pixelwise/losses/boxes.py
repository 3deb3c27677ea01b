"""Losses of one box per picture.

Both are means over the pictures whose view shows the object; without any, the cost is 0 with a gradient of 0.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from pixelwise.losses.base import at_least_float32

UNIT = 0.1
"""Share of the view that counts as 1 in the smooth L1 loss."""


class BoxLoss(ABC):
    """A differentiable cost of boxes against boxes, lower is better."""

    def __call__(self, boxes: Tensor, target: Tensor) -> Tensor:
        """Return the cost as a scalar.

        Args:
            boxes: (N, 4) centre x, centre y, width, height as shares of the view, 0 to 1.
            target: (N, 4) of the same kind; boxes of width 0 are not counted.

        """
        boxes = at_least_float32(boxes)
        target = target.to(boxes.dtype)
        shown = target[:, 2] > 0
        cost = self.of_each(boxes, torch.where(shown[:, None], target, 0.5))  # any box will do where none counts
        return torch.where(shown, cost, 0.0).sum() / shown.sum().clamp(min=1)

    @abstractmethod
    def of_each(self, boxes: Tensor, target: Tensor) -> Tensor:
        """Return the cost of each box, (N,)."""


class SmoothL1(BoxLoss):
    """Sum over the four numbers of a distance that is squared near 0 and plain beyond.

    Source: Girshick, "Fast R-CNN", 2015, section 2.3, equations 2 and 3::

        loss = sum_i smooth(t_i - v_i),   smooth(x) = x^2 / 2 where |x| < 1, else |x| - 1/2

    *Deviations*: the paper regresses offsets from a proposal, normalised to zero mean and unit variance over the
    training set. Here there is no proposal; centre and sides themselves are compared, in tenths of the view.
    """

    def of_each(self, boxes: Tensor, target: Tensor) -> Tensor:
        """Return the sum of the four distances."""
        distance = (boxes - target).abs() / UNIT
        return torch.where(distance < 1, distance.square() / 2, distance - 0.5).sum(1)


class GeneralisedIoU(BoxLoss):
    """One minus the generalised intersection over union, 0 to 2.

    Source: Rezatofighi et al., "Generalized Intersection over Union", 2019, algorithm 2::

        GIoU = |A and B| / |A or B| - |C without (A or B)| / |C|,   loss = 1 - GIoU

    with C the smallest box around A and B: boxes that do not meet are drawn towards each other.
    """

    def of_each(self, boxes: Tensor, target: Tensor) -> Tensor:
        """Return 1 - GIoU of each pair."""
        (low, high), (target_low, target_high) = _corners(boxes), _corners(target)
        shared = (torch.minimum(high, target_high) - torch.maximum(low, target_low)).clamp(min=0).prod(1)
        union = (high - low).prod(1) + (target_high - target_low).prod(1) - shared
        around = (torch.maximum(high, target_high) - torch.minimum(low, target_low)).prod(1)
        return 1 - shared / union + (around - union) / around


def _corners(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Return (x, y) of the low and of the high corner, each (N, 2)."""
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    return centre - half, centre + half
