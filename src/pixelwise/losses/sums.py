"""Weighted sums of losses."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from pixelwise.errors import UsageError
from pixelwise.losses.base import Loss, LossSettings
from pixelwise.losses.table import LOSSES, Losses
from pixelwise.losses.text import LossTerm, parse_loss


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


def make_loss(text: str, settings: LossSettings, losses: Losses = LOSSES) -> LossSum:
    """Build the sum of ``losses`` that ``text`` describes.

    Raises:
        UsageError: what :func:`~pixelwise.losses.text.parse_loss` refuses; a loss that cannot take this number of
            logits (one logit never goes through a softmax); class weights or label smoothing that no term would heed.

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
    return sum_of(terms, settings, losses)


def sum_of(terms: Iterable[LossTerm], settings: LossSettings, losses: Losses) -> LossSum:
    """Build a sum from terms that fit."""
    return LossSum(tuple((term.factor, _build(term, settings, losses)) for term in terms))


def _build(term: LossTerm, settings: LossSettings, losses: Losses) -> Loss:
    plain = losses[term.name](settings)
    return dataclasses.replace(plain, **dict(term.parameters))  # type: ignore[arg-type] # parsing has checked the names
