"""Tasks: what a network is trained for, and how its logits are read."""

from pixelwise.tasks.base import Task
from pixelwise.tasks.box_meter import BoxMeter
from pixelwise.tasks.centres import find_objects
from pixelwise.tasks.classification import Classification
from pixelwise.tasks.crop import crop_to_logits
from pixelwise.tasks.detection import Detection
from pixelwise.tasks.exclusive import OutputForm
from pixelwise.tasks.instances import Instances
from pixelwise.tasks.localisation import Localisation
from pixelwise.tasks.meter import ClassificationMeter, Meter, SegmentationMeter
from pixelwise.tasks.multilabel import Multilabel
from pixelwise.tasks.object_meter import ObjectMeter
from pixelwise.tasks.segmentation import Segmentation
from pixelwise.tasks.separation import BORDER_PX, SEPARATIONS
from pixelwise.tasks.sequence import Sequence
from pixelwise.tasks.set_meter import SetMeter
from pixelwise.tasks.string_meter import StringMeter
from pixelwise.tasks.table import TASKS, make_task, task_from_json, task_type
from pixelwise.tasks.volumes import Volumes

__all__ = [
    "BORDER_PX",
    "SEPARATIONS",
    "TASKS",
    "BoxMeter",
    "Classification",
    "ClassificationMeter",
    "Detection",
    "Instances",
    "Localisation",
    "Meter",
    "Multilabel",
    "ObjectMeter",
    "OutputForm",
    "Segmentation",
    "SegmentationMeter",
    "Sequence",
    "SetMeter",
    "StringMeter",
    "Task",
    "Volumes",
    "crop_to_logits",
    "find_objects",
    "make_task",
    "task_from_json",
    "task_type",
]
