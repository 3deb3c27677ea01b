"""What losses share that are a weighted mean over positions."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pixelwise.losses.base import Loss, LossSettings, at_least_float32, weights_tensor


@dataclass(frozen=True)
class PositionLoss(Loss):
    """The sum of each position's cost over the sum of their weights: those of class and map multiplied."""

    heeds: ClassVar[frozenset[str]] = frozenset({"class_weights", "weight_map"})

    def __call__(self, logits: Tensor, target: Tensor, weight_map: Tensor | None = None) -> Tensor:
        """Return the cost; see :class:`~pixelwise.losses.base.Loss`."""
        cost, weight = self.of_positions(at_least_float32(logits), target)
        if weight_map is not None:
            weight_map = weight_map.to(cost.dtype)
            cost, weight = weight_map * cost, weight_map * weight
        total = weight.sum()
        return cost.sum() / torch.where(total > 0, total, 1.0)

    @abstractmethod
    def of_positions(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cost of each position times its weight, and its weight, each (N, ...); 0 where it is ignored."""


def class_weight_at(target: Tensor, settings: LossSettings, dtype: torch.dtype) -> Tensor:
    """Return the weight of each position's class, (N, ...); 0 where it is ignored."""
    counted = target != settings.ignore_index
    if settings.class_weights is None:
        return counted.to(dtype)
    weights = weights_tensor(settings.class_weights, target.device, dtype)
    return weights[torch.where(counted, target, 0).long()] * counted
