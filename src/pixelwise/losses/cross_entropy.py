"""Cross-entropy of a softmax over K classes.

Source: Ronneberger, Fischer and Brox, "U-Net", 2015, section 3, equation 1 (energy summed over the pixels, here their
weighted mean), with its weight map u; class weights and label smoothing (Szegedy et al. 2016, section 7) enter as in
PyTorch's ``cross_entropy``::

    loss = sum_i u_i [(1 - e) w[y_i] (-log p_i[y_i]) + (e / K) sum_c w[c] (-log p_i[c])] / sum_i u_i w[y_i]

over all counted positions i, with smoothing e and weights w.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from pixelwise.losses.base import weights_tensor
from pixelwise.losses.position import PositionLoss, class_weight_at


@dataclass(frozen=True)
class CrossEntropy(PositionLoss):
    """Weighted mean of the negative log probability of the true class."""

    heeds: ClassVar[frozenset[str]] = frozenset({"class_weights", "label_smoothing", "weight_map"})

    @classmethod
    def refusal(cls, num_outputs: int) -> str:
        """Refuse one logit: its softmax is 1 whatever it is, and the gradient is 0."""
        if num_outputs >= 2:
            return ""
        return "the softmax of a single logit is always 1 and its gradient always 0, so nothing would be learned"

    def of_positions(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return weighted costs and weights; see :class:`~pixelwise.losses.position.PositionLoss`."""
        settings, weights = self.settings, None
        if settings.class_weights is not None:
            weights = weights_tensor(settings.class_weights, logits.device, logits.dtype)
        cost = F.cross_entropy(
            logits,
            target.long(),
            weight=weights,
            ignore_index=settings.ignore_index,
            reduction="none",
            label_smoothing=settings.label_smoothing,
        )
        return cost, class_weight_at(target, settings, cost.dtype)
