"""Running scores of strings."""

from collections.abc import Callable

import torch
from torch import Tensor

from pixelwise.losses import NO_CHARACTER
from pixelwise.metrics import edit_distance
from pixelwise.tasks.meter import Meter, refuse_nothing

Reader = Callable[[Tensor], list[list[int]]]
"""Takes the logits of N pictures; returns their strings as class indices."""


class StringMeter(Meter):
    """Shares of strings that are right to the last character, and of characters that need no correction.

    Args:
        read: gives the strings that count.
        read_greedily: gives those that every window taken for itself would give, for comparison.

    """

    def __init__(self, read: Reader, read_greedily: Reader) -> None:
        self._read, self._read_greedily = read, read_greedily
        names = ("pictures", "exact", "exact_greedy", "characters", "errors")
        self._state = {name: torch.zeros((), dtype=torch.int64) for name in names}

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Count a batch of logits (N, T, K + 2, K + 1) and strings (N, L)."""
        truth = [row[row != NO_CHARACTER].tolist() for row in target.cpu()]
        found, greedy = self._read(logits), self._read_greedily(logits)
        counts = {
            "pictures": len(truth),
            "exact": sum(own == other for own, other in zip(truth, found, strict=True)),
            "exact_greedy": sum(own == other for own, other in zip(truth, greedy, strict=True)),
            "characters": sum(map(len, truth)),
            "errors": sum(edit_distance(own, other) for own, other in zip(truth, found, strict=True)),
        }
        for name, count in counts.items():
            self._add(name, torch.tensor(count, device=logits.device))

    def scores(self) -> dict[str, float]:
        """Return exact_string, character_accuracy (1 less the error rate, at least 0) and exact_string_greedy."""
        state = {name: int(tensor) for name, tensor in self._state.items()}
        refuse_nothing(state["pictures"])
        return {
            "exact_string": state["exact"] / state["pictures"],
            "character_accuracy": max(0.0, 1 - state["errors"] / state["characters"]),
            "exact_string_greedy": state["exact_greedy"] / state["pictures"],
        }
