"""Scores of localisations: whether class and box are right, in pixels of the pictures as they are.

Source: Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", 2015, section 4.2: an object is
localised where the class is right and the boxes overlap by at least half; the localisation error is the share of
pictures where it is not. The challenge lets a model guess five times; here it guesses once. Of one class there is
neither top1 nor a calibration error: it could not be wrong.
"""

import numpy as np
import scipy.sparse
import torch

from pixelwise.data.boxes import parse_box
from pixelwise.evaluation.scores import Score
from pixelwise.evaluation.tally import Array, Measured, tally_sums
from pixelwise.evaluation.work import Findings, Work
from pixelwise.metrics import (
    LOCALISED_IOU,
    ClassCounts,
    box_iou,
    calibration_bins,
    confusion_matrix,
    expected_calibration_error,
    ratio,
)
from pixelwise.predict.box_prediction import BoxPrediction
from pixelwise.tasks.views import hidden_objects


def score_boxes(work: Work) -> Findings:
    """Compare class and box of every sample with the predicted ones."""
    labels, count = work.labels(), len(work.indices)
    predicted, confidences = np.zeros(count, np.int64), np.zeros(count)
    boxes, truths = np.zeros((count, 4)), np.zeros((count, 4))
    names = []
    for place, (index, prediction) in enumerate(work.predictions()):
        assert isinstance(prediction, BoxPrediction)  # the model's task is localisation
        predicted[place], confidences[place] = prediction.index, prediction.probability
        boxes[place], truths[place] = prediction.box, parse_box(work.manifest.annotations[index])
        names.append(prediction.label)
    overlaps = box_iou(torch.from_numpy(boxes), torch.from_numpy(truths)).numpy()
    right = predicted == labels
    samples = tuple(
        work.sample(
            int(index),
            float(overlaps[place]) if right[place] else 0.0,
            truth=work.classes[labels[place]],
            prediction=names[place],
            probability=float(confidences[place]),
        )
        for place, index in enumerate(work.indices)
    )
    localised = right & (overlaps >= LOCALISED_IOU)
    size = len(work.classes)
    has_choice = size > 1
    columns = [(right, labels, 0), (np.ones(count), labels, 1), (np.ones(count), predicted, 2)]
    columns += [(overlaps, labels, 3), (localised, labels, 4)]
    summands = scipy.sparse.csr_array(
        (
            np.concatenate([values for values, _, _ in columns]).astype(np.float64),
            (np.tile(np.arange(count), 5), np.concatenate([classes + block * size for _, classes, block in columns])),
        ),
        shape=(count, 5 * size),
    )

    def measure(sums: Array) -> Measured:
        correct, truth, said, overlap, found = (sums[:, block * size : (block + 1) * size] for block in range(5))
        counts = ClassCounts(correct, truth, said)
        accuracy = ratio(found.sum(1), truth.sum(1))
        overall = {
            "localisation_accuracy": accuracy,
            "localisation_error": 1 - accuracy,
            **({"top1": counts.accuracy()} if has_choice else {}),
            "box_iou": ratio(overlap.sum(1), truth.sum(1)),
        }
        classes = {
            "localisation_accuracy": ratio(found, truth),
            "box_iou": ratio(overlap, truth),
            "recall": counts.recall(),
            "precision": counts.precision(),
        }
        return Measured(overall, classes, truth)

    tally = tally_sums(summands, measure, work.classes, images=count, seed=work.seed, should_stop=work.should_stop)
    confusion = confusion_matrix(labels, predicted, size, ignore=None)
    bins = calibration_bins(confidences, right) if has_choice else ()
    if has_choice:
        tally = tally.with_score(Score("ece", expected_calibration_error(bins), count, "fraction", None, None))
    return Findings(tally, confusion, samples, bins, _cut_away(work))


def _cut_away(work: Work) -> tuple[str, ...]:
    hidden = hidden_objects(work.manifest, work.predictor.model.preprocess, work.indices)
    if not hidden:
        return ()
    return (
        f"The model's resize=crop cuts away all of {hidden} of {len(work.indices)} objects: they count as not found.",
    )
