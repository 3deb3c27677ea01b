"""Scores of segmented volumes, in the size of the label volume as it was drawn.

Dice and IoU of a class come from its voxels in all volumes together, as those of pictures do; their means leave out the
first class, the background (:mod:`pixelwise.metrics.label_maps`). Distances between the surfaces of each class but the
first are measured volume by volume in millimetres (in voxels where the spacing is not known); see
:mod:`pixelwise.evaluation.further` for their means and their rule for a structure that only one of truth and prediction
shows.
"""

import dataclasses
from typing import Final

import numpy as np

from pixelwise.data.masks import IGNORE
from pixelwise.data.volumes.volume import show_size
from pixelwise.errors import DataError, MaskError
from pixelwise.evaluation.classes import label_map_table
from pixelwise.evaluation.scores import defined
from pixelwise.evaluation.tally import tally_segmentation
from pixelwise.evaluation.work import Findings, Work
from pixelwise.metrics import VOXELS, ClassCounts, confusion_matrix
from pixelwise.predict.volume_prediction import VolumePrediction

USUAL: Final = ("hausdorff_95", "average_surface_distance")


def score_volumes(work: Work) -> Findings:
    """Compare every voxel of every label volume with the predicted one, and the surfaces of the structures.

    Raises:
        MaskError: a label volume of another size than its volume.
        DataError: all voxels are ignored.

    """
    size = len(work.classes)
    table = label_map_table(work.order)
    in_mm = all(work.manifest.spacing(int(index)) is not None for index in work.indices)
    names = tuple(dict.fromkeys((*USUAL, *work.further.outlines)))
    further = dataclasses.replace(work.further, outlines=names, unit="mm" if in_mm else "voxels")
    confusion = np.zeros((size, size), np.int64)
    rows = np.zeros((3, len(work.indices), size), np.int64)
    outlines = np.zeros((len(work.indices), 2, len(further.outlines), size))
    samples = []
    for place, (index, prediction) in enumerate(work.predictions()):
        assert isinstance(prediction, VolumePrediction)  # the model's task is volumes
        truth = table[work.reader.label_map(index)]
        _check_size(work, index, truth.shape, prediction.label_map.shape)
        one = confusion_matrix(truth, prediction.label_map, size, ignore=IGNORE)
        seen = np.where(truth == IGNORE, IGNORE, prediction.label_map)
        outlines[place] = further.row(truth, seen, size, spacing=work.manifest.spacing(index) if in_mm else None)
        confusion += one
        counts = ClassCounts.from_confusion(one)
        rows[:, place] = counts.correct, counts.truth, counts.predicted
        samples.append(work.sample(index, defined(VOXELS.of_sample(counts))))
    outlines[..., 0] = 0  # the background's surface is that of all structures together
    if not confusion.any():
        raise DataError(
            "All voxels of all label volumes are ignored", expected="labelled voxels", do="Check how they are read"
        )
    tally = tally_segmentation(
        ClassCounts(*rows),
        work.classes,
        read=VOXELS,
        seed=work.seed,
        should_stop=work.should_stop,
        further=further,
        outlines=outlines,
    )
    return Findings(tally, confusion, tuple(samples))


def _check_size(work: Work, index: int, truth: tuple[int, ...], predicted: tuple[int, ...]) -> None:
    if truth != predicted:
        sample = work.manifest[index]
        raise MaskError(
            f"{sample.mask} has {show_size(truth)} voxels",
            expected=f"{show_size(predicted)}, the size of {sample.path}",
            do="Run pixelwise check on the data",
        )
