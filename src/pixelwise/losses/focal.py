"""Focal loss: cross-entropy in which positions that are already right count little.

Source: Lin et al., "Focal Loss for Dense Object Detection", 2017, sections 3.1 and 3.2, equations 4 and 5::

    loss = sum_i u_i w[y_i] (1 - p_i[y_i])^gamma (-log p_i[y_i]) / sum_i u_i w[y_i]

with class weights w (the paper's alpha) and weight map u. With gamma = 0 it is the weighted cross-entropy.

*Deviations*: the paper divides by the number of anchors that show an object; a picture's pixels have a mean instead.

The logarithms of p and of 1 - p both come from the logits: neither power nor gradient is lost where p rounds to 1.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from pixelwise.losses.base import class_logits
from pixelwise.losses.parameters import Range
from pixelwise.losses.position import PositionLoss, class_weight_at


@dataclass(frozen=True)
class Focal(PositionLoss):
    """Weighted mean of the focused negative log probability of the true class.

    Attributes:
        gamma: how fast a position's cost falls with its probability.

    """

    gamma: Annotated[float, Range(0)] = 2.0

    def of_positions(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return weighted costs and weights; see :class:`~pixelwise.losses.position.PositionLoss`."""
        logits = class_logits(logits)
        true = torch.where(target == self.settings.ignore_index, 0, target).long().unsqueeze(1)
        whole = logits.logsumexp(1)
        log_right = logits.gather(1, true).squeeze(1) - whole
        log_wrong = logits.scatter(1, true, -torch.inf).logsumexp(1) - whole
        weight = class_weight_at(target, self.settings, logits.dtype)
        return -weight * (self.gamma * log_wrong).exp() * log_right, weight
