"""Scores of segmentations, in the size of the label map as it was drawn.

Where the preprocessing resizes, probabilities are brought back to the picture's size first. Scores at the network's
size would flatter, because thin structures and rough edges vanish from the truth as well when it is made smaller.
Pixels that the preprocessing cuts off have no answer; they are not counted, and a note says how many they are.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.masks import IGNORE
from pixelwise.errors import DataError, MaskError
from pixelwise.evaluation.classes import label_map_table
from pixelwise.evaluation.large import confusion_by_strips, large_pictures
from pixelwise.evaluation.scores import defined
from pixelwise.evaluation.tally import tally_segmentation
from pixelwise.evaluation.work import Findings, Work
from pixelwise.metrics import PIXELS, ClassCounts, confusion_matrix
from pixelwise.predict.prediction import MaskPrediction


def score_label_maps(work: Work) -> Findings:
    """Compare every pixel of every mask with the predicted one.

    Raises:
        MaskError: a mask of another size than its image.
        DataError: all pixels are ignored.

    """
    size = len(work.classes)
    table = label_map_table(work.order)
    confusion = np.zeros((size, size), np.int64)
    rows = np.zeros((3, len(work.indices), size), np.int64)
    outlines = np.zeros((len(work.indices), 2, len(work.further.outlines), size))
    samples, pixels, unanswered = [], 0, 0
    large = large_pictures(work)
    in_memory = work.predictions(leaving_out=large)
    for place, index in enumerate(work.indices.tolist()):
        if index in large:
            one, labelled = confusion_by_strips(work, index, large[index], table)
            work.progress(place + 1, len(work.indices))
        else:
            _, prediction = next(in_memory)
            assert isinstance(prediction, MaskPrediction)  # the model's task is segmentation
            truth = table[work.reader.label_map(index)]
            _check_size(work, index, truth, prediction.label_map)
            labelled = int((truth != IGNORE).sum())
            truth = np.where(prediction.label_map == IGNORE, np.uint8(IGNORE), truth)
            one = confusion_matrix(truth, np.minimum(prediction.label_map, size - 1), size, ignore=IGNORE)
            outlines[place] = work.further.row(truth, np.where(truth == IGNORE, IGNORE, prediction.label_map), size)
        confusion += one
        pixels, unanswered = pixels + labelled, unanswered + labelled - int(one.sum())
        counts = ClassCounts.from_confusion(one)
        rows[:, place] = counts.correct, counts.truth, counts.predicted
        samples.append(work.sample(index, defined(PIXELS.of_sample(counts))))
    if not confusion.any():
        raise DataError(
            "All pixels of all masks are ignored", expected="labelled pixels", do="Check how the masks are read"
        )
    tally = tally_segmentation(
        ClassCounts(*rows),
        work.classes,
        seed=work.seed,
        should_stop=work.should_stop,
        further=work.further,
        outlines=outlines,
    )
    notes: tuple[str, ...] = ()
    if unanswered:
        share = 100 * unanswered / pixels
        notes = (f"{share:.1f} % of the labelled pixels lie outside the part that the model sees; not counted.",)
    return Findings(tally, confusion, tuple(samples), notes=notes)


def _check_size(work: Work, index: int, truth: NDArray[Any], predicted: NDArray[Any]) -> None:
    if truth.shape != predicted.shape:
        sample = work.manifest[index]
        raise MaskError(
            f"{sample.mask} has {truth.shape[0]} x {truth.shape[1]} pixels",
            expected=f"{predicted.shape[0]} x {predicted.shape[1]}, the size of {sample.path}",
            do="Run pixelwise check on the data",
        )
