"""Convolution, batch normalisation, ReLU: the unit of nearly every network since 2015."""

from collections import OrderedDict
from typing import Literal

from torch import nn

Normalisation = Literal["none", "batch"]


class ConvNormAct(nn.Sequential):
    """A convolution, then batch normalisation if asked for, then ReLU if asked for.

    The parts are named ``conv``, ``norm`` and ``act``. Input (N, in_channels, H, W).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the square kernel, or height and width, in pixels.
        stride: step, in pixels.
        padding: zeros added on each side, or above and beside, in pixels.
        groups: parts of the channels that do not see each other.
        bias: whether the convolution adds a bias. Batch normalisation takes it away again, so most papers leave it out.
        normalisation: ``batch`` for batch normalisation.
        epsilon: what is added to the variance.
        momentum: weight of a batch's statistics in the moving ones.
        activation: ``relu`` or ``none``.

    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
        groups: int = 1,
        bias: bool = False,
        normalisation: Normalisation = "batch",
        epsilon: float = 1e-5,
        momentum: float = 0.1,
        activation: Literal["none", "relu"] = "relu",
    ) -> None:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["conv"] = nn.Conv2d(
            in_channels, out_channels, kernel, stride=stride, padding=padding, groups=groups, bias=bias
        )
        if normalisation == "batch":
            parts["norm"] = nn.BatchNorm2d(out_channels, eps=epsilon, momentum=momentum)
        if activation == "relu":
            parts["act"] = nn.ReLU(inplace=True)
        super().__init__(parts)
