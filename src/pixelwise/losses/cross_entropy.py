"""Cross-entropy of a softmax over K classes.

Source: Ronneberger, Fischer and Brox, "U-Net", 2015, section 3, equation 1 (energy summed over the pixels, here their
mean); class weights and label smoothing (Szegedy et al. 2016, section 7) enter as in PyTorch's ``cross_entropy``::

    loss = sum_i [(1 - e) w[y_i] (-log p_i[y_i]) + (e / K) sum_c w[c] (-log p_i[c])] / sum_i w[y_i]

over all counted positions i, with smoothing e and weights w.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelwise.losses.base import Loss, at_least_float32, weights_tensor


class CrossEntropy(Loss):
    """Weighted mean of the negative log probability of the true class."""

    heeds: ClassVar[frozenset[str]] = frozenset({"class_weights", "label_smoothing"})

    @classmethod
    def refusal(cls, num_outputs: int) -> str:
        """Refuse one logit: its softmax is 1 whatever it is, and the gradient is 0."""
        if num_outputs >= 2:
            return ""
        return "the softmax of a single logit is always 1 and its gradient always 0, so nothing would be learned"

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the cost; see :class:`~pixelwise.losses.base.Loss`."""
        settings = self.settings
        logits, target = at_least_float32(logits), target.long()
        counted = target != settings.ignore_index
        weights = None
        if settings.class_weights is None:
            total = counted.sum().to(logits.dtype)
        else:
            weights = weights_tensor(settings.class_weights, logits.device, logits.dtype)
            total = (weights[target.where(counted, 0)] * counted).sum()
        cost = F.cross_entropy(
            logits,
            target,
            weight=weights,
            ignore_index=settings.ignore_index,
            reduction="sum",
            label_smoothing=settings.label_smoothing,
        )
        return cost / torch.where(total > 0, total, 1.0)
