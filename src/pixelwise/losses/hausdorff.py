"""Hausdorff-distance loss: squared errors weighed by their distance from the borders.

Source: Karimi and Salcudean, "Reducing the Hausdorff Distance in Medical Image Segmentation with Convolutional Neural
Networks", 2019, section II (loss based on distance transforms, and its one-sided form)::

    loss = mean_i sum_c w[c] (p_i[c] - g_i[c])^2 (d_g(i)^alpha + d_p(i)^alpha) / sum_c w[c]

where d_g is the distance of a pixel from the border of the true region of class c, and d_p that from the border of the
region where its probability is more than 0.5, which is left out with ``sides=1``. A region that is empty or full has no
border, and distances of 0.

*Deviations*: the paper sets the factor anew after each epoch so that this loss weighs as much as a Dice loss beside it;
here it is fixed. Distances are in pixels, so that ``dice+0.001*hausdorff`` is a scale to begin with.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from pixelwise.losses.base import class_logits, class_mean, one_hot
from pixelwise.losses.distances import signed_distances
from pixelwise.losses.parameters import Range
from pixelwise.losses.position import PositionLoss


@dataclass(frozen=True)
class HausdorffLoss(PositionLoss):
    """Weighted mean over positions and classes of squared error times a power of the distance.

    Attributes:
        alpha: the power of the distances.
        sides: 2 for the borders of truth and prediction, 1 for that of the truth only, which takes half the time.

    """

    alpha: Annotated[float, Range(0, is_open=True)] = 2.0
    sides: Annotated[int, Range(1, 2)] = 2

    def of_positions(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return weighted costs and weights; see :class:`~pixelwise.losses.position.PositionLoss`."""
        probabilities = class_logits(logits).softmax(1)
        truth = one_hot(target, probabilities.shape[1])
        counted = target != self.settings.ignore_index
        distance = signed_distances(truth).abs() ** self.alpha
        if self.sides > 1:
            distance = distance + signed_distances((probabilities > 0.5) & counted.unsqueeze(1)).abs() ** self.alpha
        errors = (probabilities - truth.to(probabilities.dtype)).square()
        cost = class_mean((errors * distance).movedim(1, 0), self.settings.class_weights)
        return torch.where(counted, cost, 0.0), counted.to(cost.dtype)
