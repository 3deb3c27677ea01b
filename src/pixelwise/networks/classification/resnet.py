"""Residual networks, and the plain networks that they are compared with.

Paper: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016, arXiv:1512.03385: table 1
(ImageNet), section 4.2 (CIFAR-10), figures 2, 3 and 5 (blocks), section 4.1 (shortcuts A, B, C).

========= ======== =========== =========== ============== ============== ==============
row       output   18          34          50             101            152
========= ======== =========== =========== ============== ============== ==============
conv1     112x112  7x7, 64, stride 2
maxpool   56x56    3x3, stride 2
conv2_x   56x56    2 x basic   3 x basic   3 x bottleneck 3 x bottleneck 3 x bottleneck
conv3_x   28x28    2           4           4              4              8
conv4_x   14x14    2           6           6              23             36
conv5_x   7x7      2           3           3              3              3
gap, fc   1x1      mean over the map, full connection
========= ======== =========== =========== ============== ============== ==============

Widths 64, 128, 256, 512; a bottleneck puts out four times its width. For CIFAR: conv1 3x3 with 16 maps, then stages of
n basic blocks with 16, 32 and 64 maps, depth 6n + 2.

Names: ``resnet50_v1`` is the paper's form, with the stride in a bottleneck's first 1x1 convolution. ``resnet50`` is the
form of torchvision, called v1.5, with the stride in the 3x3. Basic blocks have only one form, so ``resnet18_v1`` and
``resnet34_v1`` are other names for ``resnet18`` and ``resnet34``.

``output_stride`` keeps the last maps larger, for dense prediction: stages beyond it do not halve, and their 3x3
convolutions are dilated instead, so that every weight sees what it did (Chen et al. 2017, arXiv:1706.05587, section
3.1). ``multi_grid`` gives the blocks of the last stage rates of their own (section 3.2 there).

Residuals were not made against vanishing gradients: the plain networks have batch normalisation, and section 4.1 calls
it unlikely that vanishing gradients are why deeper ones train worse (the degradation problem).

**Deviations** (tests/networks/test_resnet.py):

- Option A puts half of the zero maps before the others and half behind. The paper does not say where they go; the
  published CIFAR-10 weights of akamaster/pytorch_resnet_cifar10 need them there.
- Batch statistics are moving averages; the authors computed them over the training set after training.
- The last layer keeps PyTorch's initial weights (uniform, +-1/sqrt(fan_in)) with bias zero, as the public
  re-implementations do; the paper gives He's rule for convolutions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.convolution import ConvNormAct
from pixelwise.layers.dense import slide_linear
from pixelwise.layers.initialisation import he_normal_
from pixelwise.layers.shortcuts import ZeroPadShortcut
from pixelwise.layers.trunk import last_map
from pixelwise.networks.classification.resnet_facts import FACTS
from pixelwise.specs import Network, NetworkKind, Spec, Stage

Shortcut = Literal["A", "B", "C", "none"]
EXPANSION = {"basic": 1, "bottleneck": 4}


@dataclass(frozen=True, kw_only=True)
class ResNetSpec(Spec):
    """A stem, stages of residual blocks, the mean over the last maps, and a full connection."""

    family: ClassVar[str] = "resnet"
    task: ClassVar[NetworkKind] = "classification"
    columns_added: ClassVar[Mapping[str, object]] = MappingProxyType({"output_stride": 32, "multi_grid": ()})

    block: Literal["basic", "bottleneck"] = "basic"
    """Two 3x3 convolutions, or 1x1, 3x3, 1x1 (figure 5)."""
    depths: tuple[int, ...] = (2, 2, 2, 2)
    """Blocks of each stage. Every stage but the first halves height and width."""
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Maps inside the blocks of each stage."""
    stem: Literal["imagenet", "cifar"] = "imagenet"
    """7x7 convolution with stride 2 and 3x3 maximum pooling with stride 2, or one 3x3 convolution."""
    shortcut: Shortcut = "B"
    """A: strided copy with zero maps; B: projection where the shape changes; C: projection everywhere; none: plain."""
    stride_in: Literal["1x1", "3x3"] = "3x3"
    """Which convolution of a bottleneck has the stride: the first 1x1 (paper) or the 3x3 (v1.5)."""
    output_stride: int = 32
    """At most so many pixels from one value of the last maps to the next: 32, 16 or 8; stages beyond it are dilated."""
    multi_grid: tuple[int, ...] = ()
    """Factors on the last stage's rate, block by block. Empty: the convolution that would have the stride keeps the
    rate of the stage before, as in torchvision; with factors, all convolutions of a dilated stage have its rate."""

    def __post_init__(self) -> None:
        self._check_rates()
        numbers = (*self.depths, *self.widths)
        if not self.depths or len(self.depths) != len(self.widths) or min(numbers) < 1:
            raise SpecError(
                f"{self.name}: depths={self.depths}, widths={self.widths}",
                expected="as many widths as depths, at least one, all positive",
                do="Correct them",
            )
        if self.shortcut == "A" and list(self.widths) != sorted(self.widths):
            raise SpecError(
                f"{self.name}: shortcut=A with widths={self.widths}",
                expected="widths that never shrink: option A can only add maps",
                do="Set shortcut=B",
            )

    def _check_rates(self) -> None:
        if self.output_stride not in (8, 16, 32):
            raise SpecError(f"{self.name}: output_stride={self.output_stride}", expected="8, 16 or 32", do="Correct it")
        grid = self.multi_grid
        if grid and (self.output_stride == 32 or len(grid) != self.depths[-1] or min(grid) < 1):
            raise SpecError(
                f"{self.name}: multi_grid={grid} with output_stride={self.output_stride} and depths={self.depths}",
                expected="one positive factor for each block of the last stage, and output_stride=16 or 8",
                do="Correct them, or leave multi_grid empty",
            )

    def build(self, in_channels: int, num_classes: int) -> "ResNet":
        """Make the network; any number of channels and classes is possible."""
        return ResNet(self, in_channels, num_classes)


class Block(nn.Module):
    """Figure 2: ReLU(F(x) + shortcut(x)); without a shortcut, ReLU(F(x))."""

    def __init__(self, residual: nn.Sequential, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.residual, self.shortcut = residual, shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H / stride, W / stride)."""
        y = self.residual(x)
        if self.shortcut is not None:
            y += self.shortcut(x)
        return F.relu(y, inplace=True)


def basic_residual(in_channels: int, width: int, stride: int, rates: tuple[int, int] = (1, 1)) -> nn.Sequential:
    """Figure 5, left: 3x3 with the stride, 3x3; their taps are so many pixels apart."""
    first, second = rates
    return nn.Sequential(
        ConvNormAct(in_channels, width, 3, stride=stride, padding=first, dilation=first),
        ConvNormAct(width, width, 3, padding=second, dilation=second, activation="none"),
    )


def bottleneck_residual(
    in_channels: int, width: int, stride: int, stride_in: Literal["1x1", "3x3"], rate: int = 1
) -> nn.Sequential:
    """Figure 5, right: 1x1 to ``width``, 3x3 with taps ``rate`` pixels apart, 1x1 to four times ``width``."""
    first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
    return nn.Sequential(
        ConvNormAct(in_channels, width, 1, stride=first),
        ConvNormAct(width, width, 3, stride=second, padding=rate, dilation=rate),
        ConvNormAct(width, EXPANSION["bottleneck"] * width, 1, activation="none"),
    )


def make_shortcut(option: Shortcut, in_channels: int, out_channels: int, stride: int) -> nn.Module | None:
    """Section 3.3 and 4.1: the identity where the shape stays, else option A, B or C; None for a plain network."""
    if option == "none":
        return None
    if option != "C" and in_channels == out_channels and stride == 1:
        return nn.Identity()
    if option == "A":
        return ZeroPadShortcut(in_channels, out_channels, stride)
    return ConvNormAct(in_channels, out_channels, 1, stride=stride, activation="none")


class ResNet(Network):
    """Figure 3: conv1, maxpool, conv2_x, ..., gap, fc; for CIFAR conv1, stage1, ..., gap, fc."""

    spec: ResNetSpec

    def __init__(self, spec: ResNetSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        channels = spec.widths[0]
        if spec.stem == "imagenet":
            self.conv1 = ConvNormAct(in_channels, channels, 7, stride=2, padding=3)
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
            names = [f"conv{number}_x" for number in range(2, 2 + len(spec.depths))]
        else:
            self.conv1 = ConvNormAct(in_channels, channels, 3, padding=1)
            names = [f"stage{number}" for number in range(1, 1 + len(spec.depths))]
        stages, rate = [], 1
        total_stride = 4 if spec.stem == "imagenet" else 1
        for index, name in enumerate(names):
            stride, before = 1 if index == 0 else 2, rate
            if stride * total_stride > spec.output_stride:
                stride, rate = 1, 2 * rate
            grid = spec.multi_grid if index == len(names) - 1 else ()
            rates = [(rate * factor, rate * factor) for factor in grid or (1,) * spec.depths[index]]
            if not spec.multi_grid:
                rates[0] = (before, rate)  # the convolution that would have the stride is the last of the old grid
            self.add_module(name, self._stage(channels, spec.widths[index], stride, rates))
            channels = EXPANSION[spec.block] * spec.widths[index]
            total_stride *= stride
            stages.append(Stage(channels=channels, stride=total_stride, module=name))
        self.stages = tuple(stages)
        he_normal_(self)
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        nn.init.zeros_(self.fc.bias)
        self._stage_names = names

    def _stage(self, in_channels: int, width: int, stride: int, rates: list[tuple[int, int]]) -> nn.Sequential:
        spec, out_channels = self.spec, EXPANSION[self.spec.block] * width
        blocks = []
        for pair in rates:
            if spec.block == "basic":
                residual = basic_residual(in_channels, width, stride, pair)
            else:
                residual = bottleneck_residual(in_channels, width, stride, spec.stride_in, pair[0])
            blocks.append(Block(residual, make_shortcut(spec.shortcut, in_channels, out_channels, stride)))
            in_channels, stride = out_channels, 1
        return nn.Sequential(*blocks)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the output of every stage: for ImageNet (N, C, H/4, W/4) to (N, 8C, H/32, W/32), rounded up."""
        self.check_input(x)
        x = self.conv1(x)  # (N, 64, H/2, W/2)
        if self.spec.stem == "imagenet":
            x = self.maxpool(x)  # (N, 64, H/4, W/4)
        maps = []
        for name in self._stage_names:
            x = self.get_submodule(name)(x)
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of x (N, in_channels, H, W)."""
        x = self.gap(last_map(self, x))  # (N, C, 1, 1)
        return self.fc(torch.flatten(x, 1))

    def dense_logits(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, H/32, W/32) at every place of the last map; their mean is :meth:`forward`."""
        return slide_linear(self.fc, last_map(self, x))

    def check_size(self, *size: int) -> None:
        """Refuse images smaller than the total stride: their last map would be all padding."""
        height, width = size
        smallest = self.stages[-1].stride
        if min(height, width) < smallest:
            raise SpecError(
                f"{self.spec.name} cannot take images of {height} x {width} pixels",
                expected=f"at least {smallest} x {smallest}",
                do="Enlarge the images, or choose a network for small images such as resnet20_cifar",
            )


_18, _34, _50, _101, _152 = (2, 2, 2, 2), (3, 4, 6, 3), (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)


def _shallow(name: str, depths: tuple[int, ...], shortcut: Shortcut = "B") -> ResNetSpec:
    return ResNetSpec(name=name, depths=depths, shortcut=shortcut, facts=FACTS[name])


def _deep(name: str, depths: tuple[int, ...], stride_in: Literal["1x1", "3x3"]) -> ResNetSpec:
    return ResNetSpec(name=name, block="bottleneck", depths=depths, stride_in=stride_in, facts=FACTS[name])


def _cifar(kind: Literal["resnet", "plain"], n: int) -> ResNetSpec:
    """Make a row of section 4.2: 3n blocks, so 6n + 2 weighted layers."""
    name = f"{kind}{6 * n + 2}_cifar"
    return ResNetSpec(
        name=name,
        depths=(n, n, n),
        widths=(16, 32, 64),
        stem="cifar",
        shortcut="A" if kind == "resnet" else "none",
        facts=FACTS[name],
    )


SPECS: tuple[ResNetSpec, ...] = (
    _shallow("resnet18", _18),
    _shallow("resnet34", _34),
    _deep("resnet50_v1", _50, "1x1"),
    _deep("resnet101_v1", _101, "1x1"),
    _deep("resnet152_v1", _152, "1x1"),
    _deep("resnet50", _50, "3x3"),
    _deep("resnet101", _101, "3x3"),
    _deep("resnet152", _152, "3x3"),
    _shallow("plain18", _18, "none"),
    _shallow("plain34", _34, "none"),
    _shallow("resnet34_a", _34, "A"),
    _shallow("resnet34_c", _34, "C"),
    *(_cifar("resnet", n) for n in (3, 5, 7, 9, 18, 200)),
    *(_cifar("plain", n) for n in (3, 5, 7, 9)),
)

ALIASES = {
    "resnet18_v1": "resnet18",  # basic blocks have one form only
    "resnet34_v1": "resnet34",
    **{f"{row.name}10": row.name for row in SPECS if row.stem == "cifar"},
}
