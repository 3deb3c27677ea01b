"""A task joins output channels, target format, loss, metrics and the way from logits to an answer, in one place.

What a picture's target is stands in :mod:`pixelwise.data.task_names`; what is common to all tasks, here; and what one
of them is, in its own file.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from pixelwise.data.manifest import Manifest
from pixelwise.data.task_names import TARGET_FORMS, TaskName
from pixelwise.errors import DataError, UsageError
from pixelwise.specs import NetworkKind
from pixelwise.tasks.class_weights import balanced
from pixelwise.tasks.meter import Meter


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskChoices:
    """What a user may say of a task; see :func:`~pixelwise.tasks.make_task`."""

    loss: str = ""
    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    binary: str = "auto"
    auxiliary_weight: float = 0.3
    separate: str = ""


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """What a network is trained for, and how its logits are read.

    Attributes:
        classes: names in the order of the class indices.
        objective: the loss as a sum of names, such as ``"ce+dice"``.
        class_weights: one factor per class for the losses that heed them, or None.
        label_smoothing: share of the target spread over all classes, 0 <= share < 1.
        auxiliary_weight: factor of the loss of each auxiliary head. 0.3 is that of Szegedy et al., "Going Deeper with
            Convolutions", 2015, section 5.

    Raises:
        DataError: too few classes, or a name that stands twice.
        UsageError: a loss or option that does not fit the classes.

    """

    name: ClassVar[TaskName]
    metric: ClassVar[str]
    """The score that picks the best weights; higher is better."""
    weighs_pixels: ClassVar[bool] = False
    """Whether class weights follow from counts of pixels instead of pictures."""
    network_kind: ClassVar[NetworkKind] = "classification"
    """Of the networks that can be trained for it."""
    default_networks: ClassVar[tuple[str, str]] = ("resnet20_cifar", "resnet18")
    """For pictures of up to 64 pixels a side, and for larger ones."""

    classes: tuple[str, ...]
    objective: str
    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.3

    def __post_init__(self) -> None:
        check_classes(self.classes, TARGET_FORMS[self.name].fewest_classes)
        self._check_options()
        self._check_loss()

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """Channels of the network's logits."""

    @classmethod
    @abstractmethod
    def from_choices(cls, classes: tuple[str, ...], choices: TaskChoices) -> Self:
        """Make the task, filling in what was left open.

        Raises:
            UsageError, DataError: choices that do not fit together, or the classes.

        """

    @classmethod
    def balanced_weights(cls, manifest: Manifest) -> tuple[float, ...]:
        """Return class weights that make rare classes count more: inverse to their share of the training pictures.

        Their mean over the training pictures is 1.

        Raises:
            DataError: the data cannot say, or a class has no training pictures.

        """
        return balanced(training_counts(manifest), manifest.classes, "pictures")

    @property
    def is_weighed(self) -> bool:
        """Whether the loss heeds weights of pixels, which the targets then hold."""
        return False

    def loss(self, logits: tuple[Tensor, ...], target: Tensor) -> Tensor:
        """Return the cost of a batch as a scalar.

        Args:
            logits: of the main head, then of auxiliary heads, each (N, num_outputs, ...).
            target: (N, ...), see :mod:`pixelwise.data.targets`.

        Raises:
            SpecError: the two do not fit.

        """
        main, *auxiliary = logits
        cost = self.head_loss(main, target)
        for head in auxiliary:
            cost = cost + self.auxiliary_weight * self.head_loss(head, target)
        return cost

    @abstractmethod
    def head_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the cost of one head's logits (N, num_outputs, ...) as a scalar; see :meth:`loss`."""

    @abstractmethod
    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the probability of each class: (N, K, ...), at least float32."""

    def answers(self, logits: Tensor) -> Tensor:
        """Return what a prediction is made of, (N, K or more, ...): probabilities first, then what the task adds."""
        return self.probabilities(logits)

    @abstractmethod
    def meter(self) -> Meter:
        """Return an empty meter of this task's scores."""

    def to_json(self) -> dict[str, Any]:
        """Return the task as plain JSON; :func:`~pixelwise.tasks.task_from_json` is the way back."""
        return {
            "name": self.name,
            "classes": list(self.classes),
            "loss": self.objective,
            "class_weights": None if self.class_weights is None else list(self.class_weights),
            "label_smoothing": self.label_smoothing,
            "auxiliary_weight": self.auxiliary_weight,
        }

    @abstractmethod
    def _check_loss(self) -> None:
        """Refuse a loss that does not fit now, not at the first training step."""

    def _check_options(self) -> None:
        weights = self.class_weights
        if weights is not None and len(weights) != len(self.classes):
            raise UsageError(
                f"{len(weights)} class weights for {len(self.classes)} classes",
                expected="one for each class",
                do=f"Give them in this order: {', '.join(self.classes)}",
            )
        if weights is not None and not (all(0 <= w < math.inf for w in weights) and any(weights)):
            raise UsageError(
                f"class weights {', '.join(f'{w:g}' for w in weights)}",
                expected="numbers of 0 or more, not all 0",
                do="Correct them",
            )
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(
                f"label_smoothing={self.label_smoothing:g}", expected="0 or more and less than 1", do="0.1 is usual"
            )
        if not 0 <= self.auxiliary_weight < math.inf:
            raise UsageError(
                f"auxiliary_weight={self.auxiliary_weight:g}", expected="a number of 0 or more", do="0.3 is usual"
            )


def check_classes(classes: tuple[str, ...], fewest: int) -> None:
    """Refuse a class table that nothing can be learned from.

    Raises:
        DataError: fewer than ``fewest`` classes, or a name that stands twice.

    """
    if len(classes) < fewest:
        raise DataError(
            f"There is only one class: {classes[0]}" if classes else "There are no classes",
            expected="two or more classes" if fewest > 1 else "one or more classes",
            do="Add images of another class" if fewest > 1 else "Name them",
        )
    twice = next((name for name in classes if classes.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"The class {twice!r} stands twice in the class table", do="Give each class one name")


def refuse_binary(name: TaskName, choices: TaskChoices) -> None:
    """Refuse a form of the output where the task has only one.

    Raises:
        UsageError: ``binary`` is not "auto".

    """
    if choices.binary != "auto":
        raise UsageError(
            f"binary={choices.binary!r} for {name}", expected="auto", do="Leave it out: the form is that of the task"
        )


def training_counts(manifest: Manifest) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return how many training pictures show each class, none of which is 0.

    Raises:
        DataError: one is.

    """
    counts = manifest.images_per_class(manifest.indices("train"))
    if (counts == 0).any():
        missing = manifest.classes[int(np.argmin(counts))]
        raise DataError(f"The class {missing!r} has no training pictures", do="Add some, or leave the class out")
    return counts


def at_least_float32(logits: Tensor) -> Tensor:
    """Raise half precision to float32; leave float32 and float64 as they are."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
