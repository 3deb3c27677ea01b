"""Scoring pictures that need not fit into memory: predicted tile by tile into a file, compared strip by strip."""

import functools
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.masks import IGNORE
from pixelwise.data.windows import WindowedArray, open_mask_windows
from pixelwise.errors import TooLittleMemoryError, UsageError
from pixelwise.evaluation.work import Work
from pixelwise.metrics import confusion_matrix
from pixelwise.predict.large import LargeOptions, predict_large

_MEMORY_BYTES: Final = 2 * 10**9
"""For the tiles of a picture that is scored: what training took beside that may still be held."""


def large_pictures(work: Work) -> dict[int, WindowedArray]:
    """Return the true label maps, to be read by window, of the pictures that are predicted tile by tile, by index.

    Other pictures are predicted in memory, and so are all of an ensemble, of a protocol of several views, of a model
    that resizes, and where steps follow the network.

    Raises:
        UsageError: scores of outlines are asked for, which need whole label maps.

    """
    model = work.predictor.model
    if work.predictor.single is None or work.predictor.pipeline.steps or model.preprocess.size is not None:
        return {}
    found = {}
    for index in work.indices.tolist():
        windowed = work.reader.windowed(index, model.preprocess.channels)
        if windowed is not None and windowed[0].shape[:2] == windowed[1].shape:  # the others are refused in memory
            found[index] = windowed[1]
    if found and work.further.outlines:
        picture = work.manifest[next(iter(found))]
        raise UsageError(
            f"--scores {','.join(work.further.outlines)} of {picture.path} with {picture.height:,} x {picture.width:,} "
            "pixels",
            expected="smaller pictures, as outlines are compared whole",
            do="Leave these scores out, or cut the pictures into tiles",
        )
    return found


def confusion_by_strips(
    work: Work, index: int, truth: WindowedArray, table: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], int]:
    """Predict a large picture, and count its pixels by true and by predicted class.

    Args:
        work: whose model predicts.
        index: of the picture.
        truth: its label map.
        table: the model's class for each of the data set's.

    Returns:
        (K, K) counts, rows the truth, and the number of labelled pixels.

    """
    member, size = work.predictor.single, len(work.classes)
    assert member is not None  # or there would be no large pictures
    confusion, labelled = np.zeros((size, size), np.int64), 0
    with tempfile.TemporaryDirectory(prefix="pixelwise-") as folder:
        path = work.reader.root / work.manifest[index].path
        # What is missing was asked when the data were indexed.
        predict = functools.partial(
            predict_large,
            member,
            path,
            Path(folder),
            cells=work.manifest.cells(index),
            progress=lambda _done, _total: work.should_stop(),
        )
        try:
            summary = predict(LargeOptions(memory_bytes=_MEMORY_BYTES, missing="fill"))
        except TooLittleMemoryError:  # the network's smallest tile takes more
            summary = predict(LargeOptions(missing="fill"))
        predicted = open_mask_windows(summary.places.mask)
        for stored, said in zip(truth.strips(), predicted.strips(), strict=True):
            true = table[stored]
            confusion += confusion_matrix(true, said.astype(np.uint8, copy=False), size, ignore=IGNORE)
            labelled += int((true != IGNORE).sum())
    return confusion, labelled
