"""Cross-entropy of K independent sigmoids: whether a picture shows each class.

Source: Bishop, "Pattern Recognition and Machine Learning", 2006, section 5.2, equation 5.23, of K separate binary
targets, here as a mean::

    loss = 1/(N K) sum_n sum_k [-w_k y'_nk log p_nk - (1 - y'_nk) log(1 - p_nk)],   p = sigmoid(logit)

with targets y in {0, 1}, spread by the label smoothing e to y' = (1 - e) y + e / 2, and the class weights w as weights
of the positives: a class that few pictures show counts more where it is shown.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from pixelwise.losses.base import UnmappedLoss, weights_tensor


@dataclass(frozen=True)
class SetCrossEntropy(UnmappedLoss):
    """Mean over pictures and classes of the negative log probability of what is true of the class."""

    heeds: ClassVar[frozenset[str]] = frozenset({"class_weights", "label_smoothing"})

    def of_batch(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the cost as a scalar.

        Args:
            logits: (N, K).
            target: (N, K), 1 where the picture shows the class, else 0.

        """
        spread = self.settings.label_smoothing
        target = target.to(logits.dtype) * (1 - spread) + spread / 2
        weights = self.settings.class_weights
        positive = None if weights is None else weights_tensor(weights, logits.device, logits.dtype)
        return F.binary_cross_entropy_with_logits(logits, target, pos_weight=positive)
