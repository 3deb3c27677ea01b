"""Image classification: one class for a whole picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from pixelwise.data.task_names import TaskName
from pixelwise.errors import SpecError
from pixelwise.losses import CLASS_LOSSES, Loss
from pixelwise.tasks.exclusive import ExclusiveTask, OutputForm
from pixelwise.tasks.meter import ClassificationMeter

UNLABELLED = -1
"""Label of a picture without one, as in the manifest."""


@dataclass(frozen=True, kw_only=True)
class Classification(ExclusiveTask):
    """Logits (N, num_outputs) against class indices (N,) int64."""

    name: ClassVar[TaskName] = "classification"
    metric: ClassVar[str] = "top1"
    ignore_index: ClassVar[int] = UNLABELLED  # not 255, which is a class like any other here
    form_of_two: ClassVar[OutputForm] = "softmax"
    losses: ClassVar[Mapping[str, type[Loss]]] = CLASS_LOSSES

    def fit_target(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return ``target`` itself, after making sure that there is one label for each row of logits.

        Raises:
            SpecError: another number of rows or of outputs.

        """
        if logits.shape != (len(target), self.num_outputs):
            raise SpecError(
                f"Logits of shape {tuple(logits.shape)} for {len(target)} labels",
                expected=f"{(len(target), self.num_outputs)}",
                do="Use a classification network for these classes",
            )
        return target

    def meter(self) -> ClassificationMeter:
        """Return an empty meter: top1, macro_f1 and, above five classes, top5."""
        return ClassificationMeter(len(self.classes))
