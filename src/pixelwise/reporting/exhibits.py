"""How predictions are shown, task by task. A new task is one :class:`~pixelwise.reporting.shots.Exhibit` here."""

from typing import Final

from pixelwise.reporting.box_shots import box_legend, box_shot, objects_shot
from pixelwise.reporting.instance_shots import instance_legend, instance_shot
from pixelwise.reporting.mask_shots import mask_legend, mask_shot
from pixelwise.reporting.shots import Exhibit
from pixelwise.reporting.volume_shots import volume_shot
from pixelwise.reporting.word_shots import class_shot, set_shot, text_shot

EXHIBITS: Final[dict[str, Exhibit]] = {
    "classification": Exhibit(worst=12, best=6, shoot=class_shot),
    "segmentation": Exhibit(worst=4, best=2, panels=4, shoot=mask_shot, legend=mask_legend),
    "multilabel": Exhibit(worst=12, best=6, shoot=set_shot),
    "localisation": Exhibit(worst=12, best=6, shoot=box_shot, legend=box_legend, is_large=True),
    "detection": Exhibit(worst=6, best=6, shoot=objects_shot, legend=box_legend, is_large=True),
    "sequence": Exhibit(worst=12, best=6, shoot=text_shot),
    "volumes": Exhibit(worst=4, best=2, panels=4, shoot=volume_shot, legend=mask_legend),
    "instances": Exhibit(worst=4, best=2, panels=3, shoot=instance_shot, legend=instance_legend),
}
"""By the name of the task."""
