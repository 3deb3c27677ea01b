"""The losses by name, and their weighted sums: ``"ce"``, ``"ce+dice"``, ``"0.5*ce+dice"``.

A new loss is one file with one subclass of :class:`~pixelwise.losses.base.Loss`, and one line in the table of what it
is compared with.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from torch import Tensor

from pixelwise.errors import UsageError, suggest
from pixelwise.losses.base import Loss, LossSettings
from pixelwise.losses.binary_cross_entropy import BinaryCrossEntropy
from pixelwise.losses.boxes import BoxLoss, GeneralisedIoU, SmoothL1
from pixelwise.losses.cross_entropy import CrossEntropy
from pixelwise.losses.dice import SoftDice
from pixelwise.losses.set_cross_entropy import SetCrossEntropy

Losses = Mapping[str, type[Loss]]

LOSSES: Final[Losses] = {
    "ce": CrossEntropy,
    "bce": BinaryCrossEntropy,
    "dice": SoftDice,
}
"""Of classes that exclude each other."""
SET_LOSSES: Final[Losses] = {"bce": SetCrossEntropy}
"""Of classes any number of which may be shown."""
BOX_LOSSES: Final[Mapping[str, type[BoxLoss]]] = {"smooth_l1": SmoothL1, "giou": GeneralisedIoU}
"""Of one box."""


@dataclass(frozen=True, slots=True)
class LossTerm:
    """One summand as it was written: a factor and the name of a loss."""

    factor: float
    name: str


@dataclass(frozen=True, slots=True)
class LossSum:
    """A weighted sum of losses; callable like a single one."""

    terms: tuple[tuple[float, Loss], ...]

    @property
    def heeds(self) -> frozenset[str]:
        """What at least one term uses; see :attr:`Loss.heeds`."""
        return frozenset().union(*(loss.heeds for _, loss in self.terms))

    def __call__(self, logits: Tensor, target: Tensor, weight_map: Tensor | None = None) -> Tensor:
        """Return the sum as a scalar; shapes as in :meth:`Loss.__call__`."""
        (factor, loss), *others = self.terms
        total = factor * loss(logits, target, weight_map)
        for factor, loss in others:
            total = total + factor * loss(logits, target, weight_map)
        return total


def parse_loss(text: str, known: Collection[str] = LOSSES) -> tuple[LossTerm, ...]:
    """Read a sum of ``known`` losses such as ``"0.5*ce+dice"``; spaces do not matter.

    Raises:
        UsageError: an unknown name (with near misses), a factor that is not a positive number, a name given twice.

    """
    terms = tuple(_parse_term(part.strip(), text, known) for part in text.split("+"))
    names = [term.name for term in terms]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            f"loss {text!r} names {twice} more than once", expected="each loss once", do="Use one term with one factor"
        )
    return terms


def make_loss(text: str, settings: LossSettings, losses: Losses = LOSSES) -> LossSum:
    """Build the sum of ``losses`` that ``text`` describes.

    Raises:
        UsageError: what :func:`parse_loss` refuses; a loss that cannot take this number of logits (one logit never goes
            through a softmax); class weights or label smoothing that no term would heed.

    """
    terms = parse_loss(text, losses)
    for term in terms:
        refusal = losses[term.name].refusal(settings.num_outputs)
        if refusal:
            fitting = [name for name, loss in losses.items() if not loss.refusal(settings.num_outputs)]
            raise UsageError(
                f"loss {text!r} cannot use {term.name} with num_outputs={settings.num_outputs}: {refusal}",
                expected=f"a sum of {', '.join(fitting)}",
                do="Change the loss, or the form of the output (binary=sigmoid or softmax)",
            )
    given = {"class_weights": settings.class_weights is not None, "label_smoothing": settings.label_smoothing > 0}
    for option in (option for option, is_given in given.items() if is_given):
        if not any(option in losses[term.name].heeds for term in terms):
            heeding = [name for name, loss in losses.items() if option in loss.heeds]
            raise UsageError(
                f"loss {text!r} makes no use of {option}",
                expected=f"a sum with one of {', '.join(heeding)}",
                do=f"Add such a term, or leave {option} out",
            )
    return LossSum(tuple((term.factor, losses[term.name](settings)) for term in terms))


def _parse_term(part: str, text: str, known: Collection[str]) -> LossTerm:
    factor_text, star, name = part.rpartition("*")
    name = name.strip()
    if name not in known:
        came = f"loss {text!r} has an empty term" if not name else f"loss {text!r}: {name!r} is not a loss"
        first, *_, last = [*known] * 2
        example = first if first == last else f"{first}+{last} or 0.5*{first}+{last}"
        raise UsageError(came, expected=f"a sum such as {example}", do=suggest(name, known))
    factor = _parse_factor(factor_text.strip()) if star else 1.0
    if factor is None:
        raise UsageError(
            f"loss {text!r}: {factor_text.strip()!r} is not a factor",
            expected="a positive number",
            do=f"Write for example 0.5*{name}",
        )
    return LossTerm(factor, name)


def _parse_factor(text: str) -> float | None:
    try:
        factor = float(text)
    except ValueError:
        return None
    return factor if factor > 0 and math.isfinite(factor) else None
