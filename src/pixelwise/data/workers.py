"""Processes that read batches ahead, on torch's DataLoader.

The loader is asked for whole batches by their positions, so that it neither shuffles nor collates: order and draws are
decided before, and any number of workers gives the same stream.
"""

import multiprocessing
import signal
import sys
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from pixelwise.data.dataset import Arrays, Dataset
from pixelwise.errors import PixelwiseError, TrainingError

_Reply = tuple[torch.Tensor, torch.Tensor, NDArray[np.int64]] | PixelwiseError


class _Requests(TorchDataset[Any]):
    """What a worker answers: one batch for the positions that it is asked for."""

    def __init__(self, dataset: Dataset, epoch: int) -> None:
        self.dataset, self.epoch = dataset, epoch

    def __getitem__(self, positions: NDArray[np.int64]) -> _Reply:
        try:
            images, targets, indices = self.dataset.arrays(positions, self.epoch)
        except PixelwiseError as error:
            return error  # as a value: the loader would bury the message under the worker's traceback
        return torch.from_numpy(images), torch.from_numpy(targets), indices


def read_ahead(dataset: Dataset, plan: list[NDArray[np.int64]], epoch: int, workers: int) -> Iterator[Arrays]:
    """Yield the batches of ``plan`` in order, read by ``workers`` processes, two batches ahead each.

    Raises:
        TrainingError: a worker died, for example because the system ran out of memory.
        PixelwiseError: whatever a worker met.

    """
    # A forked process shares the cache; OpenCV's threads do not survive a fork, so none may be waiting there.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        loader = DataLoader(
            _Requests(dataset, epoch),
            batch_size=None,
            sampler=plan,
            num_workers=workers,
            collate_fn=_as_it_is,
            worker_init_fn=_settle,
            multiprocessing_context=multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn"),
        )
        replies = iter(loader)
    finally:
        cv2.setNumThreads(threads)
    for _ in plan:
        try:
            reply = next(replies)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise TrainingError(
                f"A process that loads data died ({str(error).splitlines()[0].rstrip('. ')})",
                expected=f"{workers} of them to live as long as the epoch",
                do="Often memory ran out: use fewer workers or none (workers=0), smaller batches, or cache=none",
            ) from None
        if isinstance(reply, PixelwiseError):
            raise reply
        images, targets, indices = reply
        yield images.numpy(), targets.numpy(), indices


def _as_it_is(reply: Any) -> Any:
    return reply


def _settle(_: int) -> None:
    """Leave Ctrl-C to the parent, which ends its workers; end on SIGTERM, whatever the parent does with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(1)
