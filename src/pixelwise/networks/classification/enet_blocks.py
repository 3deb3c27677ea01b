"""The blocks of ENet's encoder: the initial block, and bottlenecks that keep or halve the size.

The paper's figure 2 and section 3 leave some points open; the authors' code (e-lab/ENet-training) settles them, and is
followed: the 1x1 convolutions have no bias, the middle one has; the two parts of an asymmetric convolution have nothing
between them; a bottleneck is a quarter of its output wide, also where the size changes; nothing is activated between
the last normalisation and the sum; 0.001 is added to variances; PReLU has one slope for each map.
"""

from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON: Final = 1e-3
NARROWING: Final = 4
"""A bottleneck's inner maps are its output's divided by this."""

Middle = Literal["regular", "asymmetric5", "dilated2", "dilated4", "dilated8", "dilated16"]
"""A bottleneck's middle convolution: 3x3, 1x5 followed by 5x1, or 3x3 with so many pixels from tap to tap."""


def normalised(convolution: nn.Module, maps: int) -> nn.Sequential:
    """Put batch normalisation and PReLU behind a convolution to ``maps`` maps."""
    unit = nn.Sequential()
    unit.add_module("conv", convolution)
    unit.add_module("norm", nn.BatchNorm2d(maps, eps=EPSILON))
    unit.add_module("act", nn.PReLU(maps))
    return unit


def middle_convolution(kind: Middle, maps: int) -> nn.Module:
    """Make a bottleneck's middle convolution, which keeps height, width and number of maps."""
    if kind == "asymmetric5":
        row = nn.Conv2d(maps, maps, (1, 5), padding=(0, 2), bias=False)
        return nn.Sequential(row, nn.Conv2d(maps, maps, (5, 1), padding=(2, 0)))
    dilation = 1 if kind == "regular" else int(kind.removeprefix("dilated"))
    return nn.Conv2d(maps, maps, 3, padding=dilation, dilation=dilation)


class InitialBlock(nn.Module):
    """Figure 2a: a 3x3 convolution with stride 2 beside the maxima of 2x2 input pixels, together ``maps`` maps.

    Where height or width is odd, the last maxima are those of what is left, as the convolution's windows are.
    """

    def __init__(self, in_channels: int, maps: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, maps - in_channels, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(maps, eps=EPSILON)
        self.act = nn.PReLU(maps)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, maps, H/2, W/2), rounded up."""
        pooled = F.max_pool2d(x, 2, ceil_mode=True)
        return self.act(self.norm(torch.cat([self.conv(x), pooled], 1)))


class Branch(nn.Sequential):
    """What a bottleneck adds: projection, middle convolution, expansion, spatial dropout (figure 2b, right)."""

    def __init__(self, projection: nn.Conv2d, middle: Middle, maps: int, dropout: float) -> None:
        super().__init__()
        inner = projection.out_channels
        self.project = normalised(projection, inner)
        self.middle = normalised(middle_convolution(middle, inner), inner)
        self.expand = nn.Conv2d(inner, maps, 1, bias=False)
        self.norm = nn.BatchNorm2d(maps, eps=EPSILON)
        self.dropout = nn.Dropout2d(dropout)


class Bottleneck(nn.Module):
    """Figure 2b without down-sampling: PReLU(x + branch(x))."""

    def __init__(self, maps: int, middle: Middle, dropout: float) -> None:
        super().__init__()
        self.branch = Branch(nn.Conv2d(maps, maps // NARROWING, 1, bias=False), middle, maps, dropout)
        self.act = nn.PReLU(maps)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, maps, H, W) to the same shape."""
        return self.act(x + self.branch(x))


class DownsamplingBottleneck(nn.Module):
    """Figure 2b with down-sampling: the maxima of 2x2 pixels, with maps of zeros behind, plus the branch.

    The branch's projection is 2x2 with stride 2.
    """

    def __init__(self, in_channels: int, maps: int, dropout: float) -> None:
        super().__init__()
        projection = nn.Conv2d(in_channels, maps // NARROWING, 2, stride=2, bias=False)
        self.branch = Branch(projection, "regular", maps, dropout)
        self.act = nn.PReLU(maps)
        self.added = maps - in_channels

    def forward(self, x: Tensor, indices: list[Tensor] | None = None) -> Tensor:
        """Map (N, in_channels, H, W) to (N, maps, H // 2, W // 2).

        Args:
            x: the maps.
            indices: if given, the places of the maxima, (N, in_channels, H // 2, W // 2), are appended to it: a decoder
                puts its values back there (``torch.nn.functional.max_unpool2d`` with H and W).

        """
        if indices is None:
            pooled = F.max_pool2d(x, 2)
        else:
            pooled, places = F.max_pool2d(x, 2, return_indices=True)
            indices.append(places)
        return self.act(F.pad(pooled, (0, 0, 0, 0, 0, self.added)) + self.branch(x))
