"""Tasks whose classes exclude each other.

Two classes can come out of a network in two forms: as one logit whose sigmoid is the probability of the second class,
or as two logits whose softmax is the probability of each. More classes always take the softmax. One logit never goes
through a softmax: it would be 1 whatever the network says, with a gradient of 0.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Self, cast

import torch
from torch import Tensor

from pixelwise.errors import UsageError, suggest
from pixelwise.losses import LOSSES, Loss, LossSettings, LossSum, make_loss, parse_loss
from pixelwise.metrics import predicted_classes
from pixelwise.tasks.base import Task, TaskChoices, at_least_float32

OutputForm = Literal["sigmoid", "softmax"]

FORM_CHOICES = ("auto", "sigmoid", "softmax")


@dataclass(frozen=True, kw_only=True)
class ExclusiveTask(Task):
    """One class for each picture, or for each of its pixels.

    Attributes:
        form: whether the logits go through one sigmoid (two classes, one logit) or a softmax (one logit per class).

    """

    ignore_index: ClassVar[int]
    """Target value that is not counted by losses and metrics."""
    form_of_two: ClassVar[OutputForm]
    """The form of two classes where the loss admits both."""

    losses: ClassVar[Mapping[str, type[Loss]]] = LOSSES
    """What its loss can be a sum of, by name."""

    form: OutputForm

    @property
    def num_outputs(self) -> int:
        """Channels of the network's logits: 1 for the sigmoid form, else one per class."""
        return 1 if self.form == "sigmoid" else len(self.classes)

    @classmethod
    def from_choices(cls, classes: tuple[str, ...], choices: TaskChoices) -> Self:
        """Make the task; see :meth:`Task.from_choices`."""
        if choices.binary not in FORM_CHOICES:
            raise UsageError(
                f"binary={choices.binary!r}",
                expected="auto, sigmoid or softmax",
                do=suggest(choices.binary, FORM_CHOICES),
            )
        auto = choices.binary == "auto"
        form = cls._choose_form(len(classes), choices.loss) if auto else cast(OutputForm, choices.binary)
        return cls(
            classes=classes,
            form=form,
            objective=choices.loss or ("bce" if form == "sigmoid" else "ce"),
            class_weights=choices.class_weights,
            label_smoothing=choices.label_smoothing,
            auxiliary_weight=choices.auxiliary_weight,
        )

    def head_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the cost of logits (N, num_outputs, ...) against class indices (N, ...)."""
        return self._criterion(logits, self.fit_target(logits, target))

    @abstractmethod
    def fit_target(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the part of ``target`` that ``logits`` speak of.

        Raises:
            SpecError: the two do not fit.

        """

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the probability of each class: (N, K) or (N, K, h, w), at least float32, summing to 1 over K."""
        logits = at_least_float32(logits)
        if self.form == "softmax":
            return logits.softmax(1)
        return torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], dim=1)

    def predictions(self, logits: Tensor) -> Tensor:
        """Return the most probable class, (N,) or (N, h, w): uint8 up to 256 classes, else int64."""
        return predicted_classes(logits)

    def to_json(self) -> dict[str, Any]:
        """Return the task as plain JSON."""
        return {**super().to_json(), "binary": self.form}

    @cached_property
    def _criterion(self) -> LossSum:
        settings = LossSettings(
            num_outputs=self.num_outputs,
            ignore_index=self.ignore_index,
            class_weights=self.class_weights,
            label_smoothing=self.label_smoothing,
        )
        return make_loss(self.objective, settings, self.losses)

    def _check_loss(self) -> None:
        if self.form == "sigmoid" and len(self.classes) != 2:
            raise UsageError(
                f"binary=sigmoid with {len(self.classes)} classes",
                expected="two classes, of which one logit tells the second from the first",
                do="Leave binary at auto, or use softmax",
            )
        self._criterion  # noqa: B018 - making it refuses what does not fit

    @classmethod
    def _choose_form(cls, num_classes: int, loss: str) -> OutputForm:
        if num_classes != 2:
            return "softmax"
        terms = parse_loss(loss, cls.losses) if loss else ()
        takes_one, takes_two = (all(not cls.losses[term.name].refusal(count) for term in terms) for count in (1, 2))
        if takes_one and takes_two:
            return cls.form_of_two
        return "sigmoid" if takes_one else "softmax"
