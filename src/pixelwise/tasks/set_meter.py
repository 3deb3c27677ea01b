"""Running scores of multi-label classification."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pixelwise.metrics import ClassCounts, average_precision_of_counts, mean_defined
from pixelwise.tasks.meter import Meter, refuse_nothing

LEVELS = 2048
"""Steps in which logits are told apart: counts per step add up over processes, which ranks of pictures do not."""
SPAN = 16.0
"""Logits beyond this size (probabilities within 1e-7 of 0 or 1) fall into the outermost step."""


class SetMeter(Meter):
    """Mean average precision, mean F1 of the classes, and the share of pictures whose set is right.

    The average precision is that of logits rounded to 1/64, so pictures closer than that enter together. A logit that
    is not a number ranks lowest.

    Args:
        cutoffs: probability of each class from which it counts as shown.

    """

    def __init__(self, cutoffs: Sequence[float]) -> None:
        self.cutoffs = tuple(cutoffs)
        size = len(self.cutoffs)
        counts = {name: torch.zeros(size, LEVELS, dtype=torch.int64) for name in ("positives", "everything")}
        per_class = {name: torch.zeros(size, dtype=torch.int64) for name in ("correct", "predicted")}
        single = {name: torch.zeros((), dtype=torch.int64) for name in ("exact", "pictures")}
        self._state = counts | per_class | single

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Count a batch of logits (N, K) and sets (N, K)."""
        logits, shown = logits.float(), target > 0
        bounded = logits.nan_to_num(nan=-SPAN).clamp(-SPAN, SPAN)  # as a float: an infinite one has no whole number
        levels = ((SPAN - bounded) * (LEVELS / (2 * SPAN))).long().clamp(max=LEVELS - 1)  # the highest logit first
        places = levels + LEVELS * torch.arange(logits.shape[1], device=logits.device)
        for name, counted in (("positives", shown), ("everything", torch.ones_like(shown))):
            counts = torch.zeros(logits.shape[1] * LEVELS, dtype=torch.int64, device=logits.device)
            self._add(name, counts.scatter_add_(0, places.flatten(), counted.flatten().long()).view(-1, LEVELS))
        predicted = torch.sigmoid(logits) >= torch.tensor(self.cutoffs, device=logits.device)
        self._add("correct", (predicted & shown).sum(0))
        self._add("predicted", predicted.sum(0))
        self._add("exact", (predicted == shown).all(1).sum())
        self._add("pictures", torch.tensor(len(logits), device=logits.device))

    def scores(self) -> dict[str, float]:
        """Return map, macro_f1 and exact_match; without map where no picture shows any class."""
        state = {name: tensor.cpu().numpy() for name, tensor in self._state.items()}
        refuse_nothing(int(state["pictures"]))
        truth = state["positives"].sum(1)
        precision = mean_defined(average_precision_of_counts(state["positives"], state["everything"]))
        f1 = mean_defined(ClassCounts(state["correct"], truth, state["predicted"]).f1())
        scores = {"map": precision, "macro_f1": f1, "exact_match": state["exact"] / state["pictures"]}
        return {name: float(value) for name, value in scores.items() if value == value}  # noqa: PLR0124 - not NaN
