"""What a prediction is, for each task: what it says, how it is written down, and how it is drawn."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.images import read_image
from pixelwise.data.masks import IGNORE
from pixelwise.data.writing import write_indexed_png
from pixelwise.errors import UsageError
from pixelwise.predict.outlines import Shape, class_shapes
from pixelwise.predict.overlay import draw_overlay, with_legend
from pixelwise.predict.palette import background_class, mask_palette
from pixelwise.storage.atomic import write_json


class Prediction(ABC):
    """What a model says of one picture."""

    table: ClassVar[str] = "predictions"
    """Name of the table of many."""
    is_drawn: ClassVar[bool] = False
    """Whether it has a place in the picture, where it can be drawn."""
    has_mask: ClassVar[bool] = False
    """Whether every pixel has an answer, which is written as a file of its own."""
    mask_folder: ClassVar[str] = "masks"
    """Where such files go."""
    mask_suffix: ClassVar[str] = ".png"
    """How their names end."""
    has_shapes: ClassVar[bool] = False
    """Whether it says where objects or classes are outlined."""

    classes: tuple[str, ...]
    probabilities: NDArray[np.float32] | None
    """(K,), or (K, H, W) where it was asked for, 0..1, in the order of ``classes``."""
    notes: tuple[str, ...]
    """What was done to the picture that its reader should know, such as a conversion to grey."""

    @classmethod
    def suffix_for(cls, path: Path) -> str:  # noqa: ARG003 - volumes are written in the format of their file
        """Return how the name of the mask of a file's picture ends."""
        return cls.mask_suffix

    @classmethod
    @abstractmethod
    def columns(cls, classes: tuple[str, ...]) -> list[str]:
        """Return the columns of a table, after path and frame."""

    @abstractmethod
    def cells(self) -> list[object]:
        """Return a row's cells under :meth:`columns`."""

    @abstractmethod
    def counts(self) -> dict[str, int]:
        """Return what it adds to the totals over many pictures, by class."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return what it says as plain JSON."""

    @abstractmethod
    def overlay(self, image: str | Path | NDArray[Any], *, legend: bool = False) -> NDArray[np.uint8]:
        """Draw it over its picture: RGB uint8 (H, W, 3), taller where a legend is added.

        Raises:
            UsageError: it has no place in the picture.
            ImageError: the picture cannot be read, or its size is another.

        """

    @classmethod
    def outlined_classes(cls, classes: Sequence[str]) -> list[int]:
        """Return the indices of the classes that outlines can have: all but the background."""
        background = background_class(classes)
        return [index for index in range(len(classes)) if index != background]

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of the picture, where the answer has a place in it.

        Raises:
            UsageError: it has none.

        """
        raise not_drawn()

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Outlines of the objects, or of the pieces of each class but the background; none where it has no place."""
        return ()

    def save(self, path: str | Path) -> None:
        """Write :meth:`to_json` to a file.

        Raises:
            OutputError: it cannot be written.

        """
        write_json(Path(path), self.to_json())


@dataclass(frozen=True, slots=True, eq=False)
class ClassPrediction(Prediction):
    """The classes of one picture. ``print(prediction)`` shows the most probable ones."""

    classes: tuple[str, ...]
    probabilities: NDArray[np.float32]
    """(K,), 0..1, summing to 1, in the order of ``classes``."""
    notes: tuple[str, ...] = ()
    """What was done to the picture that its reader should know, such as a conversion to grey."""

    @classmethod
    def columns(cls, classes: tuple[str, ...]) -> list[str]:
        """Return label, probability, and one column for the probability of each class."""
        return ["label", "probability", *probability_columns(classes)]

    def cells(self) -> list[object]:
        """Return a row's cells."""
        return [self.label, *number_cells([self.probability, *self.probabilities])]

    def counts(self) -> dict[str, int]:
        """One picture of the most probable class."""
        return {self.label: 1}

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

    @property
    def top5(self) -> tuple[tuple[str, float], ...]:
        """The five most probable classes (all, when there are fewer) with their probabilities, best first."""
        order = np.argsort(-self.probabilities, kind="stable")[:5]
        return tuple((self.classes[index], float(self.probabilities[index])) for index in order)

    def to_json(self) -> dict[str, Any]:
        """Return label, probability and the probability of every class as plain JSON."""
        return {
            "label": self.label,
            "probability": self.probability,
            "probabilities": dict(zip(self.classes, map(float, self.probabilities), strict=True)),
        }

    def overlay(self, image: str | Path | NDArray[Any], *, legend: bool = False) -> NDArray[np.uint8]:  # noqa: ARG002
        """Refuse: a class has no place in the picture.

        Raises:
            UsageError: always.

        """
        raise not_drawn()

    def __str__(self) -> str:
        return ", ".join(f"{label} {probability:.1%}" for label, probability in self.top5)


@dataclass(frozen=True, slots=True, eq=False)
class MaskPrediction(Prediction):
    """A class for every pixel of one picture."""

    table: ClassVar[str] = "areas"
    is_drawn: ClassVar[bool] = True
    has_mask: ClassVar[bool] = True
    has_shapes: ClassVar[bool] = True

    classes: tuple[str, ...]
    label_map: NDArray[np.uint8]
    """(H, W) class indices in the size of the picture; 255 where the preprocessing cut the picture off."""
    probabilities: NDArray[np.float32] | None = None
    """(K, H, W), 0..1, summing to 1 over the classes; None unless it was asked for."""
    notes: tuple[str, ...] = ()
    """What was done to the picture that its reader should know, such as a conversion to grey."""

    @classmethod
    def columns(cls, classes: tuple[str, ...]) -> list[str]:
        """Return size, and the area and share of each class."""
        areas, shares = ([f"{what}({name})" for name in classes] for what in ("area_px", "fraction"))
        return ["height_px", "width_px", *areas, *shares]

    def cells(self) -> list[object]:
        """Return a row's cells."""
        return [*self.label_map.shape, *self.areas_px.values(), *number_cells(self.fractions.values())]

    def counts(self) -> dict[str, int]:
        """The pixels of each class."""
        return self.areas_px

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.label_map.shape[0], self.label_map.shape[1]

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Outlines of the connected pieces of each class but the background."""
        return tuple(class_shapes(self.label_map, self.outlined_classes(self.classes)))

    @property
    def areas_px(self) -> dict[str, int]:
        """Pixels of each class."""
        counts = np.bincount(self.label_map.ravel(), minlength=256)
        return {name: int(counts[index]) for index, name in enumerate(self.classes)}

    @property
    def fractions(self) -> dict[str, float]:
        """Share of each class in the picture, 0..1."""
        return {name: area / self.label_map.size for name, area in self.areas_px.items()}

    def save(self, path: str | Path) -> None:
        """Write the label map as an indexed PNG whose palette holds the classes' colours.

        Raises:
            UsageError: the name does not end in ``.png``.
            OutputError: it cannot be written.

        """
        target = Path(path)
        if target.suffix.lower() != ".png":
            raise UsageError(f"{target} is to hold a mask", expected="a name that ends in .png", do="Change the name")
        write_indexed_png(target, self.label_map, mask_palette(self.classes))

    def overlay(self, image: str | Path | NDArray[Any], *, legend: bool = False) -> NDArray[np.uint8]:
        """Draw the label map over its picture: RGB uint8 (H, W, 3), taller where a legend is added.

        Raises:
            ImageError: the picture cannot be read, or its size is another.

        """
        picture = picture_of(image)
        drawn = draw_overlay(picture, self.label_map, self.classes)
        return with_legend(drawn, self.label_map, self.classes) if legend else drawn

    def to_json(self) -> dict[str, Any]:
        """Return size, areas in pixels and shares per class as plain JSON."""
        height, width = self.label_map.shape
        return {"height_px": height, "width_px": width, "areas_px": self.areas_px, "fractions": self.fractions}

    def __str__(self) -> str:
        height, width = self.label_map.shape
        shares = sorted(self.fractions.items(), key=lambda entry: -entry[1])
        cut = float((self.label_map == IGNORE).mean())
        shown = [f"{name} {share:.1%}" for name, share in shares if share] + ([f"no class {cut:.1%}"] if cut else [])
        return f"{height} x {width} px: " + ", ".join(shown)


def picture_of(image: str | Path | NDArray[Any]) -> NDArray[Any]:
    """Return an array as it is, and the picture that a file holds.

    Raises:
        ImageError: it cannot be read.

    """
    return image if isinstance(image, np.ndarray) else read_image(Path(image))


def probability_columns(classes: Iterable[str]) -> list[str]:
    """Return the columns for the probabilities of classes."""
    return [f"p({name})" for name in classes]


def number_cells(values: Iterable[float]) -> list[str]:
    """Write numbers for a table, with six digits."""
    return [f"{value:.6g}" for value in values]


def not_drawn() -> UsageError:
    """Return the refusal to draw what has no place."""
    return UsageError("classes have no place in the picture where they could be drawn", do="Leave the overlay out")
