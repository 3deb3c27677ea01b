"""The modules of Inception-v3, with the widths of the released code.

========= ================================================================================ =====================
module    branches (maps, kernel; V2 = 3x3 with stride 2, without padding)                 paper
========= ================================================================================ =====================
A         64 1x1; 48 1x1, 64 5x5; 64 1x1, 96 3x3, 96 3x3; average, p 1x1                   figure 5
6a        384 V2; 64 1x1, 96 3x3, 96 V2; maximum                                           figure 10
B         192 1x1; c 1x1, c 1x7, 192 7x1; c 1x1, c 7x1, c 1x7, c 7x1, 192 1x7; average,    figure 6
          192 1x1
7a        192 1x1, 320 V2; 192 1x1, 192 1x7, 192 7x1, 192 V2; maximum                      figure 10
C         320 1x1; 384 1x1, (384 1x3 | 384 3x1); 448 1x1, 384 3x3, (384 1x3 | 384 3x1);    figure 7
          average, 192 1x1
auxiliary average 5x5 with stride 3, 128 1x1, 768 5x5, full connection                     figure 8
========= ================================================================================ =====================
"""

from collections import OrderedDict
from typing import Literal

from torch import nn

from pixelwise.layers.inception import Branches, Conv, Scaling, averaged_projection, chain, split_pair

Auxiliary = Literal["none", "plain", "batch"]
Reduction = Literal["parallel", "pool_first", "convolution_first"]


class ModuleA(Branches):
    """Figure 5: a 5x5 convolution beside two of 3x3, on 35x35 maps."""

    def __init__(self, in_channels: int, projection: int, d: Scaling) -> None:
        super().__init__(
            chain(in_channels, Conv(d(64), 1)),
            chain(in_channels, Conv(d(48), 1), Conv(d(64), 5)),
            chain(in_channels, Conv(d(64), 1), Conv(d(96), 3), Conv(d(96), 3)),
            averaged_projection(in_channels, d(projection), count_padding=True),
        )
        self.out_channels = 2 * d(64) + d(96) + d(projection)


class ReductionA(Branches):
    """Figure 10: strided convolutions beside pooling, so that no map is cut down before it was widened."""

    def __init__(self, in_channels: int, d: Scaling) -> None:
        super().__init__(
            chain(in_channels, Conv(d(384), 3, 2, valid=True)),
            chain(in_channels, Conv(d(64), 1), Conv(d(96), 3), Conv(d(96), 3, 2, valid=True)),
            nn.MaxPool2d(3, stride=2),
        )
        self.out_channels = d(384) + d(96) + in_channels


class ModuleB(Branches):
    """Figure 6 with n = 7: 7x7 windows as rows and columns, on 17x17 maps; ``factors`` maps between them."""

    def __init__(self, in_channels: int, factors: int, d: Scaling) -> None:
        c = d(factors)
        row, column = Conv(c, (1, 7)), Conv(c, (7, 1))
        super().__init__(
            chain(in_channels, Conv(d(192), 1)),
            chain(in_channels, Conv(c, 1), row, Conv(d(192), (7, 1))),
            chain(in_channels, Conv(c, 1), column, row, column, Conv(d(192), (1, 7))),
            averaged_projection(in_channels, d(192), count_padding=True),
        )
        self.out_channels = 4 * d(192)


class ReductionB(Branches):
    """As figure 10, with a factorised 7x7 convolution before the second branch's step."""

    def __init__(self, in_channels: int, d: Scaling) -> None:
        last = Conv(d(192), 3, 2, valid=True)
        super().__init__(
            chain(in_channels, Conv(d(192), 1), Conv(d(320), 3, 2, valid=True)),
            chain(in_channels, Conv(d(192), 1), Conv(d(192), (1, 7)), Conv(d(192), (7, 1)), last),
            nn.MaxPool2d(3, stride=2),
        )
        self.out_channels = d(320) + d(192) + in_channels


class PlainReduction(nn.Sequential):
    """Figure 9: one 3x3 convolution to all maps, after the pooling (left: a bottleneck) or before it (right: dear)."""

    def __init__(self, in_channels: int, out_channels: int, order: Literal["pool_first", "convolution_first"]) -> None:
        rows = [("conv", Conv(out_channels, 3).build(in_channels)), ("pool", nn.MaxPool2d(3, stride=2))]
        super().__init__(OrderedDict[str, nn.Module](reversed(rows) if order == "pool_first" else rows))
        self.out_channels = out_channels


class ModuleC(Branches):
    """Figure 7: expanded filter banks for the coarsest maps, 8x8."""

    def __init__(self, in_channels: int, d: Scaling) -> None:
        super().__init__(
            chain(in_channels, Conv(d(320), 1)),
            chain(in_channels, Conv(d(384), 1)).append(split_pair(d(384), d(384))),
            chain(in_channels, Conv(d(448), 1), Conv(d(384), 3)).append(split_pair(d(384), d(384))),
            averaged_projection(in_channels, d(192), count_padding=True),
        )
        self.out_channels = d(320) + 4 * d(384) + d(192)


def auxiliary_head(in_channels: int, num_classes: int, kind: Literal["plain", "batch"], d: Scaling) -> nn.Sequential:
    """Make the head of figure 8, from (N, in_channels, 17, 17) or larger to logits (N, num_classes).

    Its hidden full connection is the 5x5 convolution, which is as large as the map that it sees.

    Args:
        in_channels: maps that it reads.
        num_classes: number of logits.
        kind: ``plain`` normalises the 1x1 convolution only; ``batch`` the hidden full connection as well, which is what
            table 3 calls BN-auxiliary.
        d: scaling of the numbers of maps.

    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["pool"] = nn.AvgPool2d(5, stride=3)
    parts["conv0"] = Conv(d(128), 1).build(in_channels)
    parts["conv1"] = Conv(d(768), 5, valid=True).build(d(128), "batch" if kind == "batch" else "none")
    parts["gap"] = nn.AdaptiveAvgPool2d(1)
    parts["flatten"] = nn.Flatten()
    parts["fc"] = nn.Linear(d(768), num_classes)
    return nn.Sequential(parts)
