"""Cross-entropy of one sigmoid logit.

Source: Goodfellow, Bengio and Courville, "Deep Learning", 2016, section 6.2.2.2: with p = sigmoid(z), the cost of a
position is -y log p - (1 - y) log(1 - p). Class weights, weight map and label smoothing enter so that one logit z costs
exactly what :mod:`~pixelwise.losses.cross_entropy` makes of the two logits (0, z).
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from pixelwise.losses.position import PositionLoss


@dataclass(frozen=True)
class BinaryCrossEntropy(PositionLoss):
    """Weighted mean of the negative log probability of the true one of two classes."""

    heeds: ClassVar[frozenset[str]] = frozenset({"class_weights", "label_smoothing", "weight_map"})

    @classmethod
    def refusal(cls, num_outputs: int) -> str:
        """Refuse several logits: they go through one softmax, not through a sigmoid each."""
        if num_outputs == 1:
            return ""
        return (
            f"it takes one sigmoid logit for two classes, and here are {num_outputs} logits of classes that exclude "
            "each other"
        )

    def of_positions(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return weighted costs and weights; see :class:`~pixelwise.losses.position.PositionLoss`."""
        logits = logits.squeeze(1)
        negative, positive = self.settings.class_weights or (1.0, 1.0)
        spread = self.settings.label_smoothing / 2
        is_positive, is_negative = (target == 1).to(logits.dtype), (target == 0).to(logits.dtype)
        # factors of -log p and of -log(1 - p); both are 0 where the target is ignored
        towards_one = positive * ((1 - spread) * is_positive + spread * is_negative)
        towards_zero = negative * ((1 - spread) * is_negative + spread * is_positive)
        # -log(1 - sigmoid(z)) = z - log sigmoid(z): one stable function serves both sides
        cost = towards_zero * logits - (towards_one + towards_zero) * F.logsigmoid(logits)
        return cost, positive * is_positive + negative * is_negative
