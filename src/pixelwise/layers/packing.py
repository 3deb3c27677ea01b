"""Convolutions and full connections for processors, with weights arranged once and the activation in the same pass.

PyTorch's processor library (oneDNN) works on blocks of channels. It rearranges a layer's weights at every call, and the
activation behind the layer takes another pass over memory. Its fused operators, on which PyTorch's compiler stands, do
neither; they need no compiler. They are not part of PyTorch's documented interface, so :func:`can_pack` tries them out.
"""

import functools
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_TOLERANCE: Final = 1e-5


class PackedConv2d(nn.Module):
    """A convolution, and the ReLU behind it if there is one. Without gradients, in single precision.

    How the weights are best arranged depends on the size of the maps. They are arranged for the first size that comes
    twice in a row; until then, and for other sizes, that happens at every call. The numbers are the same.

    Args:
        conv: padded with zeros, by a number of pixels.
        is_rectified: whether ReLU follows.

    """

    def __init__(self, conv: nn.Conv2d, *, is_rectified: bool) -> None:
        super().__init__()
        self._geometry = (conv.padding, conv.stride, conv.dilation, conv.groups)
        self._weight = conv.weight.detach()
        self._bias = None if conv.bias is None else conv.bias.detach()
        self._after = "relu" if is_rectified else "none"
        self._arranged: Tensor | None = None
        self._size = torch.Size()
        """Of the maps that came last; of those that the weights are arranged for, once they are."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to what the convolution and its ReLU make of it, in channels_last."""
        made: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self._weight_for(x), self._bias, *self._geometry, self._after, [], None
        )
        return made

    def _weight_for(self, x: Tensor) -> Tensor:
        """Return the weights, arranged if that is due."""
        size = x.shape[1:]
        if self._arranged is not None:
            return self._arranged if size == self._size else self._weight
        if size != self._size:
            self._size = size
            return self._weight
        self._arranged = torch.ops.aten.mkldnn_reorder_conv2d_weight(
            self._weight.to_mkldnn(), *self._geometry, list(x.shape)
        )
        return self._arranged


class PackedLinear(nn.Module):
    """A full connection, and the GELU behind it if there is one. Without gradients, in single precision."""

    def __init__(self, linear: nn.Linear, *, has_gelu: bool) -> None:
        super().__init__()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        self._bias = None if linear.bias is None else linear.bias.detach()
        self._after: tuple[str, str | None] = ("gelu", "none") if has_gelu else ("none", None)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        after, kind = self._after
        made: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, after, [], kind)
        return made


def can_pack(parameter: Tensor) -> bool:
    """Say whether a layer with this parameter can be packed: in memory of the processor, single precision."""
    return parameter.device.type == "cpu" and parameter.dtype == torch.float32 and operators_work()


@functools.cache
def operators_work() -> bool:
    """Try the fused operators on a few numbers: whether this version of PyTorch has them, as they are used here."""
    conv, linear = nn.Conv2d(2, 3, 3, padding=1), nn.Linear(3, 4)
    x = torch.linspace(-1, 1, 50).view(1, 2, 5, 5)
    try:
        with torch.no_grad():
            y = F.relu(conv(x))  # (1, 3, 5, 5)
            fused = PackedConv2d(conv, is_rectified=True)
            packed = [fused(x), fused(x)][-1]
            z = F.gelu(linear(y.permute(0, 2, 3, 1)))  # (1, 5, 5, 4)
            last = PackedLinear(linear, has_gelu=True)(packed.permute(0, 2, 3, 1))
    except (AttributeError, RuntimeError, TypeError):
        return False
    return torch.allclose(packed, y, atol=_TOLERANCE) and torch.allclose(last, z, atol=_TOLERANCE)
