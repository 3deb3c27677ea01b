"""Cross-entropy of the hardest positions only.

Source: Wu, Shen and van den Hengel, "Bridging Category-level and Instance-level Semantic Image Segmentation", 2016
(arXiv 1605.06885), online bootstrapping: only the pixels whose true class has the lowest probabilities are counted. The
number of them is given as a share of all, as in nnU-Net's top-k loss::

    loss = mean of -log p_i[y_i] over the hardest positions that make up a ``share`` of the counted positions' weight

with the weight of a position that of its class times that of the weight map. The last of the hardest counts with the
part of its weight that fits, so that nothing is rounded. With share = 1 it is the weighted cross-entropy.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from pixelwise.losses.base import Loss, class_logits
from pixelwise.losses.parameters import Range
from pixelwise.losses.position import class_weight_at


@dataclass(frozen=True)
class TopKCrossEntropy(Loss):
    """Weighted mean of the negative log probability of the true class over the hardest positions of the batch.

    Attributes:
        share: of the positions that are counted, more than 0 and at most 1.

    """

    heeds: ClassVar[frozenset[str]] = frozenset({"class_weights", "weight_map"})

    share: Annotated[float, Range(0, 1, is_open=True)] = 0.1

    def __call__(self, logits: Tensor, target: Tensor, weight_map: Tensor | None = None) -> Tensor:
        """Return the cost; see :class:`~pixelwise.losses.base.Loss`."""
        logits = class_logits(logits)
        true = torch.where(target == self.settings.ignore_index, 0, target).long().unsqueeze(1)
        cost = -logits.log_softmax(1).gather(1, true).flatten()
        weight = class_weight_at(target, self.settings, cost.dtype)
        if weight_map is not None:
            weight = weight * weight_map
        weight = weight.flatten()
        budget = self.share * weight.sum()
        hardest_first = cost.detach().argsort(descending=True)
        weight = weight[hardest_first]
        left = budget - (weight.cumsum(0) - weight)
        used = torch.minimum(weight, left.clamp(min=0))
        return (used * cost[hardest_first]).sum() / torch.where(budget > 0, budget, 1.0)
