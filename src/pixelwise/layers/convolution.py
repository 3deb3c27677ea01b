"""Convolution, batch normalisation, ReLU: the unit of nearly every network since 2015."""

from collections import OrderedDict
from typing import Final, Literal

import torch
from torch import Tensor, nn

Normalisation = Literal["none", "batch"]
Dimensions = Literal[2, 3]
"""Axes of what a layer slides over: 2 for pictures, 3 for volumes."""

CONVOLUTIONS: Final[dict[Dimensions, type[nn.Conv2d | nn.Conv3d]]] = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED_CONVOLUTIONS: Final[dict[Dimensions, type[nn.ConvTranspose2d | nn.ConvTranspose3d]]] = {
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}
BATCH_NORMALISATIONS: Final[dict[Dimensions, type[nn.BatchNorm2d | nn.BatchNorm3d]]] = {
    2: nn.BatchNorm2d,
    3: nn.BatchNorm3d,
}


class ConvNormAct(nn.Sequential):
    """A convolution, then batch normalisation if asked for, then ReLU if asked for.

    The parts are named ``conv``, ``norm`` and ``act``. Input (N, in_channels, H, W); (N, in_channels, D, H, W) with
    ``dimensions=3``.

    Without gradients, normalisation in evaluation overwrites the convolution's maps, which nothing else reads: one map
    less in memory than part by part, and up to a rounding the same numbers. Parts with hooks are called by themselves.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the square or cubic kernel, or its sides, in pixels.
        stride: step, in pixels.
        padding: zeros added on each side, or on those of each axis, in pixels.
        dilation: pixels from one tap of the kernel to the next.
        groups: parts of the channels that do not see each other.
        bias: whether the convolution adds a bias. Batch normalisation takes it away again, so most papers leave it out.
        normalisation: ``batch`` for batch normalisation.
        epsilon: what is added to the variance.
        momentum: weight of a batch's statistics in the moving ones.
        activation: ``relu`` or ``none``.
        dimensions: 2 for pictures, 3 for volumes.

    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, ...],
        *,
        stride: int = 1,
        padding: int | tuple[int, ...] = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        normalisation: Normalisation = "batch",
        epsilon: float = 1e-5,
        momentum: float = 0.1,
        activation: Literal["none", "relu"] = "relu",
        dimensions: Dimensions = 2,
    ) -> None:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["conv"] = CONVOLUTIONS[dimensions](
            in_channels,
            out_channels,
            kernel,  # type: ignore[arg-type] # the caller gives as many sides as there are axes
            stride=stride,
            padding=padding,  # type: ignore[arg-type] # likewise
            dilation=dilation,
            groups=groups,
            bias=bias,
        )
        if normalisation == "batch":
            parts["norm"] = BATCH_NORMALISATIONS[dimensions](out_channels, eps=epsilon, momentum=momentum)
        if activation == "relu":
            parts["act"] = nn.ReLU(inplace=True)
        super().__init__(parts)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H', W'); volumes have a depth before their height."""
        overwrites = not any(has_hooks(part) for part in self)
        for part in self:
            is_norm = isinstance(part, (nn.BatchNorm2d, nn.BatchNorm3d))
            x = normalise(x, part, in_place=overwrites) if is_norm else part(x)
        return x

    def in_order(self) -> tuple[tuple[str, ...], ...]:
        """Return the order of the parts (:class:`~pixelwise.layers.folding.InOrder`)."""
        return (tuple(self._modules),)


def normalise(x: Tensor, norm: nn.Module, *, in_place: bool = False) -> Tensor:
    """Return ``norm(x)`` of x (N, C, *size); in evaluation without gradients by one multiply-add, if told in place.

    Args:
        x: the maps.
        norm: called as it is if it is no plain batch normalisation, has hooks, or has other kinds of numbers than x.
        in_place: whether x may be overwritten where there are no gradients, in evaluation.

    """
    if not isinstance(norm, (nn.BatchNorm2d, nn.BatchNorm3d)) or type(norm) not in BATCH_NORMALISATIONS.values():
        return norm(x)
    if norm.training or torch.is_grad_enabled() or has_hooks(norm):
        return norm(x)
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None or not norm.affine or mean.dtype != x.dtype:
        return norm(x)
    gain = norm.weight * torch.rsqrt(variance + norm.eps)
    shift = norm.bias - mean * gain
    each = (-1, *[1] * (x.ndim - 2))  # one number for each map
    return torch.addcmul(shift.view(each), x, gain.view(each), out=x if in_place else None)


def has_hooks(part: nn.Module) -> bool:
    """Say whether somebody looks at what goes into a part or comes out of it."""
    return bool(part._forward_hooks or part._forward_pre_hooks)
