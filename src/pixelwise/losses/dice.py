"""Soft Dice losses: with and without squares, and generalised.

Source:

Without squares: Sudre et al., "Generalised Dice overlap", 2017, section 2.1 (two-class Dice loss DL2)::

    Dice_c = 2 sum p_c g_c / (sum p_c + sum g_c)

With squares: Milletari, Navab and Ahmadi, "V-Net", 2016, section 3, equation of D::

    Dice_c = 2 sum p_c g_c / (sum p_c^2 + sum g_c^2)

Generalised: Sudre et al. 2017, section 2.1 (GDL), all classes in one fraction, each weighed by its size::

    loss = 1 - 2 sum_c v_c sum p_c g_c / sum_c v_c (sum p_c + sum g_c),    v_c = 1 / (sum g_c)^2

*Deviations*: V-Net's is of the foreground only; here each class has its term (see :mod:`~pixelwise.losses.overlap`). A
class that is absent from the batch has the largest of the other weights in place of an infinite one.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pixelwise.losses.overlap import OverlapLoss, SoftCounts


@dataclass(frozen=True)
class SoftDice(OverlapLoss):
    """One minus the soft Dice coefficient, without squares."""

    @property
    def factors(self) -> tuple[float, float, float]:
        """Twice what is right, over that and all errors."""
        return 2, 1, 1


@dataclass(frozen=True)
class SquaredDice(SoftDice):
    """One minus the soft Dice coefficient, with squares in the denominator."""

    exponent: ClassVar[int] = 2


@dataclass(frozen=True)
class GeneralisedDice(SoftDice):
    """One minus the Dice coefficient of all classes together, each weighed by its inverse squared size."""

    heeds: ClassVar[frozenset[str]] = frozenset({"weight_map"})

    def of_counts(self, counts: SoftCounts) -> Tensor:
        """Return the cost of all classes together as a scalar."""
        size = counts.right.detach() + counts.missed.detach()
        is_present = size > 0
        smallest = torch.where(is_present, size, torch.inf).min()
        # relative to the smallest class present, for which the weight is 1: squares of sizes leave float32's range
        weight = torch.where(is_present, smallest / size, 1.0).square()
        errors = (weight * (counts.wrong + counts.missed)).sum()
        whole = errors + 2 * (weight * counts.right).sum()
        return errors / torch.where(whole > 0, whole, 1.0)
