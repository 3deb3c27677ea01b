"""Which input values an answer's gradient reaches, so that nothing is missed: a gradient of NaN stays NaN.

All weights are positive and the image is, so every rectifier is open. A gradient of NaN at one place of the answer goes
to all that the place depends on, however small the weights on the way: nothing cancels, nothing vanishes. Maximum
pooling hands a gradient to one of its inputs only and is replaced by the mean over the same window, unless it returns
indices for unpooling.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.specs import Network


def positive(network: Network) -> Network:
    """Make all weights positive, each filter's sum 1, and every normalisation the identity; double precision."""
    network = network.double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            inputs = max(parameter[0].numel(), 1) if parameter.dim() > 1 else 1
            parameter.copy_(torch.full_like(parameter, 1 / inputs))
        for module in network.modules():
            if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
                assert module.running_mean is not None
                module.running_mean.zero_()
    return network


def supports(maps: Tensor, x: Tensor, places: Sequence[tuple[int, ...]]) -> Iterator[Tensor]:
    """Yield, for each place of ``maps``, which pixels of x (1, C, *size) it depends on: booleans (*size)."""
    for place in places:
        at_place = maps[(0, slice(None), *place)].sum()
        (gradient,) = torch.autograd.grad(at_place * 1.0, x, torch.tensor(torch.nan, dtype=x.dtype), retain_graph=True)
        yield gradient[0].isnan().any(0)


@contextmanager
def dense_pooling(monkeypatch: Any) -> Iterator[None]:
    """Replace maximum pooling by the mean over the same windows."""

    def mean(average: Any, maximum: Any, count: int) -> Any:
        def pool(x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
                 ceil_mode: bool = False, return_indices: bool = False) -> Any:  # fmt: skip
            assert dilation in (1, (1,) * count), "means have no dilation"
            if return_indices:  # for unpooling, which needs the places of the maxima
                return maximum(x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
            return average(x, kernel_size, stride, padding, ceil_mode)

        return pool

    with monkeypatch.context() as patch:
        patch.setattr(F, "max_pool2d", mean(F.avg_pool2d, F.max_pool2d, 2))
        patch.setattr(F, "max_pool3d", mean(F.avg_pool3d, F.max_pool3d, 3))
        yield
