"""What a detecting model says: the boxes of a picture's objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.boxes import Box
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.task_names import BOX_COLUMNS
from pixelwise.predict.outlines import Shape
from pixelwise.predict.overlay import display_rgb, draw_box, with_captions
from pixelwise.predict.palette import distinct_colours
from pixelwise.predict.prediction import Prediction, picture_of

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Detected:
    """One object."""

    index: int
    """Of its class."""
    label: str
    probability: float
    """0..1."""
    box: Box
    """x_min, y_min, x_max, y_max in pixels of the picture, within its edges (0, 0, width, height)."""


@dataclass(frozen=True, slots=True, eq=False)
class DetectionPrediction(Prediction):
    """The boxes of one picture's objects. ``print(prediction)`` counts them."""

    table: ClassVar[str] = "counts"
    is_drawn: ClassVar[bool] = True
    has_shapes: ClassVar[bool] = True

    classes: tuple[str, ...]
    candidates: tuple[Detected, ...]
    """Every detection, the most probable first, those below the thresholds as well."""
    thresholds: tuple[float, ...]
    """From which probability on an object of each class counts as found."""
    size_px: tuple[int, int]
    """Height and width of the picture."""
    probabilities: None = None
    notes: tuple[str, ...] = ()
    """What was done to the picture that its reader should know, such as a conversion to grey."""

    @property
    def objects(self) -> tuple[Detected, ...]:
        """Those that count as found, the most probable first."""
        return tuple(one for one in self.candidates if one.probability >= self.thresholds[one.index])

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The boxes that count as found, as outlines."""
        return tuple(_shape(number, one) for number, one in enumerate(self.objects, start=1))

    @classmethod
    def outlined_classes(cls, classes: Sequence[str]) -> list[int]:
        """Return the indices of all classes: none is background."""
        return list(range(len(classes)))

    @classmethod
    def columns(cls, classes: tuple[str, ...]) -> list[str]:
        """Return the number of objects of each class, and all their boxes."""
        return [*(f"count({name})" for name in classes), "boxes"]

    def cells(self) -> list[object]:
        """Return a row's cells; boxes as label, probability and edges, with ; between them."""
        boxes = (f"{one.label} {one.probability:.4f} " + _edges(one.box) for one in self.objects)
        return [*self.counts().values(), "; ".join(boxes)]

    def counts(self) -> dict[str, int]:
        """The number of objects of each class."""
        return {name: sum(one.index == index for one in self.objects) for index, name in enumerate(self.classes)}

    def to_json(self) -> dict[str, Any]:
        """Return the objects with label, probability and box in pixels as plain JSON."""
        return {
            "objects": [
                {
                    "label": one.label,
                    "probability": one.probability,
                    "box_px": dict(zip(BOX_COLUMNS, map(float, one.box), strict=True)),
                }
                for one in self.objects
            ]
        }

    def overlay(self, image: str | Path | NDArray[Any], *, legend: bool = False) -> NDArray[np.uint8]:
        """Draw the boxes over their picture, with the number of each class below it where a legend is wanted.

        Raises:
            ImageError: the picture cannot be read.

        """
        colours = [_rgb(colour) for colour in distinct_colours(len(self.classes))]
        drawn = display_rgb(picture_of(image))
        for one in reversed(self.objects):
            drawn = draw_box(drawn, one.box, colours[one.index])
        if not legend:
            return drawn
        counts = enumerate(self.counts().items())
        return with_captions(drawn, [(f"{name}: {count}", colours[index]) for index, (name, count) in counts])

    def __str__(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in self.counts().items() if count) or "no object"


def boxes_in_picture(
    found: NDArray[np.float32], preprocess: Preprocess, original: tuple[int, int]
) -> NDArray[np.float32]:
    """Bring boxes from the network's view to the picture, cut to its edges; those wholly in the padding fall away.

    Args:
        found: (n, 6) of :func:`pixelwise.tasks.centres.find_objects`.
        preprocess: what made the view.
        original: height and width of the picture.

    """
    height, width = original
    (rows, columns), (top, left) = preprocess.placement(height, width)
    placed = found.astype(np.float32)
    placed[:, 2::2] = ((placed[:, 2::2] + left) * (width / columns)).clip(0, width)
    placed[:, 3::2] = ((placed[:, 3::2] + top) * (height / rows)).clip(0, height)
    return placed[(placed[:, 4] > placed[:, 2]) & (placed[:, 5] > placed[:, 3])]


def _shape(number: int, one: Detected) -> Shape:
    x_min, y_min, x_max, y_max = one.box
    ring = [(x_min, y_min), (x_max, y_min), (x_max, y_max), (x_min, y_max)]
    return Shape(number, one.index, [ring], (x_max - x_min) * (y_max - y_min), one.box, one.probability)


def _edges(box: Box) -> str:
    return " ".join(f"{edge:.2f}" for edge in box)


def _rgb(colour: NDArray[np.uint8]) -> Colour:
    red, green, blue = colour.tolist()
    return red, green, blue
