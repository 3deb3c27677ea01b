"""Detection: the boxes of any number of objects, found as points.

Any segmentation network serves as the trunk, with four outputs more than classes: a map of centres for each class, the
logarithms of height and width in pixels, and where in its pixel each centre lies (Zhou, Wang and Krähenbühl, "Objects
as Points", 2019; :mod:`pixelwise.losses.centres`, :mod:`pixelwise.tasks.centres`).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

from torch import Tensor

from pixelwise.data.task_names import TaskName
from pixelwise.errors import SpecError, UsageError
from pixelwise.losses import CENTRE_OUTPUTS, CentreLoss
from pixelwise.specs import NetworkKind
from pixelwise.tasks.base import TaskChoices, refuse_binary
from pixelwise.tasks.centres import read_outputs
from pixelwise.tasks.detection_meter import DetectionMeter
from pixelwise.tasks.thresholds import ThresholdTask

OBJECTIVE = "centres"


@dataclass(frozen=True, kw_only=True)
class Detection(ThresholdTask):
    """Logits (N, K + 4, h, w) against (N, M, 5): class, then centre x, centre y, width, height in pixels of the view.

    Centres are counted from the middle of the view, which is that of the logits as well where valid convolutions make
    them smaller. From its class's threshold on an object counts as found.
    """

    name: ClassVar[TaskName] = "detection"
    metric: ClassVar[str] = "ap50"
    network_kind: ClassVar[NetworkKind] = "segmentation"
    default_networks: ClassVar[tuple[str, str]] = ("unet16", "unet16")

    @property
    def num_outputs(self) -> int:
        """One map of centres per class, and four of sides and offsets."""
        return len(self.classes) + CENTRE_OUTPUTS

    @classmethod
    def from_choices(cls, classes: tuple[str, ...], choices: TaskChoices) -> Self:
        """Make the task; see :meth:`Task.from_choices`."""
        refuse_binary(cls.name, choices)
        if choices.loss not in ("", OBJECTIVE):
            raise UsageError(
                f"loss {choices.loss!r} for detection", expected=OBJECTIVE, do="Leave it out: there is only this one"
            )
        if choices.class_weights is not None or choices.label_smoothing:
            raise UsageError(
                "class weights or label smoothing for detection",
                expected="neither: a map of centres has no classes that exclude each other",
                do="Leave them out",
            )
        return cls(
            classes=classes,
            objective=OBJECTIVE,
            auxiliary_weight=choices.auxiliary_weight,
        )

    def head_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the cost of logits (N, K + 4, h, w) against boxes (N, M, 5).

        Raises:
            SpecError: another number of rows or of outputs.

        """
        if logits.ndim != 4 or logits.shape[:2] != (len(target), self.num_outputs):
            raise SpecError(
                f"Logits of shape {tuple(logits.shape)} for the boxes of {len(target)} pictures",
                expected=f"({len(target)}, {self.num_outputs}, height, width)",
                do="Use a segmentation network with four outputs more than classes",
            )
        return self._criterion(logits, target)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the probability of a centre of each class at each pixel, (N, K, h, w), at least float32."""
        return self.answers(logits)[:, : len(self.classes)]

    def answers(self, logits: Tensor) -> Tensor:
        """Return (N, K + 4, h, w): probabilities of centres, height and width in pixels, row and column offsets."""
        return read_outputs(logits, len(self.classes))

    def meter(self) -> DetectionMeter:
        """Return an empty meter: ap50 and recall."""
        return DetectionMeter(len(self.classes))

    @cached_property
    def _criterion(self) -> CentreLoss:
        return CentreLoss(len(self.classes))

    def _check_loss(self) -> None:
        """There is only one."""
