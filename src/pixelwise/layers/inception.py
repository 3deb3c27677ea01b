"""What the inception networks are made of: branches over the same maps, and their convolutions.

Convolutions have no bias, batch normalisation with 0.001 added to the variance, and ReLU. They are padded to keep the
size, unless they are marked V in the papers' figures: then they see only whole windows ("valid").
"""

from collections import OrderedDict
from collections.abc import Callable
from math import inf
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.convolution import ConvNormAct, Normalisation

EPSILON: Final = 1e-3

Scaling = Callable[[int], int]
"""From a table's number of maps to that of a wider or thinner network."""


def scaling(width: float) -> Scaling:
    """Return a function that multiplies numbers of maps by ``width``, rounding down, to 16 at least.

    The rule is that of the authors' released code, where ``width`` is called depth_multiplier.
    """
    return lambda maps: max(int(maps * width), 16)


def check_width_and_dropout(name: str, width: float, dropout: float) -> None:
    """Refuse impossible values of two columns that every inception network has.

    Raises:
        SpecError: says which values are possible.

    """
    if not 0 < width < inf:
        raise SpecError(f"{name}: width={width:g}", expected="more than 0", do="Correct it")
    if not 0 <= dropout < 1:
        raise SpecError(f"{name}: dropout={dropout:g}", expected="from 0 up to but not including 1", do="Correct it")


class Conv(NamedTuple):
    """A convolution of the papers' figures."""

    maps: int
    kernel: int | tuple[int, int]
    """Side, or height and width."""
    stride: int = 1
    valid: bool = False
    """Marked V: without padding."""

    def build(self, in_channels: int, normalisation: Normalisation = "batch") -> ConvNormAct:
        """Make the convolution; without normalisation it has a bias."""
        height, width = self.kernel if isinstance(self.kernel, tuple) else (self.kernel, self.kernel)
        return ConvNormAct(
            in_channels,
            self.maps,
            (height, width),
            stride=self.stride,
            padding=0 if self.valid else (height // 2, width // 2),
            bias=normalisation == "none",
            normalisation=normalisation,
            epsilon=EPSILON,
        )


def chain(in_channels: int, *convolutions: Conv) -> nn.Sequential:
    """Make convolutions that follow one another."""
    inputs = (in_channels, *(convolution.maps for convolution in convolutions[:-1]))
    return nn.Sequential(*(one.build(maps) for one, maps in zip(convolutions, inputs, strict=True)))


def averaged_projection(in_channels: int, maps: int, *, count_padding: bool) -> nn.Sequential:
    """Make the branch "average pooling 3x3, then convolution 1x1" of an inception module.

    Both are linear, one over space and the other over maps, so that their order makes no difference: the mean is taken
    of the projection, which has a fraction of the maps.

    Args:
        in_channels: maps of the input.
        maps: maps of the projection.
        count_padding: whether the zeros around the maps count in the mean, or only the pixels that are there.

    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["conv"] = nn.Conv2d(in_channels, maps, 1, bias=False)
    parts["pool"] = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=count_padding)
    parts["norm"] = nn.BatchNorm2d(maps, eps=EPSILON)
    parts["act"] = nn.ReLU(inplace=True)
    return nn.Sequential(parts)


class Branches(nn.ModuleDict):
    """Branches that read the same maps, and whose own maps are put behind each other ("filter concatenation").

    ``branch_0``, ``branch_1``, ... are the names of the authors' released code; other names are given in pairs.
    """

    def __init__(self, *branches: nn.Module | tuple[str, nn.Module]) -> None:
        named = [
            branch if isinstance(branch, tuple) else (f"branch_{index}", branch)
            for index, branch in enumerate(branches)
        ]
        super().__init__(OrderedDict(named))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C_0 + C_1 + ..., H', W')."""
        return torch.cat([branch(x) for branch in self.values()], 1)


def split_pair(in_channels: int, maps: int) -> Branches:
    """Make a 1x3 and a 3x1 convolution side by side, each with ``maps`` maps: the "expanded filter bank"."""
    return Branches(
        ("1x3", Conv(maps, (1, 3)).build(in_channels)),
        ("3x1", Conv(maps, (3, 1)).build(in_channels)),
    )
