"""The kinds of steps, and what each is given.

Steps come in this order, each kind any number of times, the threshold at most once:

1. *fields* change the probabilities around each pixel (smoothing);
2. the *threshold* decides which pixels belong to an object;
3. steps for a *piece* look at one connected piece of a class at a time, joined where pixels share a side: what they do
   does not depend on the rest of the picture, so that a picture of any size can be worked through strip by strip;
4. steps for the *gaps* between objects look at what lies within a few pixels of them;
5. steps for the whole *picture* compare all objects, which a picture larger than memory does not allow.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelwise.data.weight_map import close_contacts
from pixelwise.errors import UsageError
from pixelwise.tasks.separation import CONTACT_PX

Stage = Literal["field", "threshold", "piece", "gap", "picture"]
JOINED_BY_SIDES = 4
"""OpenCV's name for pieces whose pixels share a side; what encloses them joins at corners, too (8)."""


@dataclass(slots=True)
class Piece:
    """One connected piece of a class, in the smallest box around it.

    Attributes:
        labels: (h, w) int32, 0 outside, 1 to n for the objects that it was divided into; 1 to begin with.
        values: (C, h, w) float32, the probability of every class, then that of a rim where the network tells it.
        num_classes: K of these are classes.
        is_free: (h, w) bool, the pixels of no other piece.
        edges: whether the box lies at the picture's upper, lower, left and right edge.

    """

    labels: NDArray[np.int32]
    values: NDArray[np.float32]
    num_classes: int
    is_free: NDArray[np.bool_]
    edges: tuple[bool, bool, bool, bool]


class Step(ABC):
    """One step with its parameters; a frozen dataclass of plain numbers and words."""

    name: ClassVar[str]
    stage: ClassVar[Stage]


class FieldStep(Step):
    """Changes probabilities from their surroundings."""

    stage: ClassVar[Stage] = "field"

    @property
    @abstractmethod
    def reach_px(self) -> int:
        """How far the surroundings of a pixel reach."""

    @abstractmethod
    def apply(self, values: NDArray[np.float32], picture: NDArray[Any]) -> NDArray[np.float32]:
        """Return other values (C, H, W) for those of a picture (H, W, channels)."""


class PieceStep(Step):
    """Changes one piece."""

    stage: ClassVar[Stage] = "piece"

    @abstractmethod
    def apply(self, piece: Piece) -> NDArray[np.int32]:
        """Return the piece's labels anew."""


class GapStep(Step):
    """Changes labels near the edges of objects."""

    stage: ClassVar[Stage] = "gap"

    @property
    @abstractmethod
    def reach_px(self) -> int:
        """How far objects get pixels."""

    @property
    @abstractmethod
    def sight_px(self) -> int:
        """How far the labels lie from a pixel that decide about it."""

    @abstractmethod
    def apply(self, labels: NDArray[np.int32], is_open: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Return labels (H, W) anew, changed only where there were none and where it ``is_open`` to that."""


class PictureStep(Step):
    """Chooses among all objects of a picture."""

    stage: ClassVar[Stage] = "picture"

    @abstractmethod
    def apply(self, labels: NDArray[np.int32], classes: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return which objects stay, (n + 1,), of labels (H, W) 0 to n whose classes are (n + 1,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold(Step):
    """A pixel belongs to an object where it is background with a probability of at most ``1 - value``.

    Its class is then the most probable one of those of objects. Without this step a pixel has the most probable class
    of all, background included: of two classes that is ``threshold(value=0.5)``.
    """

    name: ClassVar[str] = "threshold"
    stage: ClassVar[Stage] = "threshold"

    value: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what leaves nothing or everything."""
        require(0 < self.value < 1, self, "value", "more than 0 and less than 1")

    def classes(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the class of each pixel, (H, W), of probabilities (K, H, W)."""
        objects = values[1:].argmax(0).astype(np.uint8) + np.uint8(1)
        return np.where(values[0] <= np.float32(1 - self.value), objects, np.uint8(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSmall(PieceStep):
    """Remove objects of fewer than ``area`` pixels."""

    name: ClassVar[str] = "remove_small"

    area: int = 30

    def __post_init__(self) -> None:
        """Refuse what removes nothing."""
        require(self.area >= 1, self, "area", "at least 1 pixel")

    def apply(self, piece: Piece) -> NDArray[np.int32]:
        """Return the labels without them."""
        areas = np.bincount(piece.labels.ravel())
        return np.where(areas[piece.labels] >= self.area, piece.labels, 0).astype(np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class FillHoles(PieceStep):
    """Give holes to the object that encloses them: what is free and reaches no edge of the picture and no other object.

    With ``area`` above 0 only holes of at most so many pixels.
    """

    name: ClassVar[str] = "fill_holes"

    area: int = 0

    def __post_init__(self) -> None:
        """Refuse a negative area."""
        require(self.area >= 0, self, "area", "at least 0 pixels (0: holes of any size)")

    def apply(self, piece: Piece) -> NDArray[np.int32]:
        """Return the labels with them."""
        labels = piece.labels
        outside = np.pad((labels == 0).astype(np.uint8), 1, constant_values=1)  # holes do not reach the box's edge
        number, regions, stats, _ = cv2.connectedComponentsWithStats(outside, connectivity=8)
        filled = labels.copy()
        for region in range(1, number):
            left, top, width, height, area = stats[region]
            if region == regions[0, 0] or (self.area and area > self.area):
                continue
            box = slice(top - 2, top + height), slice(left - 2, left + width)  # with a pixel around it, without the pad
            inside = regions[top - 1 : top + height + 1, left - 1 : left + width + 1] == region
            around = cv2.dilate(inside.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~inside
            enclosing = np.unique(labels[box][around])
            if len(enclosing) == 1 and piece.is_free[box][inside].all():
                filled[box][inside] = enclosing[0]
        return filled


@dataclass(frozen=True, slots=True, kw_only=True)
class Grow(GapStep):
    """Close narrow gaps between objects: both grow by ``px``, only towards each other and never over another object.

    Models that draw touching objects apart by a pixel each (``separate=weights``) give them that pixel back.
    """

    name: ClassVar[str] = "grow"

    px: int = CONTACT_PX

    def __post_init__(self) -> None:
        """Refuse what grows nothing."""
        require(self.px >= 1, self, "px", "at least 1 pixel")

    @property
    def reach_px(self) -> int:
        """As far as an object grows."""
        return self.px

    @property
    def sight_px(self) -> int:
        """The other object lies within twice that."""
        return 2 * self.px

    def apply(self, labels: NDArray[np.int32], is_open: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Return the labels with the gaps closed."""
        return close_contacts(labels, reach_px=self.px, is_open=is_open)


@dataclass(frozen=True, slots=True, kw_only=True)
class Largest(PictureStep):
    """Keep the ``count`` largest objects of each class in a picture."""

    name: ClassVar[str] = "largest"

    count: int = 1

    def __post_init__(self) -> None:
        """Refuse to keep nothing."""
        require(self.count >= 1, self, "count", "at least 1")

    def apply(self, labels: NDArray[np.int32], classes: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return which objects stay; of equals those that come first."""
        areas = np.bincount(labels.ravel(), minlength=len(classes))
        stays = np.zeros(len(classes), np.bool_)
        for index in np.unique(classes[1:]):
            own = np.flatnonzero(classes == index)
            own = own[own > 0]
            stays[own[np.argsort(-areas[own], kind="stable")[: self.count]]] = True
        return stays


def require(holds: bool, step: Step, field: str, expected: str) -> None:
    """Refuse a parameter.

    Raises:
        UsageError: it does not hold.

    """
    if not holds:
        raise UsageError(
            f"{step.name}({field}={getattr(step, field)})", expected=f"{field}: {expected}", do="Correct the number"
        )
