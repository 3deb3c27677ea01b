"""What a sequence model says: the string that a picture shows."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.predict.prediction import Prediction, not_drawn, number_cells


@dataclass(frozen=True, slots=True, eq=False)
class TextPrediction(Prediction):
    """The string of one picture. ``print(prediction)`` shows it with its probability."""

    classes: tuple[str, ...]
    """The characters; a window may also show none, the blank."""
    probabilities: NDArray[np.float32]
    """(K + 1, T), 0..1: of each character, and last of the blank, in each of T windows from left to right."""
    characters: tuple[int, ...]
    """The string that the best path of the chain collapses to, as indices of ``classes``."""
    greedy: tuple[int, ...]
    """The string of the windows each taken for itself, likewise."""
    probability: float
    """Of the string, 0..1: summed over all places in the picture where it may stand."""
    notes: tuple[str, ...] = ()
    """What was done to the picture that its reader should know, such as a conversion to grey."""

    @property
    def text(self) -> str:
        """The string; empty where nothing was found."""
        return "".join(self.classes[index] for index in self.characters)

    @property
    def greedy_text(self) -> str:
        """The string of the windows each taken for itself."""
        return "".join(self.classes[index] for index in self.greedy)

    @classmethod
    def columns(cls, classes: tuple[str, ...]) -> list[str]:  # noqa: ARG003 - the same for any characters
        """Return the text and its probability."""
        return ["text", "probability"]

    def cells(self) -> list[object]:
        """Return a row's cells."""
        return [self.text, *number_cells([self.probability])]

    def counts(self) -> dict[str, int]:
        """How often each character was read."""
        return dict(Counter(self.text))

    def to_json(self) -> dict[str, Any]:
        """Return the text, its probability and the greedy text as plain JSON."""
        return {"text": self.text, "probability": self.probability, "greedy_text": self.greedy_text}

    def overlay(self, image: str | Path | NDArray[Any], *, legend: bool = False) -> NDArray[np.uint8]:  # noqa: ARG002
        """Refuse: nothing says where in the picture a character stands.

        Raises:
            UsageError: always.

        """
        raise not_drawn()

    def __str__(self) -> str:
        return f"{self.text or 'nothing'} {self.probability:.1%}"
