"""What a multi-label model says: the classes that a picture shows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.predict.prediction import Prediction, not_drawn, number_cells, probability_columns

BETWEEN_LABELS = ";"
"""Between the labels of a table's cell, as in the tables that are trained on."""


@dataclass(frozen=True, slots=True, eq=False)
class SetPrediction(Prediction):
    """The classes that one picture shows, and how probable each class is. ``print(prediction)`` shows the former."""

    classes: tuple[str, ...]
    probabilities: NDArray[np.float32]
    """(K,), 0..1 each, summing to anything, in the order of ``classes``."""
    thresholds: tuple[float, ...]
    """From which probability on each class counts as shown."""
    notes: tuple[str, ...] = ()
    """What was done to the picture that its reader should know, such as a conversion to grey."""

    @property
    def shown(self) -> NDArray[np.bool_]:
        """(K,) whether the picture shows each class."""
        return np.asarray(self.probabilities >= np.array(self.thresholds))

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes that it shows, the most probable first."""
        order = np.argsort(-self.probabilities, kind="stable")
        return tuple(self.classes[index] for index in order if self.shown[index])

    @classmethod
    def columns(cls, classes: tuple[str, ...]) -> list[str]:
        """Return the labels, and one column for the probability of each class."""
        return ["labels", *probability_columns(classes)]

    def cells(self) -> list[object]:
        """Return a row's cells."""
        return [BETWEEN_LABELS.join(self.labels), *number_cells(self.probabilities)]

    def counts(self) -> dict[str, int]:
        """One picture of each class that is shown."""
        return dict.fromkeys(self.labels, 1)

    def to_json(self) -> dict[str, Any]:
        """Return the labels and the probability of every class as plain JSON."""
        return {
            "labels": list(self.labels),
            "probabilities": dict(zip(self.classes, map(float, self.probabilities), strict=True)),
        }

    def overlay(self, image: str | Path | NDArray[Any], *, legend: bool = False) -> NDArray[np.uint8]:  # noqa: ARG002
        """Refuse: a class has no place in the picture.

        Raises:
            UsageError: always.

        """
        raise not_drawn()

    def __str__(self) -> str:
        by_name = dict(zip(self.classes, self.probabilities, strict=True))
        return ", ".join(f"{label} {by_name[label]:.1%}" for label in self.labels) or "no class"
