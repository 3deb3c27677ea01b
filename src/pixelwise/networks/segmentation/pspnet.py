"""PSPNet: a dilated residual trunk, and a pyramid of means over ever smaller parts of the picture beside its last maps.

Paper: Zhao, Shi, Qi, Wang, Jia, "Pyramid scene parsing network", CVPR 2017, arXiv:1612.01105: section 3.2 and figure 3
(pyramid), section 3.3 (trunk), section 4 and figure 4 (auxiliary head). Sizes of 473 x 473 pixels on ResNet-50:

========== ==================================================== ===========
row        operation                                            output
========== ==================================================== ===========
conv1      7x7, stride 2; maxpool 3x3, stride 2                 64, 119
conv2_x    3 blocks                                             256, 119
conv3_x    4 blocks, stride 2                                   512, 60
conv4_x    6 blocks, rate 2                                     1024, 60
conv5_x    3 blocks, rate 4                                     2048, 60
aux        of conv4_x, in training only: 3x3, 256, dropout, 1x1 classes, 60
pyramid    means over 1, 2 x 2, 3 x 3 and 6 x 6 parts, of each  4096, 60
           1x1 to 512, interpolated; beside the maps themselves
classifier 3x3, 512, dropout 0.1, 1x1 to the classes            classes, 60
up         bilinear interpolation to the picture                473
========== ==================================================== ===========

Batch normalisation and ReLU after every convolution but the last of a head. With N levels each gets 1/N of the trunk's
maps (section 3.2). The loss of the auxiliary head counts 0.4 (section 5.1; recipe ``pspnet``).

**Deviations** (tests/networks/test_pspnet.py):

- The trunk is the v1.5 form of ResNet, whose published weights are torchvision's. The released models begin with three
  3x3 convolutions of 64, 64 and 128 maps, of which the paper says nothing, so their files do not fit.
- The paper says "a convolution layer to generate the final prediction map"; the 3x3 convolution to 512 maps before it,
  the dropout, the form of the auxiliary head and the rate of every 3x3 convolution in conv4_x and conv5_x are those of
  the released models.
- Interpolation does not align corners. The released models align them, for which their pictures have sides of 8 n + 1.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.dilated import DilatedNetwork, score_head
from pixelwise.layers.grid_pooling import GridPooling
from pixelwise.networks.backbones import backbone_row, dilated_row
from pixelwise.specs import Facts, NetworkKind, Paper, Published, Spec

PAPER = Paper(
    title="Pyramid scene parsing network",
    authors="H. Zhao, J. Shi, X. Qi, X. Wang, J. Jia",
    year=2017,
    venue="CVPR 2017",
    link="arXiv:1612.01105",
)


@dataclass(frozen=True, kw_only=True)
class PSPNetSpec(Spec):
    """A residual network by its name, how it is dilated, and the levels of the pyramid."""

    family: ClassVar[str] = "pspnet"
    task: ClassVar[NetworkKind] = "segmentation"

    backbone: str = "resnet50"
    """Name of a row of family resnet."""
    output_stride: int = 8
    """Pixels from one value of the last maps to the next: 8 or 16."""
    multi_grid: tuple[int, ...] = (1, 1, 1)
    """Factors on the rate of conv5_x, block by block; empty: torchvision's rule, see the backbone's column."""
    bins: tuple[int, ...] = (1, 2, 3, 6)
    """Parts along each side of the picture, level by level of the pyramid."""
    dropout: float = 0.1
    """Share of values set to zero in training, before the last layer."""
    auxiliary: bool = True
    """Whether training also scores the maps of conv4_x."""

    def __post_init__(self) -> None:
        if self.output_stride not in (8, 16) or not self.bins or min(self.bins) < 1 or not 0 <= self.dropout < 1:
            raise SpecError(
                f"{self.name}: output_stride={self.output_stride}, bins={self.bins}, dropout={self.dropout}",
                expected="output_stride 8 or 16; positive bins, at least one; a dropout from 0 up to, but not 1",
                do="Correct them",
            )
        dilated_row(self.backbone, self.name, self.output_stride, self.multi_grid)

    @property
    def precursors(self) -> tuple[Spec, ...]:
        """The backbone."""
        return (backbone_row(self.backbone, self.name),)

    def build(self, in_channels: int, num_classes: int) -> DilatedNetwork:
        """Make the network; any number of channels and classes is possible."""
        trunk = dilated_row(self.backbone, self.name, self.output_stride, self.multi_grid).build(in_channels, 1)
        channels = trunk.stages[-1].channels
        pyramid = PoolingPyramid(channels, self.bins)
        head: OrderedDict[str, nn.Module] = OrderedDict()
        head["pyramid"] = pyramid
        head["classifier"] = score_head(pyramid.out_channels, num_classes, self.dropout, channels // 4)
        return DilatedNetwork(self, trunk, num_classes, head, auxiliary=self.auxiliary)


class PoolingPyramid(nn.Module):
    """Figure 3 (c): the maps, and beside them their means over grids of several sizes."""

    def __init__(self, channels: int, bins: tuple[int, ...]) -> None:
        super().__init__()
        width = max(channels // len(bins), 1)
        self.out_channels = channels + len(bins) * width
        self.levels = nn.ModuleList(GridPooling(channels, width, parts) for parts in bins)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C + levels x width, H, W)."""
        return torch.cat([x, *(level(x) for level in self.levels)], dim=1)


_RELEASED = "released models' README"


def _published(dataset: str, value: float, protocol: str, source: str = "paper") -> Published:
    return Published(dataset=dataset, metric="mean IoU %", value=value, protocol=protocol, source=source)


def _facts(depth: int, params: int, macs: int, published: tuple[Published, ...]) -> Facts:
    return Facts(
        paper=PAPER,
        table=f"figure 3, section 5.2, on ResNet-{depth}",
        input_size=(3, 473, 473),
        num_classes=150,
        params=params,
        macs=macs,
        published=published,
    )


SPECS: tuple[PSPNetSpec, ...] = (
    PSPNetSpec(
        name="pspnet_r50",
        facts=_facts(
            50,
            49_057_132,
            155_804_357_312,
            (
                _published("ADE20K val", 41.68, "one scale", _RELEASED),
                _published("ADE20K val", 42.78, "several scales", _RELEASED),
            ),
        ),
    ),
    PSPNetSpec(
        name="pspnet_r101",
        backbone="resnet101",
        facts=_facts(
            101,
            68_049_260,
            223_988_011_712,
            (
                _published("ADE20K val", 43.29, "several scales"),
                _published("Cityscapes val", 79.70, "one scale", _RELEASED),
                _published("Cityscapes val", 80.91, "several scales", _RELEASED),
                _published("VOC 2012 test", 85.4, "pretrained on COCO, several scales"),
                _published("Cityscapes test", 80.2, "trained on coarse annotations too"),
            ),
        ),
    ),
)
