"""Wide residual networks: fewer layers than ResNet, with more maps in each.

Paper: Zagoruyko, Komodakis, "Wide residual networks", BMVC 2016, arXiv:1605.07146: table 1, section 2 (widening,
dropout), section 3 (results). It builds on the units of :mod:`.preact_resnet` and, for ImageNet, on :mod:`.resnet`.

====== ====== ============================== ============ ======= ==================================================
row    output WRN-n-k                        row          output  50-2
====== ====== ============================== ============ ======= ==================================================
conv1  32x32  3x3, 16                        conv1        112x112 7x7, 64, stride 2
conv2  32x32  N x basic unit, 16k            maxpool      56x56   3x3, stride 2
conv3  16x16  N x basic unit, 32k            layer1       56x56   3 bottlenecks 128, 128, 256
conv4  8x8    N x basic unit, 64k            layer2       28x28   4 bottlenecks 256, 256, 512
bnrelu 8x8    batch normalisation, ReLU      layer3       14x14   6 bottlenecks 512, 512, 1024 (101-2: 23)
gap    1x1    mean over the map              layer4       7x7     3 bottlenecks 1024, 1024, 2048
fc     1x1    full connection                avgpool, fc  1x1     mean over the map, full connection
====== ====== ============================== ============ ======= ==================================================

Depth n = 6N + 4; widening factor k. A basic unit is batch normalisation, ReLU, 3x3 convolution, twice, with dropout
before the second convolution (figure 1 d); a 1x1 convolution where the width changes. For ImageNet the bottlenecks of
ResNet (with the stride in the 3x3) are k times as wide inside and put out as much as they did.

Names: ``wrn_28_10_cifar`` is WRN-28-10, for 10 and for 100 classes; ``wide_resnet50_2`` is WRN-50-2-bottleneck and
``wide_resnet101_2`` its deeper form in torchvision, whose names they have. Dropout is none in the rows; ``dropout=0.3``
is the paper's for CIFAR, 0.4 for SVHN. The results of ``wrn_40_10_cifar`` need ``dropout=0.3``: no others are known.

**Deviations** (tests/networks/test_wide_resnet.py):

- A unit whose width stays the same keeps its activation to the residual branch even if it is the first (k = 1), as in
  the authors' code.
- The last layer keeps PyTorch's initial weights (uniform, +-1/sqrt(fan_in)) with bias zero, as the authors' code does.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from torch import nn

from pixelwise.errors import SpecError
from pixelwise.layers.averaging import AveragingNetwork
from pixelwise.layers.convolution import ConvNormAct
from pixelwise.layers.initialisation import he_normal_
from pixelwise.networks.classification.preact_resnet_blocks import (
    Addition,
    Unit,
    activations,
    basic_convolutions,
    make_carrier,
    residual_branch,
)
from pixelwise.networks.classification.resnet import Block, make_shortcut
from pixelwise.specs import Facts, NetworkKind, Paper, Published, Spec, Stage

PAPER = Paper(
    title="Wide residual networks",
    authors="S. Zagoruyko, N. Komodakis",
    year=2016,
    venue="BMVC 2016",
    link="arXiv:1605.07146",
)

BOTTLENECKS: Final = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Blocks of the stages of an ImageNet network, by its depth (He et al. 2015, table 1)."""


@dataclass(frozen=True, kw_only=True)
class WideResNetSpec(Spec):
    """WRN-depth-widening, for small pictures of basic units, for ImageNet of bottlenecks."""

    family: ClassVar[str] = "wide_resnet"
    task: ClassVar[NetworkKind] = "classification"

    block: Literal["basic", "bottleneck"] = "basic"
    """Pre-activation units of two 3x3 convolutions, or ResNet's bottlenecks behind its stem for ImageNet."""
    depth: int = 28
    """Weighted layers: 6N + 4 for basic units; 50, 101 or 152 for bottlenecks."""
    widening: int = 10
    """The factor k on the width of the units; on that of a bottleneck's inner convolutions."""
    dropout: float = 0.0
    """Share of the values that are dropped between a basic unit's convolutions in training (section 2.4)."""

    def __post_init__(self) -> None:
        if self.block == "basic" and (self.depth < 10 or (self.depth - 4) % 6):
            raise SpecError(
                f"{self.name}: depth={self.depth}", expected="10, 16, 22, 28 or another 6N + 4", do="Correct it"
            )
        if self.block == "bottleneck" and self.depth not in BOTTLENECKS:
            depths = ", ".join(map(str, BOTTLENECKS))
            raise SpecError(
                f"{self.name}: depth={self.depth} with bottlenecks", expected=f"one of {depths}", do="Correct it"
            )
        if self.widening < 1:
            raise SpecError(f"{self.name}: widening={self.widening}", expected="at least 1", do="Correct the number")
        if not 0 <= self.dropout < 1:
            raise SpecError(
                f"{self.name}: dropout={self.dropout}", expected="from 0 up to but not including 1", do="Correct it"
            )
        if self.block == "bottleneck" and self.dropout:
            raise SpecError(
                f"{self.name}: dropout={self.dropout} with bottlenecks",
                expected="0: only basic units have dropout",
                do="Leave it out, or set block=basic",
            )

    def build(self, in_channels: int, num_classes: int) -> "WideResNet | WideBottleneckNet":
        """Make the network; any number of channels and classes is possible."""
        if self.block == "basic":
            return WideResNet(self, in_channels, num_classes)
        return WideBottleneckNet(self, in_channels, num_classes)


class WideResNet(AveragingNetwork):
    """Table 1: conv1, conv2, conv3, conv4, bnrelu, gap, fc. The last stage goes through bnrelu."""

    spec: WideResNetSpec
    for_small_pictures = "wrn_16_4_cifar"

    def __init__(self, spec: WideResNetSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        k = spec.widening
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.conv2 = self._group(16, 16 * k, stride=1)
        self.conv3 = self._group(16 * k, 32 * k, stride=2)
        self.conv4 = self._group(32 * k, 64 * k, stride=2)
        self.bnrelu = activations("BR", 64 * k)
        self.stages = (
            Stage(channels=16 * k, stride=1, module="conv2"),
            Stage(channels=32 * k, stride=2, module="conv3"),
            Stage(channels=64 * k, stride=4, module="bnrelu"),
        )
        he_normal_(self)
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64 * k, num_classes)
        nn.init.zeros_(self.fc.bias)

    def _group(self, in_channels: int, width: int, stride: int) -> nn.Sequential:
        units = []
        for _ in range((self.spec.depth - 4) // 6):
            convolutions = basic_convolutions(in_channels, width, stride)
            unit = Unit(
                preactivation=activations("BR", in_channels),
                residual=residual_branch("full", convolutions, dropout=self.spec.dropout),
                shortcut=Addition(make_carrier("B", in_channels, width, stride, normalised=False)),
                activation=nn.Identity(),
                shares=in_channels != width,
            )
            units.append(unit)
            in_channels, stride = width, 1
        return nn.Sequential(*units)


class WideBottleneckNet(AveragingNetwork):
    """Section 3, ImageNet: conv1, maxpool, layer1, ..., layer4, avgpool, fc."""

    spec: WideResNetSpec
    for_small_pictures = "wrn_16_4_cifar"

    def __init__(self, spec: WideResNetSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        self.conv1 = ConvNormAct(in_channels, 64, 7, stride=2, padding=3)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels, stages = 64, []
        for number, depth in enumerate(BOTTLENECKS[spec.depth], start=1):
            out_channels = 256 * 2 ** (number - 1)
            self.add_module(f"layer{number}", self._layer(channels, out_channels, depth, stride=1 + (number > 1)))
            channels = out_channels
            stages.append(Stage(channels=channels, stride=2 ** (number + 1), module=f"layer{number}"))
        self.stages = tuple(stages)
        he_normal_(self, fan="out")
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        nn.init.zeros_(self.fc.bias)

    def _layer(self, in_channels: int, out_channels: int, depth: int, stride: int) -> nn.Sequential:
        width = out_channels // 4 * self.spec.widening
        blocks = []
        for _ in range(depth):
            residual = nn.Sequential(
                ConvNormAct(in_channels, width, 1),
                ConvNormAct(width, width, 3, stride=stride, padding=1),
                ConvNormAct(width, out_channels, 1, activation="none"),
            )
            blocks.append(Block(residual, make_shortcut("B", in_channels, out_channels, stride)))
            in_channels, stride = out_channels, 1
        return nn.Sequential(*blocks)


_README = "wide-residual-networks readme"
_MEDIAN = "flips and translations, mean and deviation, median of 5 runs"
_ZCA = "flips and translations, ZCA whitening"


def _errors(cifar10: float, cifar100: float, protocol: str = _MEDIAN, source: str = "paper") -> tuple[Published, ...]:
    return tuple(
        Published(dataset=f"{dataset} test", metric="error %", value=value, protocol=protocol, source=source)
        for dataset, value in (("CIFAR-10", cifar10), ("CIFAR-100", cifar100))
    )


def _svhn(value: float, protocol: str, source: str = "paper") -> Published:
    return Published(dataset="SVHN test", metric="error %", value=value, protocol=protocol, source=source)


def _cifar(depth: int, k: int, params: int, macs: int, published: tuple[Published, ...]) -> WideResNetSpec:
    facts = Facts(
        paper=PAPER,
        table="table 1",
        input_size=(3, 32, 32),
        num_classes=10,
        params=params,
        macs=macs,
        published=published,
    )
    return WideResNetSpec(name=f"wrn_{depth}_{k}_cifar", depth=depth, widening=k, facts=facts)


def _result(metric: str, value: float, protocol: str, source: str) -> Published:
    return Published(dataset="ILSVRC-2012 val", metric=metric, value=value, protocol=protocol, source=source)


def _torchvision(top1: float, top5: float) -> tuple[Published, ...]:
    where = ("weights IMAGENET1K_V1, centre crop", "torchvision 0.28.0")
    return _result("top-1 accuracy %", top1, *where), _result("top-5 accuracy %", top5, *where)


def _imagenet(depth: int, params: int, macs: int, table: str, published: tuple[Published, ...]) -> WideResNetSpec:
    facts = Facts(
        paper=PAPER,
        table=table,
        input_size=(3, 224, 224),
        num_classes=1000,
        params=params,
        macs=macs,
        published=published,
    )
    return WideResNetSpec(name=f"wide_resnet{depth}_2", block="bottleneck", depth=depth, widening=2, facts=facts)


_CROP = ("single crop", "wide-residual-networks readme of the weights")

SPECS: tuple[WideResNetSpec, ...] = (
    _cifar(
        16,
        4,
        2_748_890,
        392_612_352,
        (
            *_errors(5.02, 24.03),
            *_errors(5.24, 23.91, f"{_MEDIAN}, dropout 0.3"),
            _svhn(1.85, "no augmentation"),
            _svhn(1.64, "dropout 0.4"),
        ),
    ),
    _cifar(
        16,
        8,
        10_961_370,
        1_548_145_664,
        (
            *_errors(4.27, 20.43),
            *_errors(4.81, 22.07, _ZCA),
            _svhn(1.54, "dropout 0.4", _README),
        ),
    ),
    _cifar(22, 8, 17_158_106, 2_454_115_328, _errors(4.38, 21.22, _ZCA)),
    _cifar(
        28,
        10,
        36_479_194,
        5_243_328_768,
        (
            *_errors(4.0, 19.25, source=_README),
            *_errors(3.89, 18.85, f"{_MEDIAN}, dropout 0.3", _README),
            *_errors(4.17, 20.5, _ZCA),
        ),
    ),
    _cifar(40, 1, 563_930, 83_280_512, _errors(6.85, 30.89, _ZCA)),
    _cifar(40, 2, 2_243_546, 327_599_360, _errors(5.33, 26.04, _ZCA)),
    _cifar(40, 4, 8_949_210, 1_298_582_016, (*_errors(4.53, 21.18), *_errors(4.97, 22.89, _ZCA))),
    _cifar(40, 10, 55_841_754, 8_074_483_968, _errors(3.8, 18.3, "with dropout, single run", _README)),
    _imagenet(
        50,
        68_883_240,
        11_398_021_120,
        "section 3, WRN-50-2-bottleneck",
        (
            _result("top-1 error %", 21.9, *_CROP),
            _result("top-5 error %", 6.03, *_CROP),
            *_torchvision(78.468, 94.086),
        ),
    ),
    _imagenet(
        101, 126_886_696, 22_753_050_624, "variant: torchvision's form with 101 layers", _torchvision(78.848, 94.284)
    ),
)

ALIASES = {
    **{f"{row.name}{classes}": row.name for row in SPECS if row.block == "basic" for classes in (10, 100)},
    "wrn_50_2": "wide_resnet50_2",
    "wrn_101_2": "wide_resnet101_2",
}
"""The same columns for 10 and for 100 classes; the paper's names for ImageNet."""
