"""DeepLab-v3: a dilated residual trunk, and an atrous spatial pyramid over its last maps.

Paper: Chen, Papandreou, Schroff, Adam, "Rethinking atrous convolution for semantic image segmentation", 2017,
arXiv:1706.05587, figure 5 and section 4. Sizes of 513 x 513 pixels on ResNet-101:

======= ===================================================== =============== ===============
row     operation                                             output stride   output stride 8
                                                              16
======= ===================================================== =============== ===============
conv1   7x7, 64, stride 2; maxpool 3x3, stride 2              257, 129        257, 129
conv2_x 3 blocks, 256                                         129             129
conv3_x 4 blocks, 512, stride 2                               65              65
conv4_x 23 blocks, 1024                                       33              65, rate 2
conv5_x 3 blocks, 2048, rates times multi-grid (1, 2, 4)      33, 2, 4, 8     65, 4, 8, 16
aspp    1x1, 3x3 of three rates, image pooling, each 256;     33, 6, 12, 18   65, 12, 24, 36
        joined, 1x1, 256
cls     1x1 to the classes                                    33              65
up      bilinear interpolation to the picture                 513             513
======= ===================================================== =============== ===============

Batch normalisation and ReLU after every convolution but the last. The weights do not depend on the output stride: a
network that was trained at 16 can be run at 8 (``output_stride=8``), as the paper does for its best results.

``tv_deeplabv3_resnet50`` and ``..101`` are torchvision's forms: output stride 8, no multi-grid, dropout of one half
behind the pyramid, one more 3x3 convolution (``head``), and an auxiliary head on conv4_x in training.

**Deviations** (tests/networks/test_deeplabv3.py):

- The trunk is the v1.5 form of ResNet, whose published weights are torchvision's; the paper has its own.
- Batch statistics move with PyTorch's momentum of 0.1, the paper's with 0.0003.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.convolution import ConvNormAct
from pixelwise.layers.dilated import DilatedNetwork
from pixelwise.layers.grid_pooling import GridPooling
from pixelwise.networks.backbones import backbone_row, dilated_row
from pixelwise.specs import Facts, NetworkKind, Paper, Published, Spec

PAPER = Paper(
    title="Rethinking atrous convolution for semantic image segmentation",
    authors="L.-C. Chen, G. Papandreou, F. Schroff, H. Adam",
    year=2017,
    venue="arXiv preprint",
    link="arXiv:1706.05587",
)
WIDTH = 256
"""Maps of each branch of the pyramid, and of what joins them."""


@dataclass(frozen=True, kw_only=True)
class DeepLabV3Spec(Spec):
    """A residual network by its name, how it is dilated, and the pyramid's rates."""

    family: ClassVar[str] = "deeplabv3"
    task: ClassVar[NetworkKind] = "segmentation"

    backbone: str = "resnet101"
    """Name of a row of family resnet."""
    output_stride: int = 16
    """Pixels from one value of the last maps to the next: 16 or 8."""
    multi_grid: tuple[int, ...] = (1, 2, 4)
    """Factors on the rate of conv5_x, block by block; empty: torchvision's rule, see the backbone's column."""
    rates: tuple[int, ...] = (6, 12, 18)
    """Of the pyramid's 3x3 convolutions at output stride 16; at 8 they are doubled (section 3.3)."""
    hidden: bool = False
    """Whether one more 3x3 convolution stands before the last layer."""
    dropout: float = 0.0
    """Share of values set to zero in training, behind the pyramid."""
    auxiliary: bool = False
    """Whether training also scores the maps of conv4_x."""

    def __post_init__(self) -> None:
        if self.output_stride not in (8, 16) or not self.rates or min(self.rates) < 1 or not 0 <= self.dropout < 1:
            raise SpecError(
                f"{self.name}: output_stride={self.output_stride}, rates={self.rates}, dropout={self.dropout}",
                expected="output_stride 16 or 8; positive rates, at least one; a dropout from 0 up to, but not 1",
                do="Correct them",
            )
        dilated_row(self.backbone, self.name, self.output_stride, self.multi_grid)

    @property
    def precursors(self) -> tuple[Spec, ...]:
        """The same network at the other output stride, and the backbone."""
        other = self.replace(output_stride=24 - self.output_stride)
        return (other, backbone_row(self.backbone, self.name))

    def build(self, in_channels: int, num_classes: int) -> DilatedNetwork:
        """Make the network; any number of channels and classes is possible."""
        row = dilated_row(self.backbone, self.name, self.output_stride, self.multi_grid)
        trunk = row.build(in_channels, 1)
        rates = tuple(rate * 16 // self.output_stride for rate in self.rates)
        head: OrderedDict[str, nn.Module] = OrderedDict()
        head["aspp"] = AtrousPyramid(trunk.stages[-1].channels, rates, self.dropout)
        if self.hidden:
            head["head"] = ConvNormAct(WIDTH, WIDTH, 3, padding=1)
        head["cls"] = nn.Conv2d(WIDTH, num_classes, 1)
        return DilatedNetwork(self, trunk, num_classes, head, auxiliary=self.auxiliary)


class AtrousPyramid(nn.Module):
    """Figure 5: the same maps through a 1x1, through 3x3 of several rates, and as their mean; joined by a 1x1."""

    def __init__(self, channels: int, rates: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        branches: list[nn.Module] = [ConvNormAct(channels, WIDTH, 1)]
        branches += [ConvNormAct(channels, WIDTH, 3, padding=rate, dilation=rate) for rate in rates]
        branches.append(GridPooling(channels, WIDTH))
        self.branches = nn.ModuleList(branches)
        self.project = ConvNormAct(len(branches) * WIDTH, WIDTH, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, 256, H, W)."""
        joined = torch.cat([branch(x) for branch in self.branches], dim=1)  # (N, 1280, H, W)
        return self.dropout(self.project(joined))


def _published(metric: float, protocol: str, dataset: str = "VOC 2012 val", source: str = "paper") -> Published:
    return Published(dataset=dataset, metric="mean IoU %", value=metric, protocol=protocol, source=source)


_R101 = (
    _published(77.21, "output stride 16"),
    _published(78.51, "output stride 8 at test"),
    _published(79.45, "output stride 8, several scales"),
    _published(79.77, "output stride 8, several scales and flips"),
    _published(82.7, "pretrained on COCO"),
    _published(85.7, "pretrained on COCO, trained on train and val", "VOC 2012 test"),
)


def _facts(table: str, side: int, params: int, macs: int, published: tuple[Published, ...] = ()) -> Facts:
    return Facts(
        paper=PAPER,
        table=table,
        input_size=(3, side, side),
        num_classes=21,
        params=params,
        macs=macs,
        published=published,
    )


def _torchvision(depth: int, params: int, macs: int, value: float) -> DeepLabV3Spec:
    result = _published(value, "short side of 520 pixels", "COCO val2017, VOC labels", "torchvision 0.28.0")
    return DeepLabV3Spec(
        name=f"tv_deeplabv3_resnet{depth}",
        backbone=f"resnet{depth}",
        output_stride=8,
        multi_grid=(),
        hidden=True,
        dropout=0.5,
        facts=_facts(f"variant: torchvision's, on ResNet-{depth}", 520, params, macs, (result,)),
    )


SPECS: tuple[DeepLabV3Spec, ...] = (
    DeepLabV3Spec(
        name="deeplabv3_r101_os16", facts=_facts("figure 5, table 5", 513, 58_040_661, 71_061_387_712, _R101)
    ),
    DeepLabV3Spec(
        name="deeplabv3_r101_os8",
        output_stride=8,
        facts=_facts(
            "figure 5, table 6",
            513,
            58_040_661,
            246_182_050_240,
            (
                _published(78.51, "trained at output stride 16"),
                _published(79.77, "the same, several scales and flips"),
            ),
        ),
    ),
    DeepLabV3Spec(
        name="deeplabv3_r50_os16", backbone="resnet50", facts=_facts("figure 5", 513, 39_048_533, 50_435_832_256)
    ),
    _torchvision(50, 39_638_869, 168_731_205_888, 66.4),
    _torchvision(101, 58_630_997, 248_752_300_288, 67.4),
)

ALIASES = {f"deeplabv3_resnet{depth}": f"tv_deeplabv3_resnet{depth}" for depth in (50, 101)}
