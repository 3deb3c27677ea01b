"""U-Net's expanding path on a classification network: the contracting path is a trunk whose weights may be known.

Papers: Ronneberger, Fischer, Brox, "U-Net: Convolutional networks for biomedical image segmentation", MICCAI 2015,
arXiv:1505.04597, figure 1 (expanding path); Iglovikov, Shvets, "TernausNet: U-Net with VGG11 encoder pre-trained on
ImageNet for image segmentation", 2018, arXiv:1801.05746 (on a trunk with the weights of a classifier).

====================== ============================================ ============= ===================
row                    operation                                    of 256 x 256  on ResNet-34
====================== ============================================ ============= ===================
conv1 .. conv5_x       the trunk's rows, under their own names      64, ..., 8    64, 128, 256, 512
up5, dec5              up-sampling by 2; joined with the trunk's    16            256 + 256 -> 256
                       map of that stride; two 3x3 convolutions
up4, dec4                                                           32            128 + 128 -> 128
up3, dec3                                                           64            64 + 64 -> 64
up2, dec2              the trunk has no map of this stride          128           32 -> 32
up1, dec1                                                           256           16 -> 16
out                    1x1 to the classes                           256           16 -> classes
====================== ============================================ ============= ===================

``backbone`` is any row of the classification networks that takes pictures of many sizes; ``upN`` goes from stride 2^N
to 2^(N - 1), and there are as many of them as the trunk halves. Every size is legal: the picture is padded at the
bottom and right to a multiple of the trunk's stride, and the logits are cropped. Trunks of unpadded layers (AlexNet,
Inception-v3 and -v4) do not halve evenly: pictures for them are not padded and must be large enough, and up-sampled
maps are interpolated to the size of the trunk's.

**Deviations** (tests/networks/test_unet_backbone.py):

- The networks are in neither paper: TernausNet has other widths, and joins the trunk's maps before their pooling only.
- Batch normalisation in the expanding path, which figure 1 does not have; ``normalisation=none`` leaves it out.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.bilinear import resize
from pixelwise.layers.convolution import ConvNormAct, Normalisation
from pixelwise.layers.grafted import GraftedNetwork
from pixelwise.layers.initialisation import he_normal_
from pixelwise.layers.sizes import crop
from pixelwise.layers.trunk import levels, run_rows
from pixelwise.layers.upsampling import UpsamplingKind, upsample_2x
from pixelwise.networks.backbones import backbone_row
from pixelwise.networks.segmentation.unet_facts import PAPER
from pixelwise.specs import Facts, NetworkKind, Spec


@dataclass(frozen=True, kw_only=True)
class UNetBackboneSpec(Spec):
    """A trunk by its name, and the expanding path behind it."""

    family: ClassVar[str] = "unet_backbone"
    task: ClassVar[NetworkKind] = "segmentation"

    backbone: str = "resnet34"
    """Name of the classification network whose rows are the contracting path."""
    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    """Maps of each level of the expanding path, finest first; as many are taken as the trunk halves."""
    upsampling: UpsamplingKind = "transposed2"
    normalisation: Normalisation = "batch"
    """After each 3x3 convolution, before its ReLU."""
    skip: Literal["concatenate", "sum", "none"] = "concatenate"
    """sum: each up-sampling makes as many maps as the trunk has there."""

    def __post_init__(self) -> None:
        backbone_row(self.backbone, self.name)
        if not self.widths or min(self.widths) < 1:
            raise SpecError(f"{self.name}: widths={self.widths}", expected="positive numbers", do="Correct them")
        if self.skip == "sum" and self.upsampling == "bilinear":
            raise SpecError(
                f"{self.name}: skip=sum with upsampling=bilinear",
                expected="an up-sampling with weights, which makes as many maps as are added",
                do="Set upsampling=transposed2 or skip=concatenate",
            )

    @property
    def precursors(self) -> tuple[Spec, ...]:
        """The backbone."""
        return (backbone_row(self.backbone, self.name),)

    def build(self, in_channels: int, num_classes: int) -> "UNetBackbone":
        """Make the network; any number of channels and classes is possible.

        Raises:
            SpecError: fewer widths than the trunk halves.

        """
        return UNetBackbone(self, in_channels, num_classes)


class UNetBackbone(GraftedNetwork):
    """The trunk's rows, then up5, dec5, ..., up1, dec1 for a trunk that halves five times, and out."""

    spec: UNetBackboneSpec

    def __init__(self, spec: UNetBackboneSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, backbone_row(spec.backbone, spec.name).build(in_channels, 1), num_classes)
        *finer, self._bottom = levels(self.stages)
        self._skips = {} if spec.skip == "none" else {stage.stride: stage for stage in finer}
        self._depth = self._bottom.stride.bit_length() - 1
        if len(spec.widths) < self._depth:
            raise SpecError(
                f"{spec.name}: widths={spec.widths} with backbone={spec.backbone}",
                expected=f"at least {self._depth} widths: the backbone halves the picture so often",
                do="Add widths, coarsest last",
            )
        channels = self._bottom.channels
        for level in range(self._depth, 0, -1):
            channels = self._add_level(level, channels)
        self.out = nn.Conv2d(channels, num_classes, 1)
        he_normal_(self.out)

    def _add_level(self, level: int, channels: int) -> int:
        """Add the rows from stride 2^level to the half of it, and return the maps that they make."""
        spec, width = self.spec, self.spec.widths[level - 1]
        skip = self._skips.get(2 ** (level - 1))
        up_width = skip.channels if skip and spec.skip == "sum" else width
        if spec.upsampling == "bilinear":
            up_width = channels
        joined = up_width + (skip.channels if skip and spec.skip == "concatenate" else 0)
        bias = spec.normalisation == "none"
        rows = {
            f"up{level}": upsample_2x(spec.upsampling, channels, up_width),
            f"dec{level}": nn.Sequential(
                ConvNormAct(joined, width, 3, padding=1, bias=bias, normalisation=spec.normalisation),
                ConvNormAct(width, width, 3, padding=1, bias=bias, normalisation=spec.normalisation),
            ),
        }
        for name, row in rows.items():
            self.add_module(name, row)
            he_normal_(row)
        return width

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, H, W) of x (N, in_channels, H, W)."""
        size, x = x.shape[-2:], self.padded(x)
        maps = run_rows(self, x, {self._bottom.module, *(stage.module for stage in self._skips.values())})
        y = maps.pop(self._bottom.module)  # (N, 512, H/32, W/32)
        for level in range(self._depth, 0, -1):
            y = self.get_submodule(f"up{level}")(y)  # (N, 256, H/16, W/16) at first
            skip = self._skips.get(2 ** (level - 1))
            if skip is not None:
                y = self._join(maps.pop(skip.module), y)
            y = self.get_submodule(f"dec{level}")(y)
        return crop(resize(self.out(y), *x.shape[-2:]), *size)

    def _join(self, skip: Tensor, up: Tensor) -> Tensor:
        up = resize(up, *skip.shape[-2:])
        return torch.cat([skip, up], dim=1) if self.spec.skip == "concatenate" else skip + up


def _row(backbone: str, params: int, macs: int) -> UNetBackboneSpec:
    facts = Facts(
        paper=PAPER,
        table=f"variant: its expanding path on {backbone}",
        input_size=(3, 256, 256),
        num_classes=2,
        params=params,
        macs=macs,
    )
    return UNetBackboneSpec(name=f"unet_{backbone}", backbone=backbone, facts=facts)


SPECS: tuple[UNetBackboneSpec, ...] = (
    _row("resnet18", 14_222_866, 4_501_536_768),
    _row("resnet34", 24_331_026, 6_917_455_872),
    _row("resnet50", 30_449_682, 8_930_721_792),
    _row("vgg11", 13_455_698, 14_174_650_368),
    _row("vgg16_bn", 18_958_354, 24_442_306_560),
    _row("densenet121", 12_846_930, 7_225_737_216),
    _row("convnext_tiny", 31_514_162, 8_194_539_520),
)
