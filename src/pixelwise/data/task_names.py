"""What a data set can be for, and what it then holds beside its pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

TaskName = Literal[
    "classification", "segmentation", "multilabel", "localisation", "sequence", "instances", "volumes", "detection"
]
TASK_NAMES: Final[tuple[TaskName, ...]] = get_args(TaskName)

BOX_COLUMNS: Final = ("x_min", "y_min", "x_max", "y_max")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetForm:
    """What the data sets of a task hold.

    Attributes:
        columns: the columns of a table that give a picture's target.
        need: what every picture needs.
        noun: what two equal pictures should not have two of.
        holds: what the data hold, said to somebody who takes them for something else.
        aim: between the number of pictures and the number of classes: "500 images OF 10 classes".
        layout: the layout that serves the task most plainly.
        unit: what class counts and confusions are counts of.
        fewest_classes: that anything can be learned from.
        shows_several: whether a picture may show several classes.
        by_pixel: whether a label map goes with every picture.
        also_from: the tasks whose data serve this one as well: boxes can be drawn around masks.
        dimensions: 3 for volumes, 2 for pictures.

    """

    columns: tuple[str, ...]
    need: str
    noun: str
    holds: str
    aim: str
    layout: str
    unit: Literal["images", "pixels", "voxels", "characters", "objects"] = "images"
    fewest_classes: int = 2
    shows_several: bool = False
    by_pixel: bool = False
    also_from: tuple[TaskName, ...] = ()
    dimensions: Literal[2, 3] = 2

    @property
    def sample(self) -> Literal["image", "volume"]:
        """What one of its samples is called."""
        return "volume" if self.dimensions == 3 else "image"

    @property
    def samples(self) -> Literal["pictures", "volumes"]:
        """What its samples are called in a sentence."""
        return "volumes" if self.dimensions == 3 else "pictures"


TARGET_FORMS: Final[Mapping[TaskName, TargetForm]] = MappingProxyType({
    "classification": TargetForm(
        columns=("label",),
        need="a class for each image",
        noun="classes",
        holds="classes, not masks",
        aim="of",
        layout="class-folders",
    ),
    "segmentation": TargetForm(
        columns=("mask",),
        need="masks",
        noun="masks",
        holds="masks, not one class per picture",
        aim="with masks of",
        layout="images-and-masks",
        unit="pixels",
        shows_several=True,
        by_pixel=True,
    ),
    "multilabel": TargetForm(
        columns=("labels",),
        need="a column of labels",
        noun="sets of labels",
        holds="several classes per picture",
        aim="with any number of",
        layout="table",
        fewest_classes=1,
        shows_several=True,
    ),
    "localisation": TargetForm(
        columns=("label", *BOX_COLUMNS),
        need="a class and a box for each image",
        noun="classes or boxes",
        holds="one class and one box per picture",
        aim="with a box of one of",
        layout="table",
        fewest_classes=1,
        also_from=("segmentation",),
    ),
    "sequence": TargetForm(
        columns=("text",),
        need="a column of text",
        noun="texts",
        holds="one line of text per picture",
        aim="with strings of",
        layout="table",
        unit="characters",
        fewest_classes=1,
        shows_several=True,
    ),
    "instances": TargetForm(
        columns=("mask",),
        need="masks",
        noun="masks",
        holds="objects, each with a mask",
        aim="with objects of",
        layout="images-and-masks",
        unit="objects",
        shows_several=True,
        by_pixel=True,
        also_from=("segmentation",),
    ),
    "volumes": TargetForm(
        columns=("mask",),
        need="label volumes",
        noun="label volumes",
        holds="volumes with label volumes",
        aim="with labels of",
        layout="images-and-masks",
        unit="voxels",
        shows_several=True,
        by_pixel=True,
        also_from=("segmentation",),
        dimensions=3,
    ),
    "detection": TargetForm(
        columns=("label", *BOX_COLUMNS),
        need="boxes for each image",
        noun="sets of boxes",
        holds="any number of boxes per picture",
        aim="with boxes of",
        layout="table",
        unit="objects",
        fewest_classes=1,
        shows_several=True,
        also_from=("localisation", "segmentation"),
    ),
})  # fmt: skip
