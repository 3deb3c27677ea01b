"""What losses share that compare regions by their overlap: soft counts of right and wrong positions, class by class.

With probability p_c, truth g_c in {0, 1} and weight u of each counted position of the whole batch::

    tp_c = sum u p_c g_c        fp_c = sum u p_c^e (1 - g_c)        fn_c = sum u (1 - p_c)^e g_c

The exponent e is 1, or 2 for the form with squares, as sum p^2 + sum g^2 - 2 sum p g = sum (p - g)^2. Each class costs
one minus its overlap::

    1 - (a tp + s) / (a tp + b fp + c fn + s) = (b fp + c fn) / (a tp + b fp + c fn + s)

where a, b and c make the kind of overlap, and the smoothing s is one pixel: a class that is absent from the batch then
costs little when it is hardly predicted, instead of 1 in any case. Every class has a term, the background too; class
weights (0, 1, ...) leave it out.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pixelwise.losses.base import Loss, class_logits, class_mean, one_hot

SMOOTHING_PX = 1.0


@dataclass(frozen=True, slots=True)
class SoftCounts:
    """Soft counts of positions, (K,) each: of the class and said so, wrongly said so, and missed."""

    right: Tensor
    wrong: Tensor
    missed: Tensor


@dataclass(frozen=True)
class OverlapLoss(Loss):
    """Weighted mean over the classes of one minus their overlap, pooled over the batch."""

    heeds: ClassVar[frozenset[str]] = frozenset({"class_weights", "weight_map"})
    exponent: ClassVar[int] = 1
    """Of the probabilities in the counts of errors."""

    @property
    @abstractmethod
    def factors(self) -> tuple[float, float, float]:
        """Factors a, b, c of the counts of right, wrong and missed positions."""

    def __call__(self, logits: Tensor, target: Tensor, weight_map: Tensor | None = None) -> Tensor:
        """Return the cost; see :class:`~pixelwise.losses.base.Loss`."""
        probabilities = class_logits(logits).softmax(1)
        weight = (target != self.settings.ignore_index).to(probabilities.dtype)
        if weight_map is not None:
            weight = weight * weight_map
        truth = one_hot(target, probabilities.shape[1])
        right = torch.where(truth, probabilities, 0.0)
        wrong = (probabilities - right) ** self.exponent
        missed = torch.where(truth, 1 - probabilities, 0.0) ** self.exponent
        everywhere = [axis for axis in range(truth.ndim) if axis != 1]
        return self.of_counts(
            SoftCounts(*((weight.unsqueeze(1) * each).sum(everywhere) for each in (right, wrong, missed)))
        )

    def of_counts(self, counts: SoftCounts) -> Tensor:
        """Return the cost of all classes together as a scalar."""
        return class_mean(self.of_classes(counts), self.settings.class_weights)

    def of_classes(self, counts: SoftCounts) -> Tensor:
        """Return one minus the overlap of each class, (K,)."""
        of_right, of_wrong, of_missed = self.factors
        errors = of_wrong * counts.wrong + of_missed * counts.missed
        return errors / (of_right * counts.right + errors + SMOOTHING_PX)
