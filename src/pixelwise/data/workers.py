"""Processes that read batches ahead.

Batch k of the plan is read by worker k modulo their number, and taken in that order: order and draws are decided
before, so any number of workers gives the same stream. A worker writes its arrays into memory that it shares with the
parent; only their shapes go through a pipe. Workers never touch torch, so they start in milliseconds and hold no
locks of its threads.

The parent waits for the next batch and for the death of any worker at the same time: a worker that the system kills is
noticed at once, in the place where a batch is asked for and nowhere else.
"""

import mmap
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelwise.data.sample_set import Arrays, SampleSet
from pixelwise.errors import PixelwiseError, TrainingError

_AHEAD = 2
"""Batches that a worker holds ready."""
_ORPHAN_SECONDS = 5.0
_FORKS = sys.platform == "linux"

_Form = tuple[tuple[int, ...], str]
"""Shape and data type of an array."""
_Reply = tuple[_Form, _Form] | PixelwiseError | str
"""Forms of images and targets; or what went wrong: an error of ours, or the traceback of a defect."""


@dataclass(frozen=True, slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection
    memory: NDArray[np.uint8]
    """(_AHEAD, bytes of the largest batch)."""


def read_ahead(dataset: SampleSet, plan: list[NDArray[np.int64]], epoch: int, workers: int) -> Iterator[Arrays]:
    """Yield the batches of ``plan`` in order, read by ``workers`` processes, two batches ahead each.

    Raises:
        TrainingError: a worker died, for example because the system ran out of memory.
        PixelwiseError: whatever a worker met.

    """
    size_bytes = _batch_bytes(dataset, max(map(len, plan)))
    team: list[_Worker] = []
    # OpenCV's threads do not survive a fork, so none may be expected there.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        for _ in range(workers):
            team.append(_start(dataset, epoch, size_bytes))
        cv2.setNumThreads(threads)
        for k in range(min(workers * _AHEAD, len(plan))):
            _ask(team, k, plan[k])
        for k, positions in enumerate(plan):
            images, targets = _take(team, k)
            if k + workers * _AHEAD < len(plan):
                _ask(team, k + workers * _AHEAD, plan[k + workers * _AHEAD])
            yield images, targets, dataset.indices[positions]
    finally:
        cv2.setNumThreads(threads)
        for worker in team:
            worker.pipe.close()
            worker.process.kill()
            worker.process.join()


def _batch_bytes(dataset: SampleSet, samples: int) -> int:
    """Room for the images and targets of a batch, the targets on a whole word."""
    return -(-(samples * dataset.sample_bytes + 8) // 8) * 8


def _start(dataset: SampleSet, epoch: int, size_bytes: int) -> _Worker:
    """Start one worker; a forked one shares anonymous memory (and the cache), which no small /dev/shm limits."""
    context = multiprocessing.get_context("fork") if _FORKS else multiprocessing.get_context("spawn")
    memory: Any = mmap.mmap(-1, _AHEAD * size_bytes) if _FORKS else context.RawArray("B", _AHEAD * size_bytes)
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(dataset, epoch, there, memory, os.getpid()), daemon=True)
    process.start()
    there.close()
    return _Worker(process, here, np.frombuffer(memory, np.uint8).reshape(_AHEAD, size_bytes))


def _ask(team: list[_Worker], k: int, positions: NDArray[np.int64]) -> None:
    try:
        team[k % len(team)].pipe.send((k // len(team) % _AHEAD, positions))
    except OSError:
        raise _death(team) from None


def _take(team: list[_Worker], k: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Wait for batch k and copy it out of the shared memory."""
    worker = team[k % len(team)]
    ready = multiprocessing.connection.wait([worker.pipe, *(each.process.sentinel for each in team)])
    if worker.pipe not in ready:
        raise _death(team)
    try:
        reply: _Reply = worker.pipe.recv()
    except (EOFError, OSError):
        raise _death(team) from None
    if isinstance(reply, PixelwiseError):
        raise reply
    if isinstance(reply, str):
        raise RuntimeError(f"A process that loads data failed:\n{reply}")  # noqa: TRY004 - a defect, not a wrong type
    images, targets = _views(worker.memory[k // len(team) % _AHEAD], *reply)
    return images.copy(), targets.copy()


def _views(slot: NDArray[np.uint8], *forms: _Form) -> list[NDArray[Any]]:
    """Arrays of the given forms one after the other in ``slot``, each on a whole word."""
    arrays, start = [], 0
    for shape, dtype in forms:
        end = start + int(np.prod(shape)) * np.dtype(dtype).itemsize
        arrays.append(slot[start:end].view(dtype).reshape(shape))
        start = -(-end // 8) * 8
    return arrays


def _death(team: list[_Worker]) -> TrainingError:
    """Say which worker died, and how."""
    for worker in team:
        worker.process.join(timeout=1.0)
        code = worker.process.exitcode
        if code is not None:
            how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            break
    else:
        how = "its pipe closed"
    return TrainingError(
        f"A process that loads data died ({how})",
        expected=f"all {len(team)} of them to live as long as the epoch",
        do="Often memory ran out: use fewer workers or none (workers=0), or smaller batches",
    )


def _work(dataset: SampleSet, epoch: int, pipe: Connection, memory: Any, parent: int) -> None:
    """Answer requests until the parent closes the pipe or dies.

    Ctrl-C is left to the parent, which ends its workers; SIGTERM ends a worker, whatever the parent does with it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(1)
    slots = np.frombuffer(memory, np.uint8).reshape(_AHEAD, -1)
    while True:
        while not pipe.poll(_ORPHAN_SECONDS):
            if os.getppid() != parent:  # siblings may hold the pipe open after a parent that was killed
                return
        try:
            slot, positions = pipe.recv()
            pipe.send(_answer(dataset, positions, epoch, slots[slot]))
        except (EOFError, OSError):
            return


def _answer(dataset: SampleSet, positions: NDArray[np.int64], epoch: int, slot: NDArray[np.uint8]) -> _Reply:
    try:
        images, targets, _ = dataset.arrays(positions, epoch)
        forms = (images.shape, images.dtype.str), (targets.shape, targets.dtype.str)
        for view, array in zip(_views(slot, *forms), (images, targets), strict=True):
            view[...] = array
    except PixelwiseError as error:
        return error
    except Exception:
        return traceback.format_exc()
    return forms
