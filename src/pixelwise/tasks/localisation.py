"""Localisation: one class for a whole picture, and the box of one object of it.

Any classification network serves as the trunk, with four outputs more than classes. Their sigmoids are the box's centre
x, centre y, width and height as shares of what the network is shown (:mod:`pixelwise.data.boxes`).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import torch
from torch import Tensor

from pixelwise.data.task_names import TaskName
from pixelwise.errors import SpecError
from pixelwise.losses import BOX_OUTPUTS, LocalisationLoss, LossSettings
from pixelwise.tasks.base import Task, TaskChoices, at_least_float32, refuse_binary
from pixelwise.tasks.box_meter import BoxMeter
from pixelwise.tasks.classification import UNLABELLED


@dataclass(frozen=True, kw_only=True)
class Localisation(Task):
    """Logits (N, K + 4) against (N, 5): class index, then the box, whose width is 0 where there is none."""

    name: ClassVar[TaskName] = "localisation"
    metric: ClassVar[str] = "localisation_accuracy"

    @property
    def num_outputs(self) -> int:
        """One logit per class, and four numbers of the box."""
        return len(self.classes) + BOX_OUTPUTS

    @classmethod
    def from_choices(cls, classes: tuple[str, ...], choices: TaskChoices) -> Self:
        """Make the task; see :meth:`Task.from_choices`."""
        refuse_binary(cls.name, choices)
        return cls(
            classes=classes,
            objective=choices.loss or ("ce+smooth_l1" if len(classes) > 1 else "smooth_l1"),
            class_weights=choices.class_weights,
            label_smoothing=choices.label_smoothing,
            auxiliary_weight=choices.auxiliary_weight,
        )

    def head_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the cost of logits (N, K + 4) against classes and boxes (N, 5).

        Raises:
            SpecError: another number of rows or of outputs.

        """
        if logits.shape != (len(target), self.num_outputs):
            raise SpecError(
                f"Logits of shape {tuple(logits.shape)} for {len(target)} boxes",
                expected=f"{(len(target), self.num_outputs)}",
                do="Use a classification network with four outputs more than classes",
            )
        return self._criterion(logits, target)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the probability of each class, (N, K), at least float32, summing to 1."""
        return at_least_float32(logits)[:, : len(self.classes)].softmax(1)

    def boxes(self, logits: Tensor) -> Tensor:
        """Return (N, 4) centre x, centre y, width and height as shares of the view, 0 to 1, at least float32."""
        return torch.sigmoid(at_least_float32(logits)[:, len(self.classes) :])

    def answers(self, logits: Tensor) -> Tensor:
        """Return (N, K + 4): the probabilities, then the box."""
        return torch.cat([self.probabilities(logits), self.boxes(logits)], dim=1)

    def meter(self) -> BoxMeter:
        """Return an empty meter: localisation_accuracy, top1 and box_iou."""
        return BoxMeter(len(self.classes))

    @cached_property
    def _criterion(self) -> LocalisationLoss:
        settings = LossSettings(
            num_outputs=len(self.classes),
            ignore_index=UNLABELLED,
            class_weights=self.class_weights,
            label_smoothing=self.label_smoothing,
        )
        return LocalisationLoss(self.objective, settings)

    def _check_loss(self) -> None:
        self._criterion  # noqa: B018 - making it refuses what does not fit
