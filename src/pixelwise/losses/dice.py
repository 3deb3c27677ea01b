"""Soft Dice loss: one minus the overlap of probabilities and truth.

Source: Milletari, Navab and Ahmadi, "V-Net", 2016, section 3, for the idea; Sudre et al., "Generalised Dice overlap",
2017, section 2.1 (two-class Dice loss DL2), for the form: sums without squares, and every class has a term, the
background too. Over the counted positions of the whole batch, with probability p and truth g in {0, 1}::

    loss = sum_c w[c] (1 - (2 sum p_c g_c + s) / (sum p_c + sum g_c + s)) / sum_c w[c]

The smoothing s is one pixel: a class that is absent from the batch then costs little when it is hardly predicted,
instead of 1 in any case. Class weights (0, 1, ...) leave the background out.
"""

from typing import ClassVar

import torch
from torch import Tensor

from pixelwise.losses.base import Loss, at_least_float32, weights_tensor

SMOOTHING_PX = 1.0


class SoftDice(Loss):
    """Weighted mean over the classes of 1 - soft Dice, pooled over the batch."""

    heeds: ClassVar[frozenset[str]] = frozenset({"class_weights"})

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the cost; see :class:`~pixelwise.losses.base.Loss`."""
        logits, target = at_least_float32(logits), target.unsqueeze(1)
        counted = target != self.settings.ignore_index
        if self.settings.num_outputs == 1:
            positive = logits.sigmoid()
            probabilities = torch.cat([1 - positive, positive], dim=1)
        else:
            probabilities = logits.softmax(1)
        classes = torch.arange(probabilities.shape[1], device=target.device).view(1, -1, *[1] * (target.ndim - 2))
        truth = target == classes  # (N, K, ...); false everywhere where the target is ignored
        everywhere = [axis for axis in range(truth.ndim) if axis != 1]
        overlap = torch.where(truth, probabilities, 0.0).sum(everywhere)
        size = torch.where(counted, probabilities, 0.0).sum(everywhere) + truth.sum(everywhere)
        terms = 1 - (2 * overlap + SMOOTHING_PX) / (size + SMOOTHING_PX)  # (K,)
        if self.settings.class_weights is None:
            return terms.mean()
        weights = weights_tensor(self.settings.class_weights, terms.device, terms.dtype)
        return (weights * terms).sum() / weights.sum()
