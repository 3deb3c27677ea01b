"""Fully convolutional networks on dilated residual trunks, as torchvision has them.

Paper: Long, Shelhamer, Darrell, "Fully convolutional networks for semantic segmentation", CVPR 2015, arXiv:1411.4038.
The form is torchvision's ``fcn_resnet50`` and ``fcn_resnet101``: no skips, but a trunk whose last two stages are
dilated (Yu and Koltun 2016, arXiv:1511.07122) and keep an eighth of the picture's size. Sizes of 520 x 520 pixels:

========== ================================================ ============
row        operation                                        output
========== ================================================ ============
conv1 ..   ResNet; conv4_x and conv5_x dilated by 2 and 4   2048 x 65 x 65
classifier 3x3 to 512, batch norm, ReLU, dropout, 1x1       21 x 65 x 65
up         bilinear interpolation to the picture            21 x 520 x 520
aux        as classifier, of conv4_x; in training only      21 x 520 x 520
========== ================================================ ============

**Deviations** (tests/networks/test_deeplabv3.py):

- Head layers start from He's weights; torchvision's from PyTorch's default.
"""

from dataclasses import dataclass
from typing import ClassVar

from pixelwise.errors import SpecError
from pixelwise.layers.dilated import DilatedNetwork, score_head
from pixelwise.networks.backbones import backbone_row, dilated_row
from pixelwise.specs import Facts, NetworkKind, Paper, Published, Spec

PAPER = Paper(
    title="Fully convolutional networks for semantic segmentation",
    authors="J. Long, E. Shelhamer, T. Darrell",
    year=2015,
    venue="CVPR 2015",
    link="arXiv:1411.4038",
)


@dataclass(frozen=True, kw_only=True)
class FCNResNetSpec(Spec):
    """A residual network, dilated, and a head of two convolutions."""

    family: ClassVar[str] = "fcn_resnet"
    task: ClassVar[NetworkKind] = "segmentation"

    backbone: str = "resnet50"
    """Name of a row of family resnet."""
    output_stride: int = 8
    """Pixels from one value of the last maps to the next: 8, 16 or 32."""
    dropout: float = 0.1
    """Share of values set to zero in training, before the last layer of the head."""
    auxiliary: bool = False
    """Whether training also scores the maps of the last stage but one."""

    def __post_init__(self) -> None:
        dilated_row(self.backbone, self.name, self.output_stride)
        if not 0 <= self.dropout < 1:
            raise SpecError(
                f"{self.name}: dropout={self.dropout}", expected="a number from 0 up to, but not 1", do="Correct it"
            )

    @property
    def precursors(self) -> tuple[Spec, ...]:
        """The backbone."""
        return (backbone_row(self.backbone, self.name),)

    def build(self, in_channels: int, num_classes: int) -> DilatedNetwork:
        """Make the network; any number of channels and classes is possible."""
        trunk = dilated_row(self.backbone, self.name, self.output_stride).build(in_channels, 1)
        head = {"classifier": score_head(trunk.stages[-1].channels, num_classes, self.dropout)}
        return DilatedNetwork(self, trunk, num_classes, head, auxiliary=self.auxiliary)


def _facts(depth: int, params: int, macs: int, value: float) -> Facts:
    return Facts(
        paper=PAPER,
        table=f"variant: torchvision's, on a dilated ResNet-{depth}",
        input_size=(3, 520, 520),
        num_classes=21,
        params=params,
        macs=macs,
        published=(
            Published(
                dataset="COCO val2017, VOC labels",
                metric="mean IoU %",
                value=value,
                protocol="short side of 520 pixels",
                source="torchvision 0.28.0",
            ),
        ),
    )


SPECS: tuple[FCNResNetSpec, ...] = (
    FCNResNetSpec(name="fcn_resnet50", facts=_facts(50, 32_957_013, 142_725_772_800, 60.5)),
    FCNResNetSpec(name="fcn_resnet101", backbone="resnet101", facts=_facts(101, 51_949_141, 222_746_867_200, 63.7)),
)
