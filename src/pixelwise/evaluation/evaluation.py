"""Evaluate a model on one split of a data set.

Pictures go through the predictor, so that what is scored is what a user gets. What is scored stands in one module for
each task; a new task is such a module and one line in :data:`SCORERS`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.manifest import Manifest
from pixelwise.data.reading import SampleReader
from pixelwise.data.task_names import TaskName
from pixelwise.errors import DataError, UsageError
from pixelwise.evaluation.classes import class_order
from pixelwise.evaluation.classification import score_classes
from pixelwise.evaluation.detection import score_objects
from pixelwise.evaluation.further import Further
from pixelwise.evaluation.instances import score_instances
from pixelwise.evaluation.localisation import score_boxes
from pixelwise.evaluation.multilabel import score_sets
from pixelwise.evaluation.scores import Scores, Split
from pixelwise.evaluation.segmentation import score_label_maps
from pixelwise.evaluation.sequence import score_strings
from pixelwise.evaluation.volumes import score_volumes
from pixelwise.evaluation.work import Findings, Progress, ShouldStop, Work
from pixelwise.predict.predictor import Predictor
from pixelwise.predict.protocols import CENTRE, Protocol
from pixelwise.runs.model import Model

SPLIT_CHOICES: tuple[Split, ...] = ("test", "val", "train", "all")

SCORERS: Final[Mapping[TaskName, Callable[[Work], Findings]]] = {
    "classification": score_classes,
    "segmentation": score_label_maps,
    "volumes": score_volumes,
    "multilabel": score_sets,
    "localisation": score_boxes,
    "sequence": score_strings,
    "detection": score_objects,
    "instances": score_instances,
}

_WITH_FURTHER_SCORES: Final[tuple[TaskName, ...]] = ("segmentation", "volumes")
_BATCH = 64
_BATCH_BY_PIXEL = 1
"""Pictures of any size, one at a time, so that a signal to stop is honoured after each."""


def evaluate(
    model: Model,
    root: Path,
    manifest: Manifest,
    *,
    split: Split | None = None,
    ensemble: Sequence[Model] = (),
    protocol: Protocol = CENTRE,
    trained_on: Sequence[Manifest] = (),
    further: Sequence[str] = (),
    device: str = "cpu",
    tile: int | None = None,
    memory_bytes: int | None = None,
    seed: int = 0,
    progress: Progress = lambda done, total: None,  # noqa: ARG005 - the names say what a caller gets
    should_stop: ShouldStop = lambda: None,
) -> Scores:
    """Score a model, or several whose probabilities are averaged, on labelled images.

    Args:
        model: with its network, task and preprocessing.
        root: the data folder.
        manifest: its index; its classes are matched to the model's by name.
        split: which images; None takes the test split, without one the validation split, without splits all images.
        ensemble: further models of the same task and classes.
        protocol: which views of an image the networks are shown.
        trained_on: indices of the data that the models were trained with; a note says how many images are among their
            training images.
        further: names of scores besides the usual ones; see :mod:`pixelwise.evaluation.further`.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        tile: longest side of a tile, in pixels; see :class:`~pixelwise.predict.predictor.Predictor`.
        memory_bytes: what the network may use for a picture; larger ones are cut into tiles.
        seed: of the bootstrap intervals.
        progress: called with the number of images done and of all images.
        should_stop: called before every image and between steps of the intervals; raises to end the evaluation.

    Raises:
        DataError: no labelled image in the split; classes that the model does not know; another task.
        UsageError: an unknown split or score; models that do not agree; a protocol or score that the task does not
            have.
        ImageError, MaskError: an image or mask that cannot be read, or a mask of another size than its image.
        DeviceError: the device is not there.

    """
    work, (chosen, indices) = begin(
        model,
        root,
        manifest,
        split=split,
        ensemble=ensemble,
        protocol=protocol,
        further=further,
        device=device,
        tile=tile,
        memory_bytes=memory_bytes,
        seed=seed,
        progress=progress,
        should_stop=should_stop,
    )
    findings = SCORERS[manifest.task](work)
    return Scores(
        task=model.task.name,
        split=chosen,
        num_images=len(work.indices),
        metric=model.task.metric,
        scores=findings.tally.scores,
        classes=findings.tally.classes,
        confusion=findings.confusion,
        calibration=findings.calibration,
        samples=findings.samples,
        notes=(*_remarks(manifest, indices, work.indices, trained_on), *findings.notes),
        protocol=protocol.to_text(),
    )


def begin(
    model: Model,
    root: Path,
    manifest: Manifest,
    *,
    split: Split | None = None,
    ensemble: Sequence[Model] = (),
    protocol: Protocol = CENTRE,
    further: Sequence[str] = (),
    device: str = "cpu",
    tile: int | None = None,
    memory_bytes: int | None = None,
    seed: int = 0,
    progress: Progress = lambda done, total: None,  # noqa: ARG005 - the names say what a caller gets
    should_stop: ShouldStop = lambda: None,
) -> tuple[Work, tuple[Split, NDArray[np.int64]]]:
    """Bring model and samples together; see :func:`evaluate`.

    Returns:
        The work, and the split that was chosen with all its samples, labelled or not.

    """
    if manifest.task != model.task.name:
        raise DataError(
            f"The data is for {manifest.task}",
            expected=f"data for {model.task.name}, which the model was trained for",
            do="Check the data folder, or use another model",
        )
    if further and manifest.task not in _WITH_FURTHER_SCORES:
        raise UsageError(
            f"--scores {','.join(further)} for {manifest.task}",
            expected=f"no further scores, or a model for {' or '.join(_WITH_FURTHER_SCORES)}",
            do="Leave --scores out",
        )
    order = class_order(manifest.classes, model.task.classes)
    chosen, indices = _choose_split(manifest, split)
    labelled = indices[manifest.labelled()[indices]]
    if not len(labelled):
        raise DataError(
            f"{f'The {chosen} split' if chosen != 'all' else 'The data'} has no labelled {manifest.form.sample}",
            expected="at least one",
            do="Choose another split, or add labels",
        )
    batch = _BATCH_BY_PIXEL if manifest.form.by_pixel else _BATCH
    work = Work(
        predictor=Predictor(
            model, device, batch, protocol=protocol, ensemble=ensemble, tile=tile, memory_bytes=memory_bytes
        ),
        reader=SampleReader(root, manifest),
        manifest=manifest,
        order=order,
        indices=labelled,
        further=Further.of(further),
        seed=seed,
        progress=progress,
        should_stop=should_stop,
    )
    return work, (chosen, indices)


def held_out_split(manifest: Manifest) -> Split:
    """Return "test" where there is a test split, else "val" where there is a validation split, else "all"."""
    choices: tuple[Split, ...] = ("test", "val")
    for name in choices:
        if len(manifest.indices(name)):
            return name
    return "all"


def _choose_split(manifest: Manifest, split: Split | None) -> tuple[Split, NDArray[np.int64]]:
    if split is not None and split not in SPLIT_CHOICES:
        raise UsageError(f"split {split!r}", expected=", ".join(SPLIT_CHOICES), do="Choose one")
    chosen = split or held_out_split(manifest)
    return chosen, np.arange(len(manifest)) if chosen == "all" else manifest.indices(chosen)


def _remarks(
    manifest: Manifest, indices: NDArray[np.int64], labelled: NDArray[np.int64], trained_on: Sequence[Manifest]
) -> tuple[str, ...]:
    """Say what makes the scores of these images less than they seem."""
    remarks, noun = [], f"{manifest.form.sample}s"
    if len(labelled) < len(indices):
        remarks.append(f"{len(indices) - len(labelled)} of {len(indices)} {noun} have no label and were left out.")
    if manifest.skipped and not any(manifest is one for one in trained_on):
        path, reason = manifest.skipped[0]
        remarks.append(f"Left out of the data folder: {len(manifest.skipped)}, the first being {path} ({reason}).")
    known = _known(manifest, labelled, trained_on)
    if known and len(trained_on) == 1:
        remarks.append(f"The model was trained on {known} of these {len(labelled)} {noun}: the scores flatter it.")
    elif known:
        remarks.append(f"Models were trained on {known} of these {len(labelled)} {noun}: the scores flatter them.")
    return tuple(remarks)


def _known(manifest: Manifest, indices: NDArray[np.int64], trained_on: Sequence[Manifest]) -> int:
    """Count the images whose content is among the training images of any model."""
    own = _digests(manifest, indices)
    known = np.zeros(len(own), np.bool_)
    for one in trained_on:
        known |= np.isin(own, _digests(one, one.indices("train")))
    return int(known.sum())


def _digests(manifest: Manifest, indices: NDArray[np.int64]) -> NDArray[np.bytes_]:
    return np.ascontiguousarray(manifest.column("sha256")[indices]).view("S32").ravel()
