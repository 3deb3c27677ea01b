"""Several processes, one training: what differs between one process and ``torchrun``, in one place.

Every process runs the same loop over its share of the samples; gradients are averaged by DistributedDataParallel, the
sums behind losses and metrics are added up, and only rank 0 writes. Without ``torchrun`` each function here is the
identity.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from pixelwise.specs import Network

TrainingLogits = Callable[[Tensor], tuple[Tensor, ...]]

_TIMEOUT = timedelta(minutes=10)


def is_on() -> bool:
    """Whether this process is one of several."""
    return distributed.is_available() and distributed.is_initialized()


def rank() -> int:
    """Return this process's number, 0 for the one that writes."""
    return distributed.get_rank() if is_on() else 0


def world_size() -> int:
    """Return how many processes train together."""
    return distributed.get_world_size() if is_on() else 1


@contextmanager
def joined() -> Iterator[None]:
    """Join the group that ``torchrun`` announces in the environment, if it does, and leave it at the end."""
    if is_on() or int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield
        return
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=_TIMEOUT)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def training_forward(network: Network, device: torch.device) -> TrainingLogits:
    """Return the function from images to training logits whose backward pass averages gradients over processes."""
    if not is_on():
        return network.training_logits
    device_ids = [device] if device.type == "cuda" else None
    return DistributedDataParallel(_TrainingLogits(network), device_ids=device_ids)


class _TrainingLogits(nn.Module):
    """DistributedDataParallel watches ``forward`` only."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.network.training_logits(x)


def add_up(tensors: Mapping[str, Tensor]) -> None:
    """Replace each tensor, in place, by its sum over all processes."""
    if is_on():
        for _, tensor in sorted(tensors.items()):
            moved = tensor.to(_own_device())
            distributed.all_reduce(moved)
            tensor.copy_(moved)


def largest(number: int) -> int:
    """Return the largest of the processes' numbers."""
    if not is_on():
        return number
    tensor = torch.tensor(number, device=_own_device())
    distributed.all_reduce(tensor, distributed.ReduceOp.MAX)
    return int(tensor.item())


def same_buffers(network: nn.Module) -> None:
    """Give every process rank 0's running statistics, so that all evaluate the network that is saved."""
    if is_on():
        for buffer in network.buffers():
            distributed.broadcast(buffer, src=0)


def wait_for_all() -> None:
    """Return when every process has come here."""
    if is_on():
        distributed.barrier()


def _own_device() -> str:
    return "cuda" if distributed.get_backend() == "nccl" else "cpu"
