"""What a task leaves to be found on pictures that were not trained on, once training is over.

Multi-label classification has one threshold for each class, from which probability on it counts as shown
(:mod:`pixelwise.metrics.thresholds`). They are chosen on the validation split, never on the test split, and stored in
the model's own record, so that prediction and evaluation use them. So are the numbers of the steps that follow a model
for instances (:mod:`pixelwise.evaluation.instance_completion`), unless the steps were given.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from pixelwise.data.task_names import TaskName
from pixelwise.evaluation.detection import HALF, said_boxes, true_boxes
from pixelwise.evaluation.evaluation import begin
from pixelwise.evaluation.instance_completion import tune
from pixelwise.evaluation.work import Work
from pixelwise.metrics import BoxSet, best_threshold, match_boxes
from pixelwise.predict.detection import DetectionPrediction
from pixelwise.predict.set_prediction import SetPrediction
from pixelwise.runs.folder import MODEL_FOLDER, Run
from pixelwise.runs.model import load_model, save_model
from pixelwise.tasks import Detection, Multilabel, Task


def complete_model(run: Run, device: str, *, should_stop: Callable[[], None] = lambda: None) -> None:
    """Complete the task of a run's model by its validation split, and save it again.

    Without anything to find, or without a validation split, the model stays as it is.

    Args:
        run: with its model, and its data where its record says.
        device: to predict on.
        should_stop: called before every image; raises to end the work.

    Raises:
        DataError, DeviceError: a picture cannot be read any more, or the device is not there.
        OutputError: the model cannot be written; the one before is unharmed.

    """
    manifest = run.manifest
    if manifest.task not in (*_COMPLETIONS, "instances") or not len(manifest.indices("val")):
        return
    folder = run.path / MODEL_FOLDER
    model = load_model(folder, device)
    if manifest.task == "instances" and model.post is not None:
        return  # the steps were given
    work, _ = begin(model, Path(run.config.data["root"]), manifest, split="val", device=device, should_stop=should_stop)
    if manifest.task == "instances":
        completed = dataclasses.replace(model, post=tune(work).to_json())
    else:
        completed = dataclasses.replace(model, task=_COMPLETIONS[manifest.task](work, model.task))
    save_model(folder, completed)


def _with_thresholds(work: Work, task: Task) -> Task:
    assert isinstance(task, Multilabel)  # it is the model's
    truth = work.shown()
    probabilities = np.zeros(truth.shape)
    for place, (_, prediction) in enumerate(work.predictions()):
        assert isinstance(prediction, SetPrediction)
        probabilities[place] = prediction.probabilities
    chosen = (best_threshold(*column) for column in zip(probabilities.T, truth.T, strict=True))
    return dataclasses.replace(task, thresholds=tuple(chosen))


def _with_detection_thresholds(work: Work, task: Task) -> Task:
    assert isinstance(task, Detection)  # it is the model's
    truth, said = list[BoxSet](), list[BoxSet]()
    for index, prediction in work.predictions():
        assert isinstance(prediction, DetectionPrediction)
        truth.append(true_boxes(work, index))
        said.append(said_boxes(prediction.candidates))
    chosen = []
    for label in range(len(task.classes)):
        matches = match_boxes(truth, said, label, thresholds=(HALF,))
        scores = np.concatenate([one.scores[one.classes == label] for one in said if one.scores is not None])
        scores = -np.sort(-scores, kind="stable")  # as the matches are ordered
        missed = int(matches.objects.sum()) - int(matches.found[0].sum())
        chosen.append(best_threshold(scores, matches.found[0], missed=missed))
    return dataclasses.replace(task, thresholds=tuple(chosen))


_COMPLETIONS: Final[Mapping[TaskName, Callable[[Work, Task], Task]]] = {
    "multilabel": _with_thresholds,
    "detection": _with_detection_thresholds,
}
