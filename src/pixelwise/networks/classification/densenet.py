"""Densely connected networks.

Paper: Huang, Liu, van der Maaten, Weinberger, "Densely connected convolutional networks", CVPR 2017, arXiv:1608.06993:
section 3 (layers, B, C), table 1 (ImageNet), section 4.2 and table 2 (CIFAR, SVHN).

====== ======== ============= ============= ============= ============= =============
row    output   121, k = 32   169, k = 32   201, k = 32   264, k = 32   161, k = 48
====== ======== ============= ============= ============= ============= =============
conv0  112x112  7x7, 2k maps, stride 2
pool0  56x56    3x3 maximum, stride 2
block1 56x56    6 x layer     6             6             6             6
trans1 28x28    1x1 to half the maps, 2x2 mean
block2 28x28    12            12            12            12            12
trans2 14x14    as trans1
block3 14x14    24            32            48            64            36
trans3 7x7      as trans1
block4 7x7      16            32            32            48            24
bnrelu 7x7      batch normalisation, ReLU
gap,fc 1x1      mean over the map, full connection
====== ======== ============= ============= ============= ============= =============

A layer is BN, ReLU, 3x3 convolution to k maps; with a bottleneck (B) BN, ReLU, 1x1 convolution to 4k maps come before.
A transition keeps all maps, or with compression (C) half of them. For CIFAR: conv0 3x3 with 16 maps (BC: 2k), three
blocks of (L - 4) / 3 layers (BC: (L - 4) / 6), at 32x32, 16x16 and 8x8 pixels.

Names: ``densenet40_k12_cifar`` is L = 40, k = 12, plain; ``densenet_bc100_k12_cifar`` has both B and C; B or C alone
are ``bottleneck`` and ``compression``. The paper's results without augmentation were trained with ``dropout=0.2``.
``memory_efficient=true`` trains with less memory and more time, to the same bits.

For equal accuracy a DenseNet has fewer parameters than a ResNet, but not less computation or memory: every layer reads
all maps before it.

**Deviations** (tests/networks/test_densenet.py):

- The paper gives He's initialisation without its fan; as in the authors' code, the maps that go out count.
- The authors' present code starts plain CIFAR networks with 2k maps; the paper's 16 give the paper's parameters.
- 161 layers are in the paper's first versions and in torchvision; the last version has 264 instead. Both are here.
- The last layer keeps PyTorch's initial weights (uniform, +-1/sqrt(fan_in)) with bias zero, as in the authors' code.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from pixelwise.errors import SpecError
from pixelwise.layers.averaging import AveragingNetwork
from pixelwise.layers.convolution import ConvNormAct
from pixelwise.layers.initialisation import he_normal_
from pixelwise.networks.classification.densenet_blocks import DenseBlock, Transition
from pixelwise.specs import Facts, NetworkKind, Paper, Published, Spec, Stage

PAPER = Paper(
    title="Densely connected convolutional networks",
    authors="G. Huang, Z. Liu, L. van der Maaten, K. Q. Weinberger",
    year=2016,
    venue="CVPR 2017",
    link="arXiv:1608.06993",
)


@dataclass(frozen=True, kw_only=True)
class DenseNetSpec(Spec):
    """A stem, dense blocks with transitions between them, the mean over the last maps, and a full connection."""

    family: ClassVar[str] = "densenet"
    task: ClassVar[NetworkKind] = "classification"

    depths: tuple[int, ...] = (6, 12, 24, 16)
    """Layers of each block."""
    growth_rate: int = 32
    """Maps that each layer adds, k."""
    bottleneck: bool = True
    """B: a 1x1 convolution to 4k maps before every 3x3."""
    compression: float = 0.5
    """C: the part of the maps that a transition keeps, rounded down; 1 for all."""
    stem: Literal["imagenet", "cifar"] = "imagenet"
    """7x7 convolution with stride 2 and 3x3 maximum pooling with stride 2, or one 3x3 convolution."""
    stem_width: int = 64
    """Maps of the first convolution."""
    dropout: float = 0.0
    """Rate after every convolution but the first."""
    memory_efficient: bool = False
    """Make concatenated and normalised maps again in the backward pass instead of keeping them: the same bits."""

    def __post_init__(self) -> None:
        if not self.depths or min(*self.depths, self.growth_rate, self.stem_width) < 1:
            raise SpecError(
                f"{self.name}: depths={self.depths}, growth_rate={self.growth_rate}, stem_width={self.stem_width}",
                expected="at least one block, all numbers positive",
                do="Correct them",
            )
        if not 0 < self.compression <= 1 or not 0 <= self.dropout < 1:
            raise SpecError(
                f"{self.name}: compression={self.compression}, dropout={self.dropout}",
                expected="a compression above 0 and up to 1, a dropout from 0 up to but not including 1",
                do="Correct them",
            )
        if min(self.kept_widths) < 1:
            raise SpecError(
                f"{self.name}: compression={self.compression} leaves no maps after a transition",
                expected="at least one map",
                do="Enlarge compression, growth_rate or stem_width",
            )

    @property
    def kept_widths(self) -> tuple[int, ...]:
        """Maps that go into each block."""
        widths = [self.stem_width]
        for depth in self.depths[:-1]:
            widths.append(int((widths[-1] + depth * self.growth_rate) * self.compression))
        return tuple(widths)

    def build(self, in_channels: int, num_classes: int) -> "DenseNet":
        """Make the network; any number of channels and classes is possible."""
        return DenseNet(self, in_channels, num_classes)


class DenseNet(AveragingNetwork):
    """Table 1: conv0, pool0, block1, trans1, ..., bnrelu, gap, fc; for CIFAR without pool0.

    Odd heights and widths are rounded up in the stem and down in the transitions. The last map of ``features`` is
    normalised, the others are what the blocks put out.
    """

    spec: DenseNetSpec
    for_small_pictures: ClassVar[str] = "densenet_bc100_k12_cifar"

    def __init__(self, spec: DenseNetSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        if spec.stem == "imagenet":
            self.conv0 = ConvNormAct(in_channels, spec.stem_width, 7, stride=2, padding=3)
            self.pool0 = nn.MaxPool2d(3, stride=2, padding=1)
        else:  # the first layer of the block normalises
            self.conv0 = ConvNormAct(
                in_channels, spec.stem_width, 3, padding=1, normalisation="none", activation="none"
            )
        stride = 4 if spec.stem == "imagenet" else 1
        stages: list[Stage] = []
        channels = 0
        for number, (width, depth) in enumerate(zip(spec.kept_widths, spec.depths, strict=True), 1):
            if number > 1:
                self.add_module(f"trans{number - 1}", Transition(channels, width, spec.dropout))
                stride *= 2
            block = DenseBlock(
                width,
                depth,
                spec.growth_rate,
                bottleneck=spec.bottleneck,
                dropout=spec.dropout,
                memory_efficient=spec.memory_efficient,
            )
            self.add_module(f"block{number}", block)
            channels = block.out_channels
            module = f"block{number}" if number < len(spec.depths) else "bnrelu"
            stages.append(Stage(channels=channels, stride=stride, module=module))
        self.stages = tuple(stages)
        self.bnrelu = nn.Sequential()
        self.bnrelu.add_module("norm", nn.BatchNorm2d(channels))
        self.bnrelu.add_module("act", nn.ReLU(inplace=True))
        he_normal_(self, fan="out")
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        nn.init.zeros_(self.fc.bias)


def _imagenet(top1: float, top5: float, protocol: str, source: str) -> tuple[Published, ...]:
    kind = "accuracy" if source.startswith("torchvision") else "error"
    return tuple(
        Published(dataset="ILSVRC-2012 val", metric=f"{top} {kind} %", value=value, protocol=protocol, source=source)
        for top, value in (("top-1", top1), ("top-5", top5))
    )


def _imagenet_row(
    name: str,
    depths: tuple[int, ...],
    params: int,
    macs: int,
    *,
    single: tuple[float, float],
    ten: tuple[float, float],
    torchvision: tuple[float, float] | None = None,
    growth_rate: int = 32,
    source: str = "paper",
) -> DenseNetSpec:
    published = [*_imagenet(*single, "single crop", source), *_imagenet(*ten, "10-crop", source)]
    if torchvision:
        published += _imagenet(*torchvision, "weights IMAGENET1K_V1, centre crop", "torchvision 0.28.0")
    return DenseNetSpec(
        name=name,
        depths=depths,
        growth_rate=growth_rate,
        stem_width=2 * growth_rate,
        facts=Facts(
            paper=PAPER,
            table="table 1" if source == "paper" else "table 1 of the first versions",
            input_size=(3, 224, 224),
            num_classes=1000,
            params=params,
            macs=macs,
            published=tuple(published),
        ),
    )


_AUGMENTED, _PLAIN = "flips and crops of 4 padded pixels", "no augmentation, dropout 0.2"


def _cifar_row(
    name: str,
    layers: int,
    growth_rate: int,
    params: int,
    macs: int,
    *,
    paper_params: str,
    bc: bool,
    errors: dict[str, float],
) -> DenseNetSpec:
    """Make a row of table 2; ``errors`` by its headings, where + stands for augmentation."""
    names = {"C10": "CIFAR-10 test", "C100": "CIFAR-100 test", "SVHN": "SVHN test"}
    return DenseNetSpec(
        name=name,
        depths=((layers - 4) // (6 if bc else 3),) * 3,
        growth_rate=growth_rate,
        bottleneck=bc,
        compression=0.5 if bc else 1.0,
        stem="cifar",
        stem_width=2 * growth_rate if bc else 16,
        facts=Facts(
            paper=PAPER,
            table="table 2",
            input_size=(3, 32, 32),
            num_classes=10,
            params=params,
            macs=macs,
            paper_params=paper_params,
            published=tuple(
                Published(
                    dataset=names[heading.removesuffix("+")],
                    metric="error %",
                    value=error,
                    protocol=_AUGMENTED if heading.endswith("+") else _PLAIN,
                    source="paper",
                )
                for heading, error in errors.items()
            ),
        ),
    )


SPECS: tuple[DenseNetSpec, ...] = (
    _imagenet_row(
        "densenet121", (6, 12, 24, 16), 7_978_856, 2_834_161_664,
        single=(25.02, 7.71), ten=(23.61, 6.66), torchvision=(74.434, 91.972),
    ),
    _imagenet_row(
        "densenet169", (6, 12, 32, 32), 14_149_480, 3_359_843_328,
        single=(23.80, 6.85), ten=(22.08, 5.92), torchvision=(75.6, 92.806),
    ),
    _imagenet_row(
        "densenet201", (6, 12, 48, 32), 20_013_928, 4_291_365_888,
        single=(22.58, 6.34), ten=(21.46, 5.54), torchvision=(76.896, 93.37),
    ),
    _imagenet_row(
        "densenet264", (6, 12, 64, 48), 33_337_704, 5_751_653_376, single=(22.15, 6.12), ten=(20.80, 5.29),
    ),
    _imagenet_row(
        "densenet161", (6, 12, 36, 24), 28_681_000, 7_727_907_072, growth_rate=48, source="paper, first versions",
        single=(22.33, 6.15), ten=(20.85, 5.30), torchvision=(77.138, 93.56),
    ),
    _cifar_row(
        "densenet40_k12_cifar", 40, 12, 1_019_722, 264_812_928, paper_params="1.0M", bc=False,
        errors={"C10+": 5.24, "C10": 7.00, "C100+": 24.42, "C100": 27.55, "SVHN": 1.79},
    ),
    _cifar_row(
        "densenet100_k12_cifar", 100, 12, 6_979_642, 1_769_516_448, paper_params="7.0M", bc=False,
        errors={"C10+": 4.10, "C10": 5.77, "C100+": 20.20, "C100": 23.79, "SVHN": 1.67},
    ),
    _cifar_row(
        "densenet100_k24_cifar", 100, 24, 27_249_082, 6_889_347_744, paper_params="27.2M", bc=False,
        errors={"C10+": 3.74, "C10": 5.83, "C100+": 19.25, "C100": 23.42, "SVHN": 1.59},
    ),
    _cifar_row(
        "densenet_bc100_k12_cifar", 100, 12, 769_162, 287_929_692, paper_params="0.8M", bc=True,
        errors={"C10+": 4.51, "C10": 5.92, "C100+": 22.27, "C100": 24.15, "SVHN": 1.76},
    ),
    _cifar_row(
        "densenet_bc250_k24_cifar", 250, 24, 15_324_406, 5_418_785_724, paper_params="15.3M", bc=True,
        errors={"C10+": 3.62, "C10": 5.19, "C100+": 17.60, "C100": 19.64, "SVHN": 1.74},
    ),
    _cifar_row(
        "densenet_bc190_k40_cifar", 190, 40, 25_624_430, 9_301_945_740, paper_params="25.6M", bc=True,
        errors={"C10+": 3.46, "C100+": 17.18},
    ),
)  # fmt: skip

ALIASES = {f"{row.name}{classes}": row.name for row in SPECS if row.stem == "cifar" for classes in (10, 100)}
"""A CIFAR network has one row for both data sets, which differ in the number of classes only."""
