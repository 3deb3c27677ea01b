"""Pre-activation residual networks (ResNet-v2), and the units that their paper compares them with.

Paper: He, Zhang, Ren, Sun, "Identity mappings in deep residual networks", ECCV 2016, arXiv:1603.05027: figures 2 and 4
(units), tables 1 to 3 (CIFAR), table 5 (ImageNet).

A unit adds its input, unchanged, to what its convolutions make of it. Batch normalisation and ReLU come before each
convolution, nothing after the addition: a deep unit's input is that of a shallow one plus all residuals between.

====== ========= ============== ============== ============== ============== === ========= ============== ==============
row    output    50             101            152            200                output    164            1001
====== ========= ============== ============== ============== ============== === ========= ============== ==============
conv1  112x112   7x7, 64, stride 2                                               32x32     3x3, 16
max    56x56     3x3, stride 2
stage1 56x56     3 x bottleneck 3              3              3                  32x32     18 x 16, 64    111 x 16, 64
stage2 28x28     4              4              8              24                 16x16     18 x 32, 128   111 x 32, 128
stage3 14x14     6              23             36             36                 8x8       18 x 64, 256   111 x 64, 256
stage4 7x7       3              3              3              3
end    7x7       batch normalisation, ReLU                                       8x8       the same
gap,fc 1x1       mean over the map, full connection                              1x1       the same
====== ========= ============== ============== ============== ============== === ========= ============== ==============

Widths 64, 128, 256, 512; a bottleneck puts out four times its width. 110 layers for CIFAR: 3 x 18 basic units with 16,
32 and 64 maps, zero-padded shortcuts. Without any shortcut, 110 layers end above 60 % error (He et al. 2015, section
4.2).

========================== ============ ========== =========== ==================================== ===================
figure 4, ``order``        before       between    addition    error % of 110, 164 layers (table 2)
========================== ============ ========== =========== ==================================== ===================
a ``original``                          BN ReLU    BN, + ReLU  6.61, 5.93
b ``bn_after_addition``                 BN ReLU    + BN ReLU   8.17, 6.50
c ``relu_before_addition``              BN ReLU    BN ReLU, +  7.84, 6.14
d ``relu_only``            ReLU         BN ReLU    BN, +       6.71, 5.91
e ``full``                 BN ReLU      BN ReLU    +           6.37, 5.46
========================== ============ ========== =========== ==================================== ===================

Figure 2, ``shortcut``, with ``original`` units and 110 layers (table 1): a ``identity`` 6.61; b ``scaling`` by 0.5 on
both paths 12.35, on the shortcut alone fails; c ``exclusive_gate``, bias -6: 8.70; d ``shortcut_only_gate``, bias 0:
12.86, bias -6: 6.91; e ``conv`` 12.22; f ``dropout`` 0.5 fails.

Names: ``preresnet50`` and its like are the form of fb.resnet.torch, which published the ImageNet networks: conv1, batch
normalisation, ReLU, pooling, and a first unit that finds its input activated. ``resnetv2_50`` and its like are timm's
form: the pooling comes right after conv1, and the first unit normalises what was pooled. Maximum pooling and batch
normalisation with a negative gain do not commute, so neither form can take the weights of the other.

**Deviations** (tests/networks/test_preact_resnet.py):

- ImageNet: the stride is in a bottleneck's 3x3, as in fb.resnet.torch. CIFAR: in its first 1x1, the authors' code.
- The paper does not say what becomes of units that change the shape under its other orders and shortcuts. Their input
  is brought to the shape first, by option A or B, and then scaled, gated or dropped; projections are followed by batch
  normalisation where the residual branch ends with it.
- The dropout of a shortcut doubles what it leaves, as every framework's does; the paper speaks of a factor of 0.5 in
  expectation.
- Option A puts half of the zero maps before the others and half behind, as in ``resnet.py``.
- The last layer keeps PyTorch's initial weights (uniform, +-1/sqrt(fan_in)) with bias zero, as the authors' code does.
"""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, Final, Literal

from torch import nn

from pixelwise.errors import SpecError
from pixelwise.layers.averaging import AveragingNetwork
from pixelwise.layers.convolution import ConvNormAct
from pixelwise.layers.initialisation import he_normal_
from pixelwise.networks.classification.preact_resnet_blocks import (
    ORDERS,
    Addition,
    GatedAddition,
    Order,
    ScaledAddition,
    Unit,
    activations,
    basic_convolutions,
    bottleneck_convolutions,
    make_carrier,
    residual_branch,
)
from pixelwise.networks.classification.preact_resnet_facts import FACTS
from pixelwise.specs import NetworkKind, Spec, Stage

Shortcut = Literal["identity", "scaling", "exclusive_gate", "shortcut_only_gate", "conv", "dropout"]
EXPANSION = {"basic": 1, "bottleneck": 4}

_HEEDED: Final[dict[str, tuple[Shortcut, ...]]] = {
    "shortcut_scale": ("scaling",),
    "residual_scale": ("scaling",),
    "gate_bias": ("exclusive_gate", "shortcut_only_gate"),
    "shortcut_dropout": ("dropout",),
}


@dataclass(frozen=True, kw_only=True)
class PreResNetSpec(Spec):
    """A stem, stages of residual units, a last activation, the mean over the maps, and a full connection."""

    family: ClassVar[str] = "preact_resnet"
    task: ClassVar[NetworkKind] = "classification"

    block: Literal["basic", "bottleneck"] = "basic"
    """Two 3x3 convolutions, or 1x1, 3x3, 1x1."""
    depths: tuple[int, ...] = (2, 2, 2, 2)
    """Units of each stage. Every stage but the first halves height and width."""
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Maps inside the units of each stage; the stem has as many as the first stage."""
    stem: Literal["imagenet", "cifar"] = "imagenet"
    """7x7 convolution with stride 2 and 3x3 maximum pooling with stride 2, or one 3x3 convolution."""
    order: Order = "full"
    """Where normalisation and ReLU stand in a unit (figure 4)."""
    first: Literal["stem", "shared", "branch"] = "shared"
    """Where the activation before the first unit's convolutions is. ``stem``: right after conv1, before the pooling;
    ``shared``: in the unit, before the paths part (section 4.1); ``branch``: as in other units, on the residual branch.
    Units that change the shape always share it."""
    option: Literal["A", "B"] = "B"
    """What brings the input to another shape. A: strided copy with zero maps; B: 1x1 convolution."""
    shortcut: Shortcut = "identity"
    """What impedes the shortcut (figure 2); ``conv`` is a 1x1 convolution in every unit."""
    shortcut_scale: float = 0.5
    """For ``scaling``: the factor on the shortcut."""
    residual_scale: float = 0.5
    """For ``scaling``: the factor on the residual."""
    gate_bias: float = -6.0
    """For gates: the bias b at the start. The shortcut's factor begins near 1 - sigmoid(b)."""
    shortcut_dropout: float = 0.5
    """For ``dropout``: the share of the shortcut's values that are dropped in training."""
    stride_in: Literal["1x1", "3x3"] = "3x3"
    """Which convolution of a bottleneck has the stride."""

    def __post_init__(self) -> None:
        numbers = (*self.depths, *self.widths)
        if not self.depths or len(self.depths) != len(self.widths) or min(numbers) < 1:
            raise SpecError(
                f"{self.name}: depths={self.depths}, widths={self.widths}",
                expected="as many widths as depths, at least one, all positive",
                do="Correct them",
            )
        if self.option == "A" and list(self.widths) != sorted(self.widths):
            raise SpecError(
                f"{self.name}: option=A with widths={self.widths}",
                expected="widths that never shrink: option A can only add maps",
                do="Set option=B",
            )
        for column, kinds in _HEEDED.items():
            value = getattr(self, column)
            if self.shortcut not in kinds and value != self.columns()[column].default:
                raise SpecError(
                    f"{self.name}: {column}={value} with shortcut={self.shortcut}",
                    expected=f"shortcut={' or '.join(kinds)}, which alone heed it",
                    do=f"Set shortcut, or leave {column} out",
                )
            if not isfinite(value):
                raise SpecError(f"{self.name}: {column}={value}", expected="a finite number", do="Correct the number")
        if not 0 < self.shortcut_dropout < 1:
            raise SpecError(
                f"{self.name}: shortcut_dropout={self.shortcut_dropout}",
                expected="a share between 0 and 1",
                do="Correct the number, or set shortcut=identity",
            )

    def build(self, in_channels: int, num_classes: int) -> "PreResNet":
        """Make the network; any number of channels and classes is possible."""
        return PreResNet(self, in_channels, num_classes)


class PreResNet(AveragingNetwork):
    """The table's rows: conv1, maxpool (ImageNet), stage1, ..., bnrelu, gap, fc. The last stage goes through bnrelu."""

    for_small_pictures = "preresnet110_cifar"

    spec: PreResNetSpec

    def __init__(self, spec: PreResNetSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        channels = spec.widths[0]
        is_large = spec.stem == "imagenet"
        self.conv1 = self._stem(in_channels, channels)
        if is_large:
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        stages, total_stride = [], 4 if is_large else 1
        for number, (width, depth) in enumerate(zip(spec.widths, spec.depths, strict=True), start=1):
            stride = 1 if number == 1 else 2
            self.add_module(f"stage{number}", self._stage(channels, width, depth, stride, is_first=number == 1))
            channels = EXPANSION[spec.block] * width
            total_stride *= stride
            stages.append(Stage(channels=channels, stride=total_stride, module=f"stage{number}"))
        stages[-1] = Stage(channels=channels, stride=total_stride, module="bnrelu")
        self.stages = tuple(stages)
        self.bnrelu = activations(ORDERS[spec.order].before, channels, in_place=False)
        he_normal_(self, fan="out")
        for module in self.modules():
            if isinstance(module, GatedAddition):
                nn.init.constant_(module.gate.get_parameter("bias"), spec.gate_bias)
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        nn.init.zeros_(self.fc.bias)

    def _stem(self, in_channels: int, channels: int) -> nn.Sequential:
        """Make conv1, with what of normalisation and ReLU the first unit does not bring itself."""
        kernel, stride = (7, 2) if self.spec.stem == "imagenet" else (3, 1)
        later = "" if self.spec.first == "stem" else ORDERS[self.spec.order].before
        return ConvNormAct(
            in_channels,
            channels,
            kernel,
            stride=stride,
            padding=kernel // 2,
            normalisation="none" if "B" in later else "batch",
            activation="none" if "R" in later else "relu",
        )

    def _stage(self, in_channels: int, width: int, depth: int, stride: int, *, is_first: bool) -> nn.Sequential:
        spec, order = self.spec, ORDERS[self.spec.order]
        out_channels = EXPANSION[spec.block] * width
        units = []
        for _ in range(depth):
            if spec.block == "basic":
                convolutions = basic_convolutions(in_channels, width, stride)
            else:
                convolutions = bottleneck_convolutions(in_channels, width, out_channels, stride, spec.stride_in)
            before = "" if is_first and spec.first == "stem" else order.before
            unit = Unit(
                preactivation=activations(before, in_channels, in_place=False),
                residual=residual_branch(spec.order, convolutions),
                shortcut=self._shortcut(in_channels, out_channels, stride),
                activation=activations(order.after, out_channels),
                shares=stride != 1 or in_channels != out_channels or (is_first and spec.first == "shared"),
            )
            units.append(unit)
            in_channels, stride, is_first = out_channels, 1, False
        return nn.Sequential(*units)

    def _shortcut(self, in_channels: int, out_channels: int, stride: int) -> nn.Module:
        spec, order = self.spec, ORDERS[self.spec.order]
        option = "C" if spec.shortcut == "conv" else spec.option
        carrier = make_carrier(option, in_channels, out_channels, stride, normalised="B" in order.last)
        if spec.shortcut == "scaling":
            return ScaledAddition(carrier, spec.shortcut_scale, spec.residual_scale)
        if spec.shortcut in ("exclusive_gate", "shortcut_only_gate"):
            is_exclusive = spec.shortcut == "exclusive_gate"
            return GatedAddition(carrier, in_channels, out_channels, stride, is_exclusive=is_exclusive)
        if spec.shortcut == "dropout":
            carrier = nn.Sequential(carrier, nn.Dropout(spec.shortcut_dropout))
        return Addition(carrier, in_place="R" not in order.last)


_DEPTHS = {"50": (3, 4, 6, 3), "101": (3, 4, 23, 3), "152": (3, 8, 36, 3), "200": (3, 24, 36, 3)}


def _deep(name: str, layers: str, first: Literal["stem", "shared"]) -> PreResNetSpec:
    return PreResNetSpec(name=name, block="bottleneck", depths=_DEPTHS[layers], first=first, facts=FACTS[name])


def _shallow(name: str, depths: tuple[int, ...]) -> PreResNetSpec:
    return PreResNetSpec(name=name, depths=depths, first="branch", facts=FACTS[name])


def _cifar(name: str, n: int, block: Literal["basic", "bottleneck"]) -> PreResNetSpec:
    """Make a row of table 3: 3n units, so 6n + 2 weighted layers, or 9n + 2 with bottlenecks."""
    return PreResNetSpec(
        name=name,
        block=block,
        depths=(n, n, n),
        widths=(16, 32, 64),
        stem="cifar",
        option="A" if block == "basic" else "B",
        stride_in="1x1",
        facts=FACTS[name],
    )


SPECS: tuple[PreResNetSpec, ...] = (
    *(_deep(f"preresnet{layers}", layers, "stem") for layers in _DEPTHS),
    _shallow("resnetv2_18", (2, 2, 2, 2)),
    _shallow("resnetv2_34", (3, 4, 6, 3)),
    *(_deep(f"resnetv2_{layers}", layers, "shared") for layers in ("50", "101", "152")),
    _cifar("preresnet110_cifar", 18, "basic"),
    _cifar("preresnet164_cifar", 18, "bottleneck"),
    _cifar("preresnet1001_cifar", 111, "bottleneck"),
)

ALIASES = {
    f"preresnet{layers}_cifar{classes}": f"preresnet{layers}_cifar"
    for layers in (110, 164, 1001)
    for classes in (10, 100)
}
"""The same columns, for 10 and for 100 classes."""
