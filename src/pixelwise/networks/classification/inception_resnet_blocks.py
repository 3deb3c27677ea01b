"""The modules of the Inception-ResNets, with their widths (figures 10 to 14 and 16 to 19)."""

from typing import Final, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.layers.inception import Branches, Conv, Scaling, averaged_projection, chain

BranchWidths = tuple[tuple[int, ...], ...]
"""Maps of the branches, convolution by convolution."""


class Widths(NamedTuple):
    """One column of the table in ``inception_resnet.py``."""

    a: BranchWidths
    reduction_a: tuple[int, int, int, int]
    """k, l, m, n of table 1."""
    b: BranchWidths
    reduction_b: BranchWidths
    c: BranchWidths


V1: Final = Widths(
    a=((32,), (32, 32), (32, 32, 32)),
    reduction_a=(192, 192, 256, 384),
    b=((128,), (128, 128, 128)),
    reduction_b=((256, 384), (256, 256), (256, 256, 256)),
    c=((192,), (192, 192, 192)),
)
V2: Final = Widths(
    a=((32,), (32, 32), (32, 48, 64)),
    reduction_a=(256, 256, 384, 384),
    b=((192,), (128, 160, 192)),
    reduction_b=((256, 384), (256, 288), (256, 288, 320)),
    c=((192,), (192, 224, 256)),
)
KERNELS: Final = ((1, 3, 3), (1, (1, 7), (7, 1)), (1, (1, 3), (3, 1)))
"""Of modules A, B and C; shorter branches have the first of them."""


class ResidualModule(nn.Module):
    """Figures 10, 11, 13 and 20: ReLU(x + scale * W concat(branches of x)), where W is a 1x1 convolution with bias."""

    def __init__(
        self,
        maps: int,
        widths: BranchWidths,
        kernels: tuple[int | tuple[int, int], ...],
        d: Scaling,
        *,
        scale: float,
        activation: Literal["none", "relu"] = "relu",
    ) -> None:
        super().__init__()
        branches = (zip(branch, kernels[: len(branch)], strict=True) for branch in widths)
        self.branches = Branches(*(chain(maps, *(Conv(d(width), side) for width, side in each)) for each in branches))
        self.up = nn.Conv2d(sum(d(branch[-1]) for branch in widths), maps, 1)
        self.scale, self.activation = scale, activation

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, maps, H, W) to the same shape."""
        y = torch.add(x, self.up(self.branches(x)), alpha=self.scale)
        return F.relu(y, inplace=True) if self.activation == "relu" else y


class ReductionB(Branches):
    """Figures 12 and 18, from 17x17 to 8x8: 1x1, perhaps 3x3, then 3x3 with stride 2; and the maximum."""

    def __init__(self, in_channels: int, widths: BranchWidths, d: Scaling) -> None:
        chains = [
            chain(in_channels, Conv(d(first), 1), *(Conv(d(maps), 3) for maps in between), Conv(d(last), 3, 2, True))
            for first, *between, last in widths
        ]
        super().__init__(*chains, nn.MaxPool2d(3, stride=2))
        self.out_channels = in_channels + sum(d(branch[-1]) for branch in widths)


def plain_stem(in_channels: int, version: Literal["v1", "v2_released"], d: Scaling) -> tuple[dict[str, nn.Module], int]:
    """Make figure 14 (v1), or the stem of the released v2 with its first module; return rows and maps."""
    rows: list[nn.Module] = [
        Conv(d(32), 3, 2, valid=True).build(in_channels),
        Conv(d(32), 3, valid=True).build(d(32)),
        Conv(d(64), 3).build(d(32)),
        nn.MaxPool2d(3, stride=2),
        Conv(d(80), 1).build(d(64)),
        Conv(d(192), 3, valid=True).build(d(80)),
    ]
    names: tuple[str, ...]
    if version == "v1":
        names = ("1_3x3/2V", "2_3x3V", "3_3x3", "pool", "4_1x1", "5_3x3V", "6_3x3/2V")
        rows.append(Conv(d(256), 3, 2, valid=True).build(d(192)))
        return dict(zip(names, rows, strict=True)), d(256)
    names = ("1a", "2a", "2b", "pool3a", "3b", "4a", "pool5a", "mixed5b")
    mixed = Branches(
        chain(d(192), Conv(d(96), 1)),
        chain(d(192), Conv(d(48), 1), Conv(d(64), 5)),
        chain(d(192), Conv(d(64), 1), Conv(d(96), 3), Conv(d(96), 3)),
        averaged_projection(d(192), d(64), count_padding=False),
    )
    rows += [nn.MaxPool2d(3, stride=2), mixed]
    return dict(zip(names, rows, strict=True)), 2 * d(96) + 2 * d(64)
