"""The tasks by name: making one from choices, and from what a model's file says.

A new task is one module with a subclass of :class:`~pixelwise.tasks.base.Task`, one line in :data:`TASKS`, and a record
of what its file holds.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from pixelwise.data.task_names import TARGET_FORMS, TASK_NAMES, TaskName
from pixelwise.errors import RunError, UsageError, suggest
from pixelwise.tasks.base import Task, TaskChoices, check_classes
from pixelwise.tasks.classification import Classification
from pixelwise.tasks.detection import Detection
from pixelwise.tasks.exclusive import OutputForm
from pixelwise.tasks.instances import Instances
from pixelwise.tasks.localisation import Localisation
from pixelwise.tasks.multilabel import Multilabel
from pixelwise.tasks.segmentation import Segmentation
from pixelwise.tasks.separation import Separation
from pixelwise.tasks.sequence import Sequence as SequenceTask
from pixelwise.tasks.volumes import Volumes

TASKS: Final[Mapping[TaskName, type[Task]]] = {
    "classification": Classification,
    "segmentation": Segmentation,
    "multilabel": Multilabel,
    "localisation": Localisation,
    "sequence": SequenceTask,
    "instances": Instances,
    "volumes": Volumes,
    "detection": Detection,
}


class _Name(BaseModel):
    """The part of a record that says how the rest is to be read."""

    model_config = ConfigDict(extra="ignore", strict=True)

    name: TaskName


class _Record(BaseModel):
    """A task as a file holds it. A field that is unknown, missing or of another type is a fault."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: TaskName
    classes: list[str]
    loss: str
    class_weights: list[float] | None
    label_smoothing: float
    auxiliary_weight: float


class _ExclusiveRecord(_Record):
    binary: OutputForm


class _ThresholdRecord(_Record):
    thresholds: list[float] | None


class _InstancesRecord(_Record):
    separation: Separation
    border_px: int


_RECORDS: Final[Mapping[TaskName, type[_Record]]] = {
    "classification": _ExclusiveRecord,
    "segmentation": _ExclusiveRecord,
    "multilabel": _ThresholdRecord,
    "localisation": _Record,
    "sequence": _Record,
    "instances": _InstancesRecord,
    "volumes": _ExclusiveRecord,
    "detection": _ThresholdRecord,
}
_FIELDS: Final = {"loss": "objective", "binary": "form"}  # a task's field for a record's, where they differ


def make_task(
    name: str,
    classes: Sequence[str],
    *,
    loss: str = "",
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    binary: str = "auto",
    auxiliary_weight: float = 0.3,
    separate: str = "",
) -> Task:
    """Make a task, filling in what was left open.

    Args:
        name: of the task.
        classes: names in the order of the class indices.
        loss: a sum such as "ce+dice"; "" takes the task's own: for classes that exclude each other "bce" for one logit
            and "ce" for several, for multi-label "bce", for localisation "ce+smooth_l1",
            for sequences "crf".
        class_weights: one factor per class, for the losses that heed them.
        label_smoothing: 0 to less than 1, for the losses that heed it.
        binary: the form of the output for two classes that exclude each other: "sigmoid" (one logit), "softmax" (two),
            or "auto", which takes the form that the loss asks for and otherwise one logit for segmentation and two for
            classification.
        auxiliary_weight: factor of the loss of each auxiliary head.
        separate: how touching objects are kept apart (:mod:`pixelwise.tasks.separation`): "border", "weights" or
            "none"; "" is "border" for instances, and the only choice of every other task.

    Raises:
        UsageError: an unknown task, form or loss (with near misses), or choices that do not fit together: one logit
            never goes through a softmax.
        DataError: too few classes, or a name that stands twice.

    """
    kind = task_type(name)
    check_classes(tuple(classes), TARGET_FORMS[kind.name].fewest_classes)
    if separate and kind is not Instances:
        raise UsageError(
            f"separate={separate!r} for {kind.name}",
            expected="nothing: its objects are not told apart",
            do="Leave it out, or train for instances (--task instances)",
        )
    choices = TaskChoices(
        loss=loss,
        class_weights=None if class_weights is None else tuple(map(float, class_weights)),
        label_smoothing=float(label_smoothing),
        binary=binary,
        auxiliary_weight=float(auxiliary_weight),
        separate=separate,
    )
    return kind.from_choices(tuple(classes), choices)


def task_from_json(content: dict[str, Any]) -> Task:
    """Rebuild a task from :meth:`Task.to_json`.

    Raises:
        RunError: a field is missing, unknown or of another type.
        DataError, UsageError: values that do not fit together.

    """
    try:
        name = _Name.model_validate(content).name
        record = _RECORDS[name].model_validate(content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise RunError(
            f"The record of the task cannot be used: {'; '.join(faults)}",
            expected="what pixelwise wrote",
            do="Use the version of pixelwise that wrote it, or restore the file from a copy",
        ) from None
    fields: dict[str, Any] = {
        _FIELDS.get(key, key): tuple(value) if isinstance(value, list) else value
        for key, value in record.model_dump(exclude={"name"}).items()
    }
    return TASKS[name](**fields)


def task_type(name: str) -> type[Task]:
    """Return the task of that name.

    Raises:
        UsageError: there is none (with near misses).

    """
    for known in TASK_NAMES:
        if name == known:
            return TASKS[known]
    raise UsageError(f"{name!r} is not a task", expected=", ".join(TASK_NAMES), do=suggest(name, TASK_NAMES))
