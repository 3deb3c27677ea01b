"""Lovász losses: the convex extension of one minus the Jaccard index.

Source: Berman, Rannen Triki and Blaschko, "The Lovász-Softmax loss", 2018, definition 1 and sections 3.1 (hinge) and
3.2 (softmax). One minus the Jaccard index of a class is a submodular function Delta of the set of mispredicted
positions, and its Lovász extension at errors m, sorted to m[1] >= m[2] >= ..., is::

    loss = sum_i m[i] (Delta({1..i}) - Delta({1..i-1}))

At errors of 0 and 1 it is one minus the Jaccard index itself. Positions of the whole batch are sorted together.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pixelwise.losses.base import UnmappedLoss, class_logits, one_hot, weights_tensor


@dataclass(frozen=True)
class LovaszHinge(UnmappedLoss):
    """The extension at the hinge errors max(0, 1 - z s) of two classes: logit z, s = 1 for class 1, else -1."""

    @classmethod
    def refusal(cls, num_outputs: int) -> str:
        """Refuse more than two classes."""
        if num_outputs <= 2:
            return ""
        return f"it tells two classes apart, and here are {num_outputs}"

    def of_batch(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the cost; see :class:`~pixelwise.losses.base.Loss`."""
        negative, positive = class_logits(logits).unbind(1)
        counted = target != self.settings.ignore_index
        truth = target[counted] == 1
        errors = 1 - (positive - negative)[counted] * torch.where(truth, 1.0, -1.0)
        return lovasz_extension(errors.relu().unsqueeze(1), truth.unsqueeze(1)).squeeze(0)


@dataclass(frozen=True)
class LovaszSoftmax(UnmappedLoss):
    """Weighted mean, over the classes that the batch shows, of the extension at |truth - probability|."""

    heeds: ClassVar[frozenset[str]] = frozenset({"class_weights"})

    def of_batch(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the cost; see :class:`~pixelwise.losses.base.Loss`."""
        probabilities = class_logits(logits).softmax(1)
        classes = probabilities.shape[1]
        counted = target != self.settings.ignore_index
        truth = one_hot(target[counted], classes)
        costs = lovasz_extension((truth.to(probabilities.dtype) - probabilities.movedim(1, -1)[counted]).abs(), truth)
        weights = weights_tensor(self.settings.class_weights or (1.0,) * classes, costs.device, costs.dtype)
        weights = weights * truth.any(0)
        total = weights.sum()
        return (weights * costs).sum() / torch.where(total > 0, total, 1.0)


def lovasz_extension(errors: Tensor, truth: Tensor) -> Tensor:
    """Return the Lovász extension of one minus the Jaccard index for each class, (K,).

    Args:
        errors: (positions, K), 0 or more.
        truth: (positions, K) bool, whether the position is of the class.

    """
    errors, order = errors.sort(0, descending=True)
    truth = truth.gather(0, order)
    size = truth.sum(0)
    # Of the truth without mispredictions, and with false alarms, once the first i positions are mispredicted.
    intersection = (size - truth.cumsum(0)).to(errors.dtype)
    union = (size + (~truth).cumsum(0)).to(errors.dtype)
    # The difference of 1 - intersection / union from i - 1 to i, without cancellation: a miss takes one from the
    # intersection, a false alarm adds one to the union. The first false alarm of an absent class takes it from 0 to 1.
    is_step_of_one = truth | (union == 1)
    steps = torch.where(is_step_of_one, 1 / union, intersection / union / (union - 1).clamp(min=1))
    return (errors * steps).sum(0)
