"""Evaluate a model on one split of a data set.

Pictures go through the predictor, so that what is scored is what a user gets. Segmentations are scored in the size of
the label map as it was drawn: where the preprocessing resizes, its probabilities are brought back to the picture's size
first. Scores at the network's size would flatter, because thin structures and rough edges vanish from the truth as
well when it is made smaller. Pixels that the preprocessing cuts off have no answer; they are not counted, and a note
says how many they are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.manifest import Manifest
from pixelwise.data.masks import IGNORE
from pixelwise.data.reading import SampleReader
from pixelwise.errors import DataError, MaskError, PixelwiseError, UsageError
from pixelwise.evaluation.classes import class_order, label_map_table
from pixelwise.evaluation.scores import SampleScore, Scores, Split, defined
from pixelwise.evaluation.tally import ClassificationCounts, Tally, tally_classification, tally_segmentation
from pixelwise.metrics import ClassCounts, calibration_bins, confusion_matrix, mean_defined
from pixelwise.predict.prediction import ClassPrediction, MaskPrediction, Prediction
from pixelwise.predict.predictor import Predictor
from pixelwise.predict.protocols import CENTRE, Protocol
from pixelwise.runs.model import Model

SPLIT_CHOICES: tuple[Split, ...] = ("test", "val", "train", "all")

_CLASSIFICATION_BATCH = 64
_SEGMENTATION_BATCH = 1
"""Pictures of any size, one at a time, so that a signal to stop is honoured after each."""
_DECIMALS = 6

Progress = Callable[[int, int], None]
ShouldStop = Callable[[], None]


def evaluate(
    model: Model,
    root: Path,
    manifest: Manifest,
    *,
    split: Split | None = None,
    ensemble: Sequence[Model] = (),
    protocol: Protocol = CENTRE,
    trained_on: Sequence[Manifest] = (),
    device: str = "cpu",
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
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        seed: of the bootstrap intervals.
        progress: called with the number of images done and of all images.
        should_stop: called before every image and between steps of the intervals; raises to end the evaluation.

    Raises:
        DataError: no labelled image in the split; classes that the model does not know; another task.
        UsageError: an unknown split; models that do not agree; a protocol that the task cannot be tested with.
        ImageError, MaskError: an image or mask that cannot be read, or a mask of another size than its image.
        DeviceError: the device is not there.

    """
    if manifest.task != model.task.name:
        raise DataError(
            f"The data is for {manifest.task}",
            expected=f"data for {model.task.name}, which the model was trained for",
            do="Check the data folder, or use another model",
        )
    order = class_order(manifest.classes, model.task.classes)
    chosen, indices = _choose_split(manifest, split)
    labelled = _labelled(manifest, indices)
    if not len(labelled):
        raise DataError(
            f"The {chosen} split has no labelled image" if chosen != "all" else "The data has no labelled image",
            expected="at least one",
            do="Choose another split, or add labels",
        )
    is_classification = model.task.name == "classification"
    work = _Work(
        predictor=Predictor(
            model,
            device,
            _CLASSIFICATION_BATCH if is_classification else _SEGMENTATION_BATCH,
            protocol=protocol,
            ensemble=ensemble,
        ),
        reader=SampleReader(root, manifest),
        manifest=manifest,
        order=order,
        indices=labelled,
        seed=seed,
        progress=progress,
        should_stop=should_stop,
    )
    findings = work.classification() if is_classification else work.segmentation()
    return Scores(
        task=model.task.name,
        split=chosen,
        num_images=len(labelled),
        metric=model.task.metric,
        scores=findings.tally.scores,
        classes=findings.tally.classes,
        confusion=findings.confusion,
        calibration=findings.calibration,
        samples=findings.samples,
        notes=(*_remarks(manifest, indices, labelled, trained_on), *findings.notes),
        protocol=protocol.to_text(),
    )


@dataclass(frozen=True, slots=True)
class _Picture:
    """One sample as the predictor's source."""

    reader: SampleReader
    index: int
    name: str
    should_stop: ShouldStop

    def read(self) -> NDArray[Any]:
        self.should_stop()
        return self.reader.image(self.index)


@dataclass(frozen=True, slots=True)
class _Findings:
    tally: Tally
    confusion: NDArray[np.int64]
    samples: tuple[SampleScore, ...]
    calibration: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Work:
    """One evaluation under way."""

    predictor: Predictor
    reader: SampleReader
    manifest: Manifest
    order: NDArray[np.int64]
    """Index in the model's class table of each class of the manifest."""
    indices: NDArray[np.int64]
    """Of the labelled samples."""
    seed: int
    progress: Progress
    should_stop: ShouldStop

    @property
    def classes(self) -> tuple[str, ...]:
        return self.predictor.classes

    def classification(self) -> _Findings:
        counts, samples = ClassificationCounts(), []
        confidences = np.zeros(len(self.indices))
        labels = self.order[self.manifest.column("label")[self.indices]]
        for place, (index, prediction) in enumerate(self._predictions()):
            assert isinstance(prediction, ClassPrediction)  # the model's task is classification
            truth, probabilities = int(labels[place]), prediction.probabilities
            own = probabilities[truth]
            before = (probabilities > own).sum() + (probabilities[:truth] == own).sum()
            counts.add(truth, prediction.index, int(before))
            confidences[place] = prediction.probability
            samples.append(
                self._sample(
                    index,
                    float(own),
                    truth=self.classes[truth],
                    prediction=prediction.label,
                    probability=round(prediction.probability, _DECIMALS),
                )
            )
        predicted = np.array(counts.predicted, dtype=np.int64)
        bins = calibration_bins(confidences, predicted == labels)
        tally = tally_classification(counts, bins, self.classes, seed=self.seed, should_stop=self.should_stop)
        confusion = confusion_matrix(labels, predicted, len(self.classes), ignore=None)
        return _Findings(tally, confusion, tuple(samples), bins)

    def segmentation(self) -> _Findings:
        size = len(self.classes)
        table = label_map_table(self.order)
        confusion = np.zeros((size, size), np.int64)
        rows = np.zeros((3, len(self.indices), size), np.int64)
        samples, pixels, unanswered = [], 0, 0
        for place, (index, prediction) in enumerate(self._predictions()):
            assert isinstance(prediction, MaskPrediction)  # the model's task is segmentation
            truth = table[self.reader.label_map(index)]
            self._check_size(index, truth, prediction.label_map)
            labelled = int((truth != IGNORE).sum())
            truth = np.where(prediction.label_map == IGNORE, np.uint8(IGNORE), truth)
            one = confusion_matrix(truth, np.minimum(prediction.label_map, size - 1), size, ignore=IGNORE)
            confusion += one
            pixels, unanswered = pixels + labelled, unanswered + labelled - int(one.sum())
            counts = ClassCounts.from_confusion(one)
            rows[:, place] = counts.correct, counts.truth, counts.predicted
            samples.append(self._sample(index, defined(float(mean_defined(counts.iou())))))
        if not confusion.any():
            raise DataError(
                "All pixels of all masks are ignored", expected="labelled pixels", do="Check how the masks are read"
            )
        tally = tally_segmentation(ClassCounts(*rows), self.classes, seed=self.seed, should_stop=self.should_stop)
        notes: tuple[str, ...] = ()
        if unanswered:
            share = 100 * unanswered / pixels
            notes = (f"{share:.1f} % of the labelled pixels lie outside the part that the model sees; not counted.",)
        return _Findings(tally, confusion, tuple(samples), notes=notes)

    def _predictions(self) -> Iterator[tuple[int, Prediction]]:
        """Yield each sample's index with its prediction; the first one that fails raises its error."""
        total = len(self.indices)
        sources = (
            _Picture(self.reader, int(index), self.manifest[int(index)].path, self.should_stop)
            for index in self.indices
        )
        outcomes = self.predictor.attempt_many(sources)
        for done, (index, outcome) in enumerate(zip(self.indices, outcomes, strict=True), start=1):
            if isinstance(outcome, PixelwiseError):
                raise outcome
            yield int(index), outcome
            self.progress(done, total)

    def _check_size(self, index: int, truth: NDArray[Any], predicted: NDArray[Any]) -> None:
        if truth.shape != predicted.shape:
            sample = self.manifest[index]
            raise MaskError(
                f"{sample.mask} has {truth.shape[0]} x {truth.shape[1]} pixels",
                expected=f"{predicted.shape[0]} x {predicted.shape[1]}, the size of {sample.path}",
                do="Run pixelwise check on the data",
            )

    def _sample(
        self,
        index: int,
        score: float | None,
        *,
        truth: str | None = None,
        prediction: str | None = None,
        probability: float | None = None,
    ) -> SampleScore:
        sample = self.manifest[index]
        rounded = None if score is None else round(score, _DECIMALS)
        return SampleScore(sample.path, sample.frame, rounded, truth, prediction, probability)


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
    remarks = []
    if len(labelled) < len(indices):
        remarks.append(f"{len(indices) - len(labelled)} of {len(indices)} images have no label and were left out.")
    if manifest.skipped and not any(manifest is one for one in trained_on):
        path, reason = manifest.skipped[0]
        remarks.append(f"Left out of the data folder: {len(manifest.skipped)}, the first being {path} ({reason}).")
    known = _known(manifest, labelled, trained_on)
    if known and len(trained_on) == 1:
        remarks.append(f"The model was trained on {known} of these {len(labelled)} images: the scores flatter it.")
    elif known:
        remarks.append(f"Models were trained on {known} of these {len(labelled)} images: the scores flatter them.")
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


def _labelled(manifest: Manifest, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    if manifest.task == "classification":
        return indices[manifest.column("label")[indices] >= 0]
    has_mask = np.array([bool(mask) for mask in manifest.masks.texts()], dtype=np.bool_)
    return indices[has_mask[indices]]
