"""Scores of classifications: what the most probable class is, and how sure the model is of it."""

import numpy as np

from pixelwise.evaluation.tally import ClassificationCounts, tally_classification
from pixelwise.evaluation.work import Findings, Work
from pixelwise.metrics import calibration_bins, confusion_matrix
from pixelwise.predict.prediction import ClassPrediction


def score_classes(work: Work) -> Findings:
    """Compare the class of every sample with the predicted one."""
    counts, samples = ClassificationCounts(), []
    confidences = np.zeros(len(work.indices))
    labels = work.labels()
    for place, (index, prediction) in enumerate(work.predictions()):
        assert isinstance(prediction, ClassPrediction)  # the model's task is classification
        truth, probabilities = int(labels[place]), prediction.probabilities
        own = probabilities[truth]
        before = (probabilities > own).sum() + (probabilities[:truth] == own).sum()
        counts.add(truth, prediction.index, int(before))
        confidences[place] = prediction.probability
        samples.append(
            work.sample(
                index,
                float(own),
                truth=work.classes[truth],
                prediction=prediction.label,
                probability=prediction.probability,
            )
        )
    predicted = np.array(counts.predicted, dtype=np.int64)
    bins = calibration_bins(confidences, predicted == labels)
    tally = tally_classification(counts, bins, work.classes, seed=work.seed, should_stop=work.should_stop)
    confusion = confusion_matrix(labels, predicted, len(work.classes), ignore=None)
    return Findings(tally, confusion, tuple(samples), bins)
