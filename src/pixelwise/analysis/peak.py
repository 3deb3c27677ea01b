"""Memory of a forward pass without gradients: the most bytes that are in use at once.

The network runs on the meta device, where tensors have sizes and no values. After every operation the tensors that are
still held by anybody are added up; tensors that share memory count once. So the answer comes in no memory, for any
size.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pixelwise.analysis.layers import meta_twin
from pixelwise.specs import Network


def forward_peak_bytes(network: Network, size: Sequence[int]) -> int:
    """Count the bytes of maps that are in use at once while a network looks at one image, in float32.

    The image and the answer count, weights do not; work space of the kernels is not in it.

    Args:
        network: any network; it is neither run nor changed.
        size: height and width of the image; depth, height and width of a volume.

    Raises:
        SpecError: the network cannot take that size.

    """
    twin = meta_twin(network).eval()
    meter = _Meter()
    image = torch.empty(1, network.in_channels, *size, device="meta")
    meter.note(image)
    with torch.no_grad(), meter:
        twin(image)
    return meter.peak


def weight_bytes(network: Network) -> int:
    """Count the bytes of a network's parameters and running statistics."""
    return sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))


class _Meter(TorchDispatchMode):
    """Adds up, after every operation, the memory of the tensors that were made and still are."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # PyTorch has no types
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def note(self, made: torch.Tensor) -> None:
        """Count a tensor from now on until nobody holds it."""
        storage = made.untyped_storage()
        reference = StorageWeakRef(storage)
        self._alive[reference.cdata] = (reference, storage.nbytes())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        weights = {id(one) for one in tree_leaves((args, kwargs)) if isinstance(one, torch.nn.Parameter)}
        for one in tree_leaves(made):
            if isinstance(one, torch.Tensor) and id(one) not in weights:
                self.note(one)
        self._alive = {key: held for key, held in self._alive.items() if not held[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return made
