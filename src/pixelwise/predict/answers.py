"""From a model's averaged answers to a prediction, for each task.

A new task is one :class:`Reading`, and one line in :data:`READINGS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from pixelwise.data.boxes import in_picture
from pixelwise.data.masks import IGNORE
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.task_names import TaskName
from pixelwise.data.volumes.resample import resize_volume
from pixelwise.data.volumes.volume import NOWHERE, Geometry
from pixelwise.losses import CENTRE_OUTPUTS
from pixelwise.metrics import predicted_classes
from pixelwise.predict.box_prediction import BoxPrediction
from pixelwise.predict.detection import Detected, DetectionPrediction, boxes_in_picture
from pixelwise.predict.instance_prediction import InstancePrediction, read_instances
from pixelwise.predict.postprocess import Pipeline
from pixelwise.predict.postprocess.pieces import divide
from pixelwise.predict.prediction import ClassPrediction, MaskPrediction, Prediction
from pixelwise.predict.set_prediction import SetPrediction
from pixelwise.predict.text_prediction import TextPrediction
from pixelwise.predict.volume_prediction import VolumePrediction
from pixelwise.tasks import Detection, Multilabel, Sequence, Task, find_objects

SEEN = 0.5
"""Sum of the probabilities: 1 within what a network saw, 0 where the preprocessing cut the picture off."""

Answers = NDArray[np.float32]
"""What :meth:`pixelwise.tasks.Task.answers` gives for one picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A picture's answers, in its own places and pixels, and what else its prediction depends on."""

    task: Task
    values: Answers
    size: tuple[int, ...]
    """Height and width of the picture; depth, height and width of a volume."""
    notes: tuple[str, ...]
    """What was done to the picture."""
    is_cut_off: bool
    """The preprocessing cuts the edges off, so that some pixels may have no answer."""
    keep: bool
    """Keep the probabilities of every pixel."""
    pipeline: Pipeline = field(default_factory=Pipeline)
    """What is done to the answers."""
    picture: NDArray[Any] | None = None
    """The picture itself, where a step asks for it."""
    geometry: Geometry = NOWHERE
    """Where a volume lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the answers of one task become a prediction.

    Attributes:
        prediction: what is made of them.
        make: makes it.
        place: brings them to the places and pixels of a picture of a given height and width; None where they have none.

    """

    prediction: type[Prediction]
    make: Callable[[Answered], Prediction]
    place: Callable[[Answers, Preprocess, tuple[int, ...]], Answers] | None = None


def prediction_type(task: TaskName) -> type[Prediction]:
    """Return the kind of a task's predictions."""
    return READINGS[task].prediction


def in_the_picture(task: Task, preprocess: Preprocess, values: Answers, original: tuple[int, ...]) -> Answers:
    """Return answers where the picture of ``original`` height and width has its places: (K,), (K, H, W) or (K + 4,)."""
    place = READINGS[task.name].place
    return values if place is None else place(values, preprocess, original)


def make_prediction(answered: Answered) -> Prediction:
    """Make the prediction of one picture."""
    return READINGS[answered.task.name].make(answered)


def _class(answered: Answered) -> ClassPrediction:
    return ClassPrediction(answered.task.classes, answered.values, answered.notes)


def _mask(answered: Answered) -> MaskPrediction:
    pipeline = answered.pipeline
    values = pipeline.smoothed(answered.values, answered.picture)
    if pipeline.threshold is None:
        label_map = predicted_classes(torch.from_numpy(values)[None])[0].numpy()
    else:
        label_map = pipeline.classify(values)
    if answered.is_cut_off:
        label_map[answered.values.sum(0) < SEEN] = IGNORE
    if pipeline.of_objects:
        divided = divide(label_map, values, len(values), pipeline)
        label_map = np.where(label_map == IGNORE, label_map, divided.classes[divided.labels])
    return MaskPrediction(answered.task.classes, label_map, values if answered.keep else None, answered.notes)


def _place_mask(values: Answers, preprocess: Preprocess, original: tuple[int, ...]) -> Answers:
    return preprocess.restore_size(values, *original)


def _volume(answered: Answered) -> VolumePrediction:
    values = answered.values
    label_map = predicted_classes(torch.from_numpy(values)[None])[0].numpy()
    kept = values if answered.keep else None
    return VolumePrediction(answered.task.classes, label_map, kept, answered.notes, answered.geometry)


def _place_volume(values: Answers, preprocess: Preprocess, original: tuple[int, ...]) -> Answers:  # noqa: ARG001 - as the others
    depth, height, width = original
    return np.moveaxis(resize_volume(np.moveaxis(values, 0, -1), (depth, height, width)), -1, 0)


def _instances(answered: Answered) -> InstancePrediction:
    task, pipeline = answered.task, answered.pipeline
    count = len(task.classes)
    values = pipeline.smoothed(answered.values, answered.picture)
    class_map = pipeline.classify(values[:count])
    if answered.is_cut_off:
        class_map[answered.values[:count].sum(0) < SEEN] = IGNORE
    divided = divide(class_map, values, count, pipeline)
    return read_instances(
        task.classes, divided.labels, divided.classes, values, notes=answered.notes, keep=answered.keep
    )


def _set(answered: Answered) -> SetPrediction:
    assert isinstance(answered.task, Multilabel)  # it is read so
    return SetPrediction(answered.task.classes, answered.values, answered.task.cutoffs, answered.notes)


def _box(answered: Answered) -> BoxPrediction:
    x_min, y_min, x_max, y_max = answered.values[-4:].tolist()
    return BoxPrediction(answered.task.classes, answered.values[:-4], (x_min, y_min, x_max, y_max), answered.notes)


def _place_box(values: Answers, preprocess: Preprocess, original: tuple[int, ...]) -> Answers:
    centre_x, centre_y, width, height = values[-4:].tolist()
    box = in_picture((centre_x, centre_y, width, height), preprocess, *original)
    return np.concatenate([values[:-4], np.array(box, np.float32)])


def _objects(answered: Answered) -> DetectionPrediction:
    task = answered.task
    assert isinstance(task, Detection)  # it is read so
    rows = answered.values
    found = (
        Detected(int(label), task.classes[int(label)], probability, (x_min, y_min, x_max, y_max))
        for label, probability, x_min, y_min, x_max, y_max in rows.tolist()
    )
    height, width = answered.size
    return DetectionPrediction(task.classes, tuple(found), task.cutoffs, (height, width), notes=answered.notes)


def _place_objects(values: Answers, preprocess: Preprocess, original: tuple[int, ...]) -> Answers:
    """Boxes (n, 6) in pixels of the picture, from maps (K + 4, h, w)."""
    height, width = original
    found = find_objects(torch.from_numpy(values), len(values) - CENTRE_OUTPUTS)
    return boxes_in_picture(found.numpy(), preprocess, (height, width))


def _text(answered: Answered) -> TextPrediction:
    task, logits = answered.task, torch.from_numpy(answered.values)[None]
    assert isinstance(task, Sequence)  # it is read so
    (characters,), (greedy,) = task.read(logits), task.read_greedily(logits)
    return TextPrediction(
        classes=task.classes,
        probabilities=task.probabilities(logits)[0].numpy(),
        characters=tuple(characters),
        greedy=tuple(greedy),
        probability=task.string_probability(logits, characters),
        notes=answered.notes,
    )


READINGS: Final[Mapping[TaskName, Reading]] = {
    "classification": Reading(prediction=ClassPrediction, make=_class),
    "segmentation": Reading(prediction=MaskPrediction, make=_mask, place=_place_mask),
    "multilabel": Reading(prediction=SetPrediction, make=_set),
    "localisation": Reading(prediction=BoxPrediction, make=_box, place=_place_box),
    "sequence": Reading(prediction=TextPrediction, make=_text),
    "detection": Reading(prediction=DetectionPrediction, make=_objects, place=_place_objects),
    "volumes": Reading(prediction=VolumePrediction, make=_volume, place=_place_volume),
    "instances": Reading(prediction=InstancePrediction, make=_instances, place=_place_mask),
}
