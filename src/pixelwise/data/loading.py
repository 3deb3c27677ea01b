"""Batches in a reproducible order, read in this process or by workers.

The order and every draw are pure functions of (seed, epoch, index), so a batch is the same whoever reads it, and a run
goes on in the middle of an epoch by starting at a later batch. With several processes (``world_size``) each global step
takes the next ``batch_size * world_size`` samples of one order, and each rank its part of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixelwise.data.draws import epoch_order
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.sample_set import Arrays, SampleSet
from pixelwise.errors import UsageError

__all__ = ["Batch", "batch_positions", "count_batches", "epoch_order", "load_batches"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples as the network takes them, before normalising.

    Attributes:
        images: (N, C, H, W), or (N, C, D, H, W) of volumes, in their own data type, channels innermost.
        targets: (N, ...), of the task's kind; see :mod:`pixelwise.data.targets`.
        indices: (N,) places in the manifest.
        numbers: (N, M) what is known of each sample (:mod:`pixelwise.data.metadata`); None without metadata.

    """

    images: Tensor
    targets: Tensor
    indices: NDArray[np.int64]
    numbers: Tensor | None = None

    def network_input(self, preprocess: Preprocess, device: torch.device) -> Tensor:
        """Return what the network takes, on its device: see :meth:`Preprocess.network_input`."""
        numbers = None if self.numbers is None else self.numbers.to(device, non_blocking=True)
        return preprocess.network_input(self.images.to(device, non_blocking=True), numbers)


def count_batches(n: int, *, batch_size: int, world_size: int = 1, drop_last: bool = False) -> int:
    """Steps in an epoch of ``n`` samples that every rank takes; see :func:`batch_positions`."""
    whole, rest = divmod(n, batch_size * world_size)
    return whole + int(not drop_last and rest >= world_size)


def batch_positions(
    order: NDArray[np.int64], *, batch_size: int, rank: int = 0, world_size: int = 1, drop_last: bool = False
) -> list[NDArray[np.int64]]:
    """Cut an order into one rank's batches.

    Step k takes ``order[k * batch_size * world_size :][: batch_size * world_size]``, divided among the ranks in turn.
    The last step divides what is left evenly; without ``drop_last`` a remainder of fewer samples than ranks goes to
    the first ranks, whose last batch the other ranks do not have.
    """
    together = batch_size * world_size
    steps = [order[start : start + together] for start in range(0, len(order), together)]
    if drop_last and steps and len(steps[-1]) < together:
        steps.pop()
    shares = [np.array_split(step, world_size)[rank] for step in steps]
    return [share for share in shares if len(share)]


def load_batches(
    dataset: SampleSet,
    *,
    batch_size: int,
    epoch: int,
    shuffle: bool,
    workers: int = 0,
    start_batch: int = 0,
    rank: int = 0,
    world_size: int = 1,
    drop_last: bool = False,
) -> Iterator[Batch]:
    """Iterate over an epoch.

    Args:
        dataset: where samples come from.
        batch_size: samples in a batch of this rank.
        epoch: decides the order and the draws.
        shuffle: False keeps the data set's order; every sample comes exactly once over all ranks. True visits the
            samples in :func:`epoch_order`, and a last step that would leave a rank without a sample is dropped, because
            ranks train in step.
        workers: processes that read ahead; 0 reads in this process, which is faster on few cores.
        start_batch: how many batches of the epoch are already done.
        rank: of this process.
        world_size: number of processes.
        drop_last: leave out the last batch if it is smaller than the others.

    Raises:
        UsageError: an impossible number.
        DataError: a sample cannot be read, or sizes differ within a batch.
        TrainingError: a worker died.

    """
    for name, value, least in (("batch_size", batch_size, 1), ("workers", workers, 0), ("start_batch", start_batch, 0)):
        if value < least:
            raise UsageError(f"{name}={value}", expected=f"at least {least}", do="Correct the number")
    if not 0 <= rank < world_size:
        raise UsageError(f"rank={rank} of {world_size}", expected="0 <= rank < world_size", do="Correct the numbers")
    order = epoch_order(len(dataset), seed=dataset.seed, epoch=epoch, shuffle=shuffle)
    plan = batch_positions(order, batch_size=batch_size, rank=rank, world_size=world_size, drop_last=drop_last)
    if shuffle:
        plan = plan[: count_batches(len(dataset), batch_size=batch_size, world_size=world_size, drop_last=drop_last)]
    plan = plan[start_batch:]
    if workers == 0 or not plan:
        return (_batch(dataset.arrays(positions, epoch), dataset.numbers) for positions in plan)
    from pixelwise.data.workers import read_ahead

    return (_batch(arrays, dataset.numbers) for arrays in read_ahead(dataset, plan, epoch, min(workers, len(plan))))


def _batch(arrays: Arrays, numbers: NDArray[np.float32] | None) -> Batch:
    images, targets, indices = arrays
    own = None if numbers is None else torch.from_numpy(numbers[indices])
    return Batch(torch.from_numpy(images).movedim(-1, 1), torch.from_numpy(targets), indices, own)
