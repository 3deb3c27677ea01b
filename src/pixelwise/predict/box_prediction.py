"""What a localisation model says: a class, and the box of its object."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.boxes import Box
from pixelwise.data.task_names import BOX_COLUMNS
from pixelwise.predict.overlay import display_rgb, draw_box, with_captions
from pixelwise.predict.palette import distinct_colours
from pixelwise.predict.prediction import Prediction, number_cells, picture_of, probability_columns


@dataclass(frozen=True, slots=True, eq=False)
class BoxPrediction(Prediction):
    """The class and the box of one picture's object."""

    is_drawn: ClassVar[bool] = True

    classes: tuple[str, ...]
    probabilities: NDArray[np.float32]
    """(K,), 0..1, summing to 1, in the order of ``classes``."""
    box: Box
    """x_min, y_min, x_max, y_max in pixels of the picture, within its edges (0, 0, width, height)."""
    notes: tuple[str, ...] = ()
    """What was done to the picture that its reader should know, such as a conversion to grey."""

    @property
    def index(self) -> int:
        """Index of the most probable class."""
        return int(self.probabilities.argmax())

    @property
    def label(self) -> str:
        """Name of the most probable class."""
        return self.classes[self.index]

    @property
    def probability(self) -> float:
        """Probability of the most probable class."""
        return float(self.probabilities[self.index])

    @classmethod
    def columns(cls, classes: tuple[str, ...]) -> list[str]:
        """Return label, probability, the box in pixels, and one column for the probability of each class."""
        return ["label", "probability", *BOX_COLUMNS, *probability_columns(classes)]

    def cells(self) -> list[object]:
        """Return a row's cells."""
        edges = [f"{edge:.2f}" for edge in self.box]
        return [self.label, *number_cells([self.probability]), *edges, *number_cells(self.probabilities)]

    def counts(self) -> dict[str, int]:
        """One picture of the most probable class."""
        return {self.label: 1}

    def to_json(self) -> dict[str, Any]:
        """Return label, probability, box in pixels and the probability of every class as plain JSON."""
        return {
            "label": self.label,
            "probability": self.probability,
            "box_px": dict(zip(BOX_COLUMNS, map(float, self.box), strict=True)),
            "probabilities": dict(zip(self.classes, map(float, self.probabilities), strict=True)),
        }

    def overlay(self, image: str | Path | NDArray[Any], *, legend: bool = False) -> NDArray[np.uint8]:
        """Draw the box over its picture, with label and probability below it where a legend is wanted.

        Raises:
            ImageError: the picture cannot be read.

        """
        red, green, blue = distinct_colours(len(self.classes))[self.index].tolist()
        drawn = draw_box(display_rgb(picture_of(image)), self.box, (red, green, blue))
        return with_captions(drawn, [(str(self), (red, green, blue))]) if legend else drawn

    def __str__(self) -> str:
        x_min, y_min, x_max, y_max = self.box
        return f"{self.label} {self.probability:.1%} at x {x_min:.0f} to {x_max:.0f}, y {y_min:.0f} to {y_max:.0f}"
