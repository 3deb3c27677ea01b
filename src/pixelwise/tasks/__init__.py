"""Tasks: what a network is trained for, and how its logits are read."""

from pixelwise.tasks.base import OutputForm, Task
from pixelwise.tasks.classification import Classification
from pixelwise.tasks.crop import crop_to_logits
from pixelwise.tasks.meter import ClassificationMeter, Meter, SegmentationMeter
from pixelwise.tasks.segmentation import Segmentation
from pixelwise.tasks.table import TASKS, make_task, task_from_json

__all__ = [
    "TASKS",
    "Classification",
    "ClassificationMeter",
    "Meter",
    "OutputForm",
    "Segmentation",
    "SegmentationMeter",
    "Task",
    "crop_to_logits",
    "make_task",
    "task_from_json",
]
