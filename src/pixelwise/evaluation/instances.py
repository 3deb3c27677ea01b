"""Scores of instances: objects found, told apart and outlined, in the size of the masks as they were drawn.

Sources and rules: :mod:`pixelwise.metrics.instances`. Most scores come from counts added up over the images, so that an
image without objects still counts what was invented there. Two are means over the images:

- ``aggregated_jaccard``, as Kumar et al. 2017 and their MoNuSeg challenge (2020) report it. Added up, one object that
  swallows a hundred others would enter the sum a hundred times and decide the score of all images. An image without
  objects in truth and prediction has none and is left out; one with objects in either alone has 0.
- ``count_error``: how far the number of predicted objects is from the true one, as a share of the true one (of 1 where
  there is none).

Objects of different classes are never matched with each other: the counts of an image are those of each class, added
up, and AP, PQ and AJI of a class stand in its own row. The background has no row.
"""

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from pixelwise.data.masks import IGNORE
from pixelwise.errors import DataError, MaskError
from pixelwise.evaluation.classes import label_map_table
from pixelwise.evaluation.scores import defined
from pixelwise.evaluation.tally import Array, Measured, tally_sums
from pixelwise.evaluation.work import Findings, Work
from pixelwise.metrics import IOU_THRESHOLDS, InstanceCounts, instance_counts, mean_defined
from pixelwise.metrics.per_class import ratio
from pixelwise.predict.instance_prediction import InstancePrediction

AP50, AP75 = IOU_THRESHOLDS.index(0.5), IOU_THRESHOLDS.index(0.75)
_PER_CLASS = len(IOU_THRESHOLDS) + 6


def score_instances(work: Work) -> Findings:
    """Compare the objects of every sample with the predicted ones.

    Raises:
        MaskError: a mask of another size than its image.
        DataError: no object in any of the masks or predictions.

    """
    table = label_map_table(work.order)
    rows, samples, objects = [], [], 0
    for index, prediction in work.predictions():
        assert isinstance(prediction, InstancePrediction)  # the model's task is instances
        class_map, truth = table[work.reader.label_map(index)], work.reader.objects(index)
        if truth.shape != prediction.labels.shape:
            raise _wrong_size(work, index, truth.shape, prediction.labels.shape)
        counts = [
            instance_counts(
                np.where(class_map == place, truth, 0),
                np.where(prediction.object_classes[prediction.labels] == place, prediction.labels, 0),
                ignored=class_map == IGNORE,
            )
            for place in range(1, len(work.classes))
        ]
        row = np.concatenate([one.row() for one in counts])
        jaccards = np.array([one.aggregated_jaccard() for one in (_pooled(row), *counts)])
        true, found = (float(sum(getattr(one, side) for one in counts)) for side in ("truth", "predicted"))
        rows.append([*row, *np.nan_to_num(jaccards), *~np.isnan(jaccards), abs(found - true) / max(true, 1)])
        objects += int(true)
        score = defined(float(_pooled(row).average_precision()[AP50]))
        samples.append(work.sample(index, score, truth=_count_text(true), prediction=_count_text(found)))
    if not objects:
        raise DataError("No mask of the split shows an object", expected="at least one", do="Check how masks are read")

    kinds = len(work.classes) - 1

    def measure(sums: Array) -> Measured:
        each = sums[:, : kinds * _PER_CLASS]
        total, defined_in = np.split(sums[:, kinds * _PER_CLASS : -1], 2, axis=1)
        jaccard = ratio(total, defined_in)  # of all classes, then of each
        counts = _pooled(each)
        precision = counts.average_precision()
        overall = {
            "ap50": precision[:, AP50],
            "ap75": precision[:, AP75],
            "mean_ap": mean_defined(precision),
            "aggregated_jaccard": jaccard[:, 0],
            "panoptic_quality": counts.panoptic_quality(),
            "object_f1": counts.recognition_quality(),
            "count_error": sums[:, -1] / len(rows),
        }
        return Measured(overall, *_of_classes(each, jaccard[:, 1:]))

    tally = tally_sums(
        scipy.sparse.csr_array(np.array(rows)),
        measure,
        work.classes[1:],
        images=len(rows),
        seed=work.seed,
        should_stop=work.should_stop,
    )
    return Findings(tally, np.zeros((0, 0), np.int64), tuple(samples))


def _pooled(sums: Array) -> InstanceCounts:
    """Counts of all classes together, of (..., (K - 1) * (T + 6)) sums."""
    return InstanceCounts.from_row(sums.reshape(*sums.shape[:-1], -1, _PER_CLASS).sum(-2))


def _of_classes(sums: Array, jaccard: Array) -> tuple[dict[str, Array], NDArray[np.float64]]:
    """Scores of each class but the background, (b, K - 1), and how many objects of each there are."""
    counts = InstanceCounts.from_row(sums.reshape(len(sums), -1, _PER_CLASS))
    precision = counts.average_precision()
    columns = {
        "ap50": precision[..., AP50],
        "ap75": precision[..., AP75],
        "mean_ap": mean_defined(precision),
        "aggregated_jaccard": jaccard,
        "panoptic_quality": counts.panoptic_quality(),
    }
    return columns, counts.truth


def _count_text(number: float) -> str:
    return f"{number:,.0f} object" + ("" if number == 1 else "s")


def _wrong_size(work: Work, index: int, truth: tuple[int, ...], predicted: tuple[int, ...]) -> MaskError:
    sample = work.manifest[index]
    return MaskError(
        f"{sample.mask} has {truth[0]} x {truth[1]} pixels",
        expected=f"{predicted[0]} x {predicted[1]}, the size of {sample.path}",
        do="Run pixelwise check on the data",
    )
