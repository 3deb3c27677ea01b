"""Semantic segmentation of volumes: one class for each voxel."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from pixelwise.data.task_names import TaskName
from pixelwise.metrics import VOXELS
from pixelwise.tasks.base import TaskChoices
from pixelwise.tasks.meter import SegmentationMeter
from pixelwise.tasks.segmentation import Segmentation


@dataclass(frozen=True, kw_only=True)
class Volumes(Segmentation):
    """Logits (N, num_outputs, d, h, w) against label maps (N, D, H, W) uint8, cropped centrally to the logits' size.

    The loss is cross-entropy plus Dice unless another is chosen: structures fill a few per cent of a volume, and
    cross-entropy alone learns the background first (Milletari, Navab and Ahmadi 2016, section 3).
    """

    name: ClassVar[TaskName] = "volumes"
    metric: ClassVar[str] = "foreground_dice"
    default_networks: ClassVar[tuple[str, str]] = ("unet3d16", "unet3d16")
    dimensions: ClassVar[int] = 3

    @classmethod
    def from_choices(cls, classes: tuple[str, ...], choices: TaskChoices) -> Self:
        """Make the task; see :meth:`Task.from_choices`."""
        if choices.loss:
            return super().from_choices(classes, choices)
        form = cls.form_of_two if len(classes) == 2 and choices.binary != "softmax" else "softmax"
        return super().from_choices(classes, replace(choices, loss="bce+dice" if form == "sigmoid" else "ce+dice"))

    def meter(self) -> SegmentationMeter:
        """Return an empty meter: foreground_dice, foreground_iou and voxel_accuracy."""
        return SegmentationMeter(len(self.classes), self.ignore_index, VOXELS)
