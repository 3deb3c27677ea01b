"""Semantic segmentation: one class for each pixel."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from pixelwise.data.masks import IGNORE
from pixelwise.data.task_names import TaskName
from pixelwise.errors import DataError, SpecError
from pixelwise.specs import NetworkKind
from pixelwise.tasks.crop import crop_to_logits
from pixelwise.tasks.exclusive import ExclusiveTask, OutputForm
from pixelwise.tasks.meter import SegmentationMeter


@dataclass(frozen=True, kw_only=True)
class Segmentation(ExclusiveTask):
    """Logits (N, num_outputs, h, w) against label maps (N, H, W) uint8, cropped centrally to the logits' size."""

    name: ClassVar[TaskName] = "segmentation"
    metric: ClassVar[str] = "mean_iou"
    network_kind: ClassVar[NetworkKind] = "segmentation"
    default_networks: ClassVar[tuple[str, str]] = ("unet16", "unet16")
    ignore_index: ClassVar[int] = IGNORE
    dimensions: ClassVar[int] = 2
    """Axes of a label map."""
    form_of_two: ClassVar[OutputForm] = "sigmoid"
    weighs_pixels: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse what no label map can hold, after what every task refuses."""
        super().__post_init__()
        if len(self.classes) > IGNORE:
            raise DataError(
                f"{len(self.classes)} classes",
                expected=f"at most {IGNORE}, as label maps are bytes and {IGNORE} means not counted",
                do="Join classes",
            )

    def fit_target(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the central part of the label maps that the logits cover.

        Raises:
            SpecError: the logits are larger than the label maps, or of another number of images or outputs.

        """
        if logits.ndim != 2 + self.dimensions or logits.shape[:2] != (len(target), self.num_outputs):
            axes = "height, width" if self.dimensions == 2 else "depth, height, width"
            raise SpecError(
                f"Logits of shape {tuple(logits.shape)} for {len(target)} label maps",
                expected=f"({len(target)}, {self.num_outputs}, {axes})",
                do="Use a segmentation network for these classes",
            )
        return crop_to_logits(target, logits)

    def meter(self) -> SegmentationMeter:
        """Return an empty meter: mean_iou, mean_dice and pixel_accuracy."""
        return SegmentationMeter(len(self.classes), self.ignore_index)
