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
        kernel: side of the square kernel, in pixels.
        stride: step, in pixels.
        padding: zeros added on each side, in pixels.
        bias: whether the convolution adds a bias. Batch normalisation takes it away again, so most papers leave it out.
        normalisation: ``batch`` for batch normalisation with PyTorch's epsilon 1e-5 and momentum 0.1.
        activation: ``relu`` or ``none``.

    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = False,
        normalisation: Normalisation = "batch",
        activation: Literal["none", "relu"] = "relu",
    ) -> None:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["conv"] = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=padding, bias=bias)
        if normalisation == "batch":
            parts["norm"] = nn.BatchNorm2d(out_channels)
        if activation == "relu":
            parts["act"] = nn.ReLU(inplace=True)
        super().__init__(parts)
