"""ENet's blocks: the initial block, and bottlenecks that keep, halve or double the size.

The paper's figure 2 and section 3 leave some points open. :class:`Form` lists them: the authors' code
(e-lab/ENet-training) settles them one way, and a widely used implementation (davidtvs/PyTorch-ENet) another.
"""

import dataclasses
from dataclasses import dataclass
from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NARROWING: Final = 4
"""A bottleneck's inner maps are its output's, or its input's, divided by this."""

Middle = Literal["regular", "asymmetric5", "dilated2", "dilated4", "dilated8", "dilated16"]
"""A bottleneck's middle convolution: 3x3, 1x5 and 5x1 in turn, or 3x3 with so many pixels from tap to tap."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """What the paper leaves open; as the authors' code has it, unless told otherwise.

    Attributes:
        epsilon: what is added to variances.
        bias: whether initial and middle convolutions add one; projections and expansions never do.
        narrows: whether a bottleneck is a quarter of its output or of its input wide, where the two differ.
        initial_pool: side of the windows of the initial block's pooling, in pixels; its stride is 2.
        pool: likewise of bottlenecks that halve the size. Windows of 3 pixels overlap: where two have their maximum at
            the same place, max-unpooling keeps what one of them brings back.
        splits_asymmetric: False: 1x5 then 5x1 and nothing between; True: 5x1 then 1x5, both with normalisation and
            activation.
        activates_branch: whether a branch's last normalisation is followed by an activation, before the sum; of
            bottlenecks that double the size, by themselves.
        slopes: PReLU's inside a branch: one for each map, or one for all.
        outer_slopes: likewise after the sum, and of the initial block.
        upsampling_kernel: side of the transposed convolution of bottlenecks that double the size.
        rectifies_decoder: whether the decoder has ReLU instead of PReLU.
        last_kernel: side of the last transposed convolution; 2 with a bias, 3 without.

    """

    epsilon: float = 1e-3
    bias: bool = True
    narrows: Literal["output", "input"] = "output"
    initial_pool: Literal[2, 3] = 2
    pool: Literal[2, 3] = 2
    splits_asymmetric: bool = False
    activates_branch: bool = False
    activates_doubling_branch: bool = False
    slopes: Literal["map", "layer"] = "map"
    outer_slopes: Literal["map", "layer"] = "map"
    upsampling_kernel: Literal[2, 3] = 3
    rectifies_decoder: bool = True
    last_kernel: Literal[2, 3] = 2
    rectifies: bool = False
    """Whether blocks of this form have ReLU; see :attr:`of_decoder`."""

    @property
    def of_decoder(self) -> "Form":
        """The form of the decoder's blocks."""
        return dataclasses.replace(self, rectifies=self.rectifies_decoder)

    def inner(self, in_channels: int, maps: int) -> int:
        """Return how wide a bottleneck is."""
        return (maps if self.narrows == "output" else in_channels) // NARROWING

    def activation(self, maps: int, *, is_outer: bool = False) -> nn.Module:
        """Make the activation of ``maps`` maps inside a branch, or outside of all."""
        if self.rectifies:
            return nn.ReLU()
        return nn.PReLU(maps if (self.outer_slopes if is_outer else self.slopes) == "map" else 1)

    def normalised(self, convolution: nn.Module, maps: int) -> nn.Sequential:
        """Put batch normalisation and an activation behind a convolution to ``maps`` maps."""
        unit = nn.Sequential()
        unit.add_module("conv", convolution)
        unit.add_module("norm", nn.BatchNorm2d(maps, eps=self.epsilon))
        unit.add_module("act", self.activation(maps))
        return unit

    def middle(self, kind: Middle, maps: int) -> nn.Sequential:
        """Make a bottleneck's middle convolution, which keeps height, width and number of maps."""
        if kind != "asymmetric5":
            dilation = 1 if kind == "regular" else int(kind.removeprefix("dilated"))
            conv = nn.Conv2d(maps, maps, 3, padding=dilation, dilation=dilation, bias=self.bias)
            return self.normalised(conv, maps)
        if self.splits_asymmetric:
            column = nn.Conv2d(maps, maps, (5, 1), padding=(2, 0), bias=self.bias)
            row = nn.Conv2d(maps, maps, (1, 5), padding=(0, 2), bias=self.bias)
            return nn.Sequential(self.normalised(column, maps), self.normalised(row, maps))
        row = nn.Conv2d(maps, maps, (1, 5), padding=(0, 2), bias=False)
        return self.normalised(nn.Sequential(row, nn.Conv2d(maps, maps, (5, 1), padding=(2, 0), bias=self.bias)), maps)


AUTHORS: Final = Form()


class InitialBlock(nn.Module):
    """Figure 2a: a 3x3 convolution with stride 2 beside the maxima of 2x2 input pixels, together ``maps`` maps.

    Where height or width is odd, the last maxima are those of what is left, as the convolution's windows are.
    """

    def __init__(self, in_channels: int, maps: int, form: Form = AUTHORS) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, maps - in_channels, 3, stride=2, padding=1, bias=form.bias)
        # Windows of 3 pixels, padded by one, reach past an odd side without rounding up.
        self.pool = nn.MaxPool2d(2, ceil_mode=True) if form.initial_pool == 2 else nn.MaxPool2d(3, 2, 1)
        self.norm = nn.BatchNorm2d(maps, eps=form.epsilon)
        self.act = form.activation(maps, is_outer=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, maps, H/2, W/2), rounded up."""
        return self.act(self.norm(torch.cat([self.conv(x), self.pool(x)], 1)))


class Branch(nn.Sequential):
    """What a bottleneck adds: projection, middle convolution, expansion, spatial dropout (figure 2b, right)."""

    def __init__(
        self, projection: nn.Conv2d, middle: nn.Module, maps: int, dropout: float, form: Form, *, is_activated: bool
    ) -> None:
        super().__init__()
        self.project = form.normalised(projection, projection.out_channels)
        self.middle = middle
        self.expand = nn.Conv2d(projection.out_channels, maps, 1, bias=False)
        self.norm = nn.BatchNorm2d(maps, eps=form.epsilon)
        if is_activated:
            self.act = form.activation(maps)
        self.dropout = nn.Dropout2d(dropout)


class Bottleneck(nn.Module):
    """Figure 2b without down-sampling: the activation of x + branch(x)."""

    def __init__(self, maps: int, middle: Middle, dropout: float, form: Form = AUTHORS) -> None:
        super().__init__()
        inner = form.inner(maps, maps)
        projection = nn.Conv2d(maps, inner, 1, bias=False)
        self.branch = Branch(
            projection, form.middle(middle, inner), maps, dropout, form, is_activated=form.activates_branch
        )
        self.act = form.activation(maps, is_outer=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, maps, H, W) to the same shape."""
        return self.act(x + self.branch(x))


class DownsamplingBottleneck(nn.Module):
    """Figure 2b with down-sampling: the maxima of 2x2 pixels, with maps of zeros behind, plus the branch.

    The branch's projection is 2x2 with stride 2.
    """

    def __init__(self, in_channels: int, maps: int, dropout: float, form: Form = AUTHORS) -> None:
        super().__init__()
        inner = form.inner(in_channels, maps)
        projection = nn.Conv2d(in_channels, inner, 2, stride=2, bias=False)
        self.branch = Branch(
            projection, form.middle("regular", inner), maps, dropout, form, is_activated=form.activates_branch
        )
        self.act = form.activation(maps, is_outer=True)
        self.added = maps - in_channels
        self.window = form.pool

    def forward(self, x: Tensor, indices: list[Tensor] | None = None) -> Tensor:
        """Map (N, in_channels, H, W) to (N, maps, H // 2, W // 2); windows of 3 pixels need even sides.

        Args:
            x: the maps.
            indices: if given, the places of the maxima, (N, in_channels, H // 2, W // 2), are appended to it: a decoder
                puts its values back there (:class:`UpsamplingBottleneck`).

        """
        if indices is None:
            pooled = F.max_pool2d(x, self.window, 2, self.window // 3)
        else:
            pooled, places = F.max_pool2d(x, self.window, 2, self.window // 3, return_indices=True)
            indices.append(places)
        return self.act(F.pad(pooled, (0, 0, 0, 0, 0, self.added)) + self.branch(x))


class UpsamplingBottleneck(nn.Module):
    """Figure 2b of the decoder: maxima go back to where they came from, plus a branch that doubles the size.

    The shortcut is a 1x1 convolution without bias, batch normalisation, and max-unpooling; the branch's middle is a
    transposed convolution with stride 2. There is no dropout in the authors' code.
    """

    def __init__(self, in_channels: int, maps: int, dropout: float, form: Form) -> None:
        super().__init__()
        inner = form.inner(in_channels, maps)
        self.shortcut = nn.Sequential()
        self.shortcut.add_module("conv", nn.Conv2d(in_channels, maps, 1, bias=False))
        self.shortcut.add_module("norm", nn.BatchNorm2d(maps, eps=form.epsilon))
        padding = form.upsampling_kernel - 2
        doubling = nn.ConvTranspose2d(
            inner, inner, form.upsampling_kernel, stride=2, padding=padding, output_padding=padding, bias=form.bias
        )
        self.branch = Branch(
            nn.Conv2d(in_channels, inner, 1, bias=False),
            form.normalised(doubling, inner),
            maps,
            dropout,
            form,
            is_activated=form.activates_doubling_branch,
        )
        self.act = form.activation(maps, is_outer=True)

    def forward(self, x: Tensor, indices: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, maps, 2H, 2W).

        Args:
            x: the maps.
            indices: places from 0 to 4HW - 1 in each of the output's maps, (N, maps, H, W).

        """
        return self.act(F.max_unpool2d(self.shortcut(x), indices, (2, 2)) + self.branch(x))
