"""A task joins output channels, target format, loss, metrics and the way from logits to an answer, in one place.

Two classes can come out of a network in two forms: as one logit whose sigmoid is the probability of the second class,
or as two logits whose softmax is the probability of each. More classes always take the softmax. One logit never goes
through a softmax: it would be 1 whatever the network says, with a gradient of 0.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from pixelwise.data.task_names import TaskName
from pixelwise.errors import DataError, UsageError
from pixelwise.losses import LossSettings, LossSum, make_loss
from pixelwise.metrics import predicted_classes
from pixelwise.tasks.meter import Meter

OutputForm = Literal["sigmoid", "softmax"]

FORM_CHOICES = ("auto", "sigmoid", "softmax")


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """What a network is trained for, and how its logits are read.

    Attributes:
        classes: names in the order of the class indices; at least two.
        form: whether the logits go through one sigmoid (two classes, one logit) or a softmax (one logit per class).
        objective: the loss as a sum of names, such as ``"ce+dice"``.
        class_weights: one factor per class for the losses that heed them, or None.
        label_smoothing: share of the target spread over all classes, 0 <= share < 1.
        auxiliary_weight: factor of the loss of each auxiliary head. 0.3 is that of Szegedy et al., "Going Deeper with
            Convolutions", 2015, section 5.

    Raises:
        DataError: fewer than two classes, or a name that stands twice.
        UsageError: a form, loss or option that does not fit the classes.

    """

    name: ClassVar[TaskName]
    metric: ClassVar[str]
    """The score that picks the best weights; higher is better."""
    ignore_index: ClassVar[int]
    """Target value that is not counted by losses and metrics."""

    classes: tuple[str, ...]
    form: OutputForm
    objective: str
    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.3

    def __post_init__(self) -> None:
        check_classes(self.classes)
        if self.form == "sigmoid" and len(self.classes) != 2:
            raise UsageError(
                f"binary=sigmoid with {len(self.classes)} classes",
                expected="two classes, of which one logit tells the second from the first",
                do="Leave binary at auto, or use softmax",
            )
        self._check_options()
        self._criterion  # noqa: B018 - refuses what does not fit now, not at the first training step

    @property
    def num_outputs(self) -> int:
        """Channels of the network's logits: 1 for the sigmoid form, else one per class."""
        return 1 if self.form == "sigmoid" else len(self.classes)

    def loss(self, logits: tuple[Tensor, ...], target: Tensor) -> Tensor:
        """Return the cost of a batch as a scalar.

        Args:
            logits: of the main head, then of auxiliary heads, each (N, num_outputs) or (N, num_outputs, h, w).
            target: (N,) or (N, H, W) class indices.

        """
        main, *auxiliary = logits
        cost = self._criterion(main, self.fit_target(main, target))
        for head in auxiliary:
            cost = cost + self.auxiliary_weight * self._criterion(head, self.fit_target(head, target))
        return cost

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the probability of each class: (N, K) or (N, K, h, w), at least float32, summing to 1 over K."""
        logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
        if self.form == "softmax":
            return logits.softmax(1)
        return torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], dim=1)

    def predictions(self, logits: Tensor) -> Tensor:
        """Return the most probable class, (N,) or (N, h, w): uint8 up to 256 classes, else int64."""
        return predicted_classes(logits)

    @abstractmethod
    def fit_target(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the part of ``target`` that ``logits`` speak of.

        Raises:
            SpecError: the two do not fit.

        """

    @abstractmethod
    def meter(self) -> Meter:
        """Return an empty meter of this task's scores."""

    def to_json(self) -> dict[str, Any]:
        """Return the task as plain JSON; :func:`~pixelwise.tasks.task_from_json` is the way back."""
        return {
            "name": self.name,
            "classes": list(self.classes),
            "binary": self.form,
            "loss": self.objective,
            "class_weights": None if self.class_weights is None else list(self.class_weights),
            "label_smoothing": self.label_smoothing,
            "auxiliary_weight": self.auxiliary_weight,
        }

    @cached_property
    def _criterion(self) -> LossSum:
        settings = LossSettings(
            num_outputs=self.num_outputs,
            ignore_index=self.ignore_index,
            class_weights=self.class_weights,
            label_smoothing=self.label_smoothing,
        )
        return make_loss(self.objective, settings)

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


def check_classes(classes: tuple[str, ...]) -> None:
    """Refuse a class table that nothing can be learned from.

    Raises:
        DataError: fewer than two classes, or a name that stands twice.

    """
    if len(classes) < 2:
        raise DataError(
            f"There is only one class: {classes[0]}" if classes else "There are no classes",
            expected="two or more classes",
            do="Add images of another class",
        )
    twice = next((name for name in classes if classes.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"The class {twice!r} stands twice in the class table", do="Give each class one name")
