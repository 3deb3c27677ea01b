"""What every loss shares: its settings, its call and its rules.

Rules, for each loss of this package:

- ``logits`` are (N, 1, ...) for one sigmoid logit (the probability of class 1 of two), or (N, K, ...) for K >= 2
  softmax classes; ``target`` is (N, ...) with class indices of any integer type.
- Positions whose target is the ignore index add nothing to the loss, and a batch with nothing else costs exactly 0
  with a gradient of 0, so that an unlabelled crop cannot turn a run into NaN.
- A ``weight_map`` (N, ...) of numbers of 0 or more says how many times each position counts, in the losses that heed
  it: weight 2 is the same as the position standing there twice. The others take no notice of it.
- Half-precision logits are raised to float32 before anything is summed (float16 ends at 65504); float64 stays float64.
- One logit z and the two logits (0, z) describe the same two probabilities, and a loss that takes both gives both the
  same value.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from pixelwise.losses.parameters import check_parameters


@dataclass(frozen=True, kw_only=True, slots=True)
class LossSettings:
    """What a loss has to know of its task.

    Attributes:
        num_outputs: channels of the logits; 1 means one sigmoid logit for two classes.
        ignore_index: target value that no loss counts.
        class_weights: one factor per class, 0 or more; None weighs all alike.
        label_smoothing: share of the target's probability spread evenly over all classes, 0 <= share < 1 (Szegedy et
            al., "Rethinking the Inception Architecture", 2016, section 7).

    """

    num_outputs: int
    ignore_index: int
    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0


@dataclass(frozen=True)
class Loss(ABC):
    """A differentiable cost of logits against class indices, lower is better.

    Fields beyond ``settings`` are the loss's parameters (:mod:`~pixelwise.losses.parameters`).

    Raises:
        UsageError: a parameter out of its range.

    """

    heeds: ClassVar[frozenset[str]] = frozenset()
    """Which of ``class_weights``, ``label_smoothing`` and ``weight_map`` the loss uses; a setting that no term of a sum
    heeds is refused."""

    settings: LossSettings

    def __post_init__(self) -> None:
        check_parameters(self)

    @classmethod
    def refusal(cls, num_outputs: int) -> str:  # noqa: ARG003 - the general answer holds for any number
        """Say why this loss cannot be used with so many logits; empty when it can."""
        return ""

    @abstractmethod
    def __call__(self, logits: Tensor, target: Tensor, weight_map: Tensor | None = None) -> Tensor:
        """Return the cost as a scalar.

        Args:
            logits: (N, num_outputs, ...), any real value.
            target: (N, ...) integer class indices, or the ignore index.
            weight_map: (N, ...), how many times each position counts, 0 or more; None counts each once.

        """


class UnmappedLoss(Loss):
    """A loss that takes no notice of weight maps."""

    def __call__(self, logits: Tensor, target: Tensor, weight_map: Tensor | None = None) -> Tensor:  # noqa: ARG002 - said above
        """Return the cost; see :class:`Loss`."""
        return self.of_batch(at_least_float32(logits), target)

    @abstractmethod
    def of_batch(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the cost of a batch as a scalar; shapes as in :meth:`Loss.__call__`."""


def at_least_float32(logits: Tensor) -> Tensor:
    """Raise half precision to float32; leave float32 and float64 as they are."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def class_logits(logits: Tensor) -> Tensor:
    """Return the logits of a softmax over classes, (N, K, ...) with K >= 2, at least float32: one logit z as (0, z)."""
    logits = at_least_float32(logits)
    return torch.cat([torch.zeros_like(logits), logits], dim=1) if logits.shape[1] == 1 else logits


def one_hot(target: Tensor, num_classes: int) -> Tensor:
    """Return whether each position is of each class, (N, K, ...) bool; the ignore index is of none."""
    classes = torch.arange(num_classes, device=target.device).view(1, -1, *[1] * (target.ndim - 1))
    return target.unsqueeze(1) == classes


def class_mean(terms: Tensor, class_weights: tuple[float, ...] | None) -> Tensor:
    """Return the weighted mean over the classes, which are the first axis of ``terms``."""
    if class_weights is None:
        return terms.mean(0)
    weights = weights_tensor(class_weights, terms.device, terms.dtype)
    return torch.tensordot(weights, terms, 1) / weights.sum()


@lru_cache(maxsize=64)
def weights_tensor(weights: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return class weights as a tensor, copied to each device once and not once a step."""
    return torch.tensor(weights, device=device, dtype=dtype)
