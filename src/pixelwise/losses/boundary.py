"""Boundary loss: probabilities weighed by the signed distance from the true border.

Source: Kervadec et al., "Boundary loss for highly unbalanced segmentation", 2019, section 2 (boundary loss)::

    loss = mean_i sum_c w[c] phi_c(i) p_i[c] / sum_c w[c]

where phi_c is the distance from the border of the true region of class c, negative inside, in pixels. It can be less
than 0, and hardly says anything where a class is absent; it is meant beside a loss of regions, such as
``dice+0.01*boundary``.

*Deviations*: the paper raises the factor during training; here it is fixed. It leaves the background out, which class
weights do here; of two classes both have the same gradient.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pixelwise.losses.base import class_logits, class_mean, one_hot
from pixelwise.losses.distances import signed_distances
from pixelwise.losses.position import PositionLoss


@dataclass(frozen=True)
class BoundaryLoss(PositionLoss):
    """Weighted mean over positions and classes of probability times signed distance; absent classes add nothing."""

    def of_positions(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return weighted costs and weights; see :class:`~pixelwise.losses.position.PositionLoss`."""
        probabilities = class_logits(logits).softmax(1)
        distances = signed_distances(one_hot(target, probabilities.shape[1]))
        counted = target != self.settings.ignore_index
        cost = class_mean((distances * probabilities).movedim(1, 0), self.settings.class_weights)
        return torch.where(counted, cost, 0.0), counted.to(cost.dtype)
