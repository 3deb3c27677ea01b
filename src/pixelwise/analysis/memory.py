"""Memory of a training step, from the tensors that autograd keeps for the backward pass.

The network runs forward on the meta device, which computes shapes only, while every tensor that autograd saves is
noted. Tensors that share a storage count once; weights are counted apart. So the answer comes without a GPU, for any
image size.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.analysis.layers import count_parameters, meta_twin
from pixelwise.errors import SpecError
from pixelwise.specs import Network

OptimiserName = Literal["sgd", "nesterov", "adamw", "rmsprop"]
_MOMENTS: dict[OptimiserName, int] = {"sgd": 1, "nesterov": 1, "adamw": 2, "rmsprop": 2}
_FLOAT_BYTES = 4
_CPU = torch.device("cpu")
_MEMINFO, _CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def saved_activation_bytes(network: Network, input_shape: tuple[int, ...]) -> int:
    """Count the bytes that autograd keeps between the forward and the backward pass, in float32.

    Args:
        network: any network; it is neither run nor changed.
        input_shape: N, C, H, W of the batch.

    The loss is the cross-entropy of all logits (one per pixel for segmentation); with a single logit, binary.

    Raises:
        SpecError: the network cannot take that size.

    """
    twin = meta_twin(network).train()
    own = {tensor.untyped_storage()._cdata for tensor in (*twin.parameters(), *twin.buffers())}
    kept: dict[int, Tensor] = {}  # holding the tensors keeps their storages' addresses from being used again

    def note(tensor: Tensor) -> Tensor:
        kept.setdefault(tensor.untyped_storage()._cdata, tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        for logits in twin.training_logits(torch.empty(input_shape, device="meta")):
            _loss(logits)
    return sum(tensor.untyped_storage().nbytes() for address, tensor in kept.items() if address not in own)


def training_memory(network: Network, input_shape: tuple[int, ...], *, optimiser: OptimiserName = "sgd") -> int:
    """Count the bytes of a float32 training step: saved activations, weights, gradients and the optimiser's moments.

    Work space of the kernels and the gradients of activations, which live for one layer only, are not in it.

    Args:
        network: any network; it is neither run nor changed.
        input_shape: N, C, H, W of the batch.
        optimiser: ``sgd`` and ``nesterov`` keep one moment for each weight, ``adamw`` and ``rmsprop`` two.

    """
    copies = 2 + _MOMENTS[optimiser]
    return saved_activation_bytes(network, input_shape) + copies * _FLOAT_BYTES * count_parameters(network)


def suggest_batch_size(
    network: Network,
    input_size: tuple[int, ...],
    budget_bytes: int | None = None,
    *,
    device: torch.device = _CPU,
    optimiser: OptimiserName = "sgd",
    reserve: float = 0.1,
) -> int:
    """Find the largest batch whose training step fits into a budget.

    Args:
        network: any network; it is neither run nor changed.
        input_size: channels, height and width of an image; channels, depth, height and width of a volume.
        budget_bytes: memory that training may use; None: what is free on ``device``.
        device: where training will run.
        optimiser: see :func:`training_memory`.
        reserve: part of the budget left for what :func:`training_memory` does not count.

    Returns:
        Number of images, 0 if not even one fits.

    Raises:
        SpecError: the network cannot take that size, or the budget or reserve is impossible.

    """
    budget_bytes = free_memory_bytes(device) if budget_bytes is None else budget_bytes
    if budget_bytes < 1 or not 0 <= reserve < 1:
        raise SpecError(
            f"budget_bytes={budget_bytes}, reserve={reserve}",
            expected="a positive budget and a reserve from 0 up to, but not including, 1",
            do="Correct the numbers",
        )
    # Two images and three: batch normalisation of a 1x1 map cannot train on one.
    two, three = (training_memory(network, (number, *input_size), optimiser=optimiser) for number in (2, 3))
    per_image, fixed = three - two, 3 * two - 2 * three
    return max(0, int((budget_bytes * (1 - reserve) - fixed) // per_image))


def free_memory_bytes(device: torch.device) -> int:
    """Say how much memory is free on a device: of the GPU, or of the computer, its container's limit respected."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text(encoding="ascii").splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):  # not Linux: half of what is built in
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    with suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        limit, used = (int((_CGROUP / name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current"))
        free = min(free, limit - used + _cached_bytes())
    return free


def _cached_bytes() -> int:
    """Bytes of files that a container keeps in memory: they count as used, and make room when it is needed."""
    with suppress(OSError, ValueError, KeyError):
        lines = dict(line.split() for line in (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines())
        return int(lines["active_file"]) + int(lines["inactive_file"])
    return 0


def _loss(logits: Tensor) -> Tensor:
    target_shape = (logits.shape[0], *logits.shape[2:])
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], torch.empty(target_shape, device="meta"))
    return F.cross_entropy(logits, torch.empty(target_shape, dtype=torch.int64, device="meta"))
