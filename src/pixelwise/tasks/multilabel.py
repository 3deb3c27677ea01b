"""Multi-label classification: any number of classes for a whole picture, none included."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import torch
from torch import Tensor

from pixelwise.data.manifest import Manifest
from pixelwise.data.task_names import TaskName
from pixelwise.errors import SpecError
from pixelwise.losses import SET_LOSSES, LossSettings, LossSum, make_loss
from pixelwise.tasks.base import TaskChoices, at_least_float32, refuse_binary, training_counts
from pixelwise.tasks.set_meter import SetMeter
from pixelwise.tasks.thresholds import ThresholdTask

_NOT_COUNTED = -1


@dataclass(frozen=True, kw_only=True)
class Multilabel(ThresholdTask):
    """Logits (N, K), each through a sigmoid of its own, against sets of classes (N, K) of zeros and ones."""

    name: ClassVar[TaskName] = "multilabel"
    metric: ClassVar[str] = "map"

    @property
    def num_outputs(self) -> int:
        """One logit per class."""
        return len(self.classes)

    @classmethod
    def from_choices(cls, classes: tuple[str, ...], choices: TaskChoices) -> Self:
        """Make the task; see :meth:`Task.from_choices`."""
        refuse_binary(cls.name, choices)
        return cls(
            classes=classes,
            objective=choices.loss or "bce",
            class_weights=choices.class_weights,
            label_smoothing=choices.label_smoothing,
            auxiliary_weight=choices.auxiliary_weight,
        )

    @classmethod
    def balanced_weights(cls, manifest: Manifest) -> tuple[float, ...]:
        """Return for each class the training pictures that do not show it, over those that do.

        Both kinds then weigh alike. A class that every picture shows has the weight of one that all but one show.

        Raises:
            DataError: a class has no training pictures.

        """
        counts = training_counts(manifest)
        total = len(manifest.indices("train"))
        return tuple(float(max(total - count, 1) / count) for count in counts.tolist())

    def head_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the cost of logits (N, K) against sets (N, K).

        Raises:
            SpecError: they differ in shape.

        """
        if logits.shape != (len(target), self.num_outputs) or logits.shape != target.shape:
            raise SpecError(
                f"Logits of shape {tuple(logits.shape)} for {tuple(target.shape)} labels",
                expected=f"{(len(target), self.num_outputs)} of both",
                do="Use a classification network for these classes",
            )
        return self._criterion(logits, target)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the probability of each class, (N, K), at least float32; they sum to anything."""
        return torch.sigmoid(at_least_float32(logits))

    def meter(self) -> SetMeter:
        """Return an empty meter: map, macro_f1 and exact_match."""
        return SetMeter(self.cutoffs)

    @cached_property
    def _criterion(self) -> LossSum:
        settings = LossSettings(
            num_outputs=self.num_outputs,
            ignore_index=_NOT_COUNTED,
            class_weights=self.class_weights,
            label_smoothing=self.label_smoothing,
        )
        return make_loss(self.objective, settings, SET_LOSSES)

    def _check_loss(self) -> None:
        self._criterion  # noqa: B018 - making it refuses what does not fit
