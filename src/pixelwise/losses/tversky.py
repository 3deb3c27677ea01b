"""Overlaps that weigh false alarms and misses differently.

Source:

Tversky: Salehi, Erdogmus and Gholipour, "Tversky loss function for image segmentation using 3D fully convolutional deep
networks", 2017, section 2.2, where alpha = 0.3 and beta = 0.7 were best::

    T_c = tp / (tp + alpha fp + beta fn)

Focal: Abraham and Khan, "A novel focal Tversky loss function with improved attention U-Net for lesion segmentation",
2019, section 2, where gamma = 4/3 was best::

    loss_c = (1 - T_c)^(1 / gamma)

F-beta: van Rijsbergen, "Information Retrieval", 1979, chapter 7, as the soft loss of the same counts::

    F_c = (1 + beta^2) tp / ((1 + beta^2) tp + fp + beta^2 fn)

See :mod:`~pixelwise.losses.overlap` for tp, fp, fn and the smoothing.

*Deviations*: Abraham and Khan's alpha belongs to the misses and their beta to the false alarms; here both losses name
them as Salehi et al. do. Their loss is the sum over the classes, here it is the mean.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from pixelwise.losses.overlap import OverlapLoss, SoftCounts
from pixelwise.losses.parameters import Range


@dataclass(frozen=True)
class Tversky(OverlapLoss):
    """One minus the Tversky index.

    Attributes:
        alpha: factor of false alarms.
        beta: factor of misses; with both 0.5 it is the Dice coefficient, with both 1 the Jaccard index.

    """

    alpha: Annotated[float, Range(0, is_open=True)] = 0.3
    beta: Annotated[float, Range(0, is_open=True)] = 0.7

    @property
    def factors(self) -> tuple[float, float, float]:
        """What is right, over that and the weighted errors."""
        return 1, self.alpha, self.beta


@dataclass(frozen=True)
class FocalTversky(Tversky):
    """One minus the Tversky index, to a power below 1 that keeps classes which are nearly right from being forgotten.

    Attributes:
        gamma: the inverse of the power.

    """

    gamma: Annotated[float, Range(1)] = 4 / 3

    def of_classes(self, counts: SoftCounts) -> Tensor:
        """Return the cost of each class, (K,)."""
        distance = super().of_classes(counts)
        is_wrong = distance > 0  # the power has no derivative at 0, where there is nothing left to learn
        return torch.where(is_wrong, torch.where(is_wrong, distance, 1.0) ** (1 / self.gamma), 0.0)


@dataclass(frozen=True)
class FBeta(OverlapLoss):
    """One minus the F score.

    Attributes:
        beta: how many times as much recall counts as precision; 1 is the Dice coefficient.

    """

    beta: Annotated[float, Range(0, is_open=True)] = 2.0

    @property
    def factors(self) -> tuple[float, float, float]:
        """The factors of tp, fp and fn."""
        return 1 + self.beta**2, 1, self.beta**2
