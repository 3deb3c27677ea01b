"""The tasks by name: making one from choices, and from what a model's file says."""

from collections.abc import Sequence
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from pixelwise.data.task_names import TaskName
from pixelwise.errors import RunError, UsageError, suggest
from pixelwise.losses import LOSSES, parse_loss
from pixelwise.tasks.base import FORM_CHOICES, OutputForm, Task, check_classes
from pixelwise.tasks.classification import Classification
from pixelwise.tasks.segmentation import Segmentation

TASKS: dict[TaskName, type[Task]] = {"classification": Classification, "segmentation": Segmentation}


class _Record(BaseModel):
    """A task as a file holds it. A field that is unknown, missing or of another type is a fault."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: TaskName
    classes: list[str]
    binary: OutputForm
    loss: str
    class_weights: list[float] | None
    label_smoothing: float
    auxiliary_weight: float


def make_task(
    name: str,
    classes: Sequence[str],
    *,
    loss: str = "",
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    binary: str = "auto",
    auxiliary_weight: float = 0.3,
) -> Task:
    """Make a task, filling in what was left open.

    Args:
        name: "classification" or "segmentation".
        classes: names in the order of the class indices.
        loss: a sum such as "ce+dice"; "" means "bce" for one logit and "ce" for several.
        class_weights: one factor per class, for the losses that heed them.
        label_smoothing: 0 to less than 1, for the losses that heed it.
        binary: the form of the output for two classes: "sigmoid" (one logit), "softmax" (two), or "auto", which takes
            the form that the loss asks for and otherwise one logit for segmentation and two for classification.
        auxiliary_weight: factor of the loss of each auxiliary head.

    Raises:
        UsageError: an unknown task, form or loss (with near misses), or choices that do not fit together: one logit
            never goes through a softmax.
        DataError: fewer than two classes, or a name that stands twice.

    """
    kind = _kind(name)
    check_classes(tuple(classes))
    if binary not in FORM_CHOICES:
        raise UsageError(f"binary={binary!r}", expected="auto, sigmoid or softmax", do=suggest(binary, FORM_CHOICES))
    form = _choose_form(kind, len(classes), loss) if binary == "auto" else cast(OutputForm, binary)
    return kind(
        classes=tuple(classes),
        form=form,
        objective=loss or ("bce" if form == "sigmoid" else "ce"),
        class_weights=None if class_weights is None else tuple(map(float, class_weights)),
        label_smoothing=float(label_smoothing),
        auxiliary_weight=float(auxiliary_weight),
    )


def task_from_json(content: dict[str, Any]) -> Task:
    """Rebuild a task from :meth:`Task.to_json`.

    Raises:
        RunError: a field is missing, unknown or of another type.
        DataError, UsageError: values that do not fit together.

    """
    try:
        record = _Record.model_validate(content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise RunError(
            f"The record of the task cannot be used: {'; '.join(faults)}",
            expected="what pixelwise wrote",
            do="Use the version of pixelwise that wrote it, or restore the file from a copy",
        ) from None
    return TASKS[record.name](
        classes=tuple(record.classes),
        form=record.binary,
        objective=record.loss,
        class_weights=None if record.class_weights is None else tuple(record.class_weights),
        label_smoothing=record.label_smoothing,
        auxiliary_weight=record.auxiliary_weight,
    )


def _kind(name: str) -> type[Task]:
    for known, kind in TASKS.items():
        if name == known:
            return kind
    raise UsageError(f"{name!r} is not a task", expected=" or ".join(TASKS), do=suggest(name, TASKS))


def _choose_form(kind: type[Task], num_classes: int, loss: str) -> OutputForm:
    if num_classes != 2:
        return "softmax"
    terms = parse_loss(loss) if loss else ()
    takes_one, takes_two = (all(not LOSSES[term.name].refusal(count) for term in terms) for count in (1, 2))
    if takes_one and takes_two:
        return "sigmoid" if kind is Segmentation else "softmax"
    return "sigmoid" if takes_one else "softmax"
