"""Inception-v4: one kind of module for each map size, and a stem of modules too.

Paper: Szegedy, Ioffe, Vanhoucke, Alemi, "Inception-v4, Inception-ResNet and the impact of residual connections on
learning", AAAI 2017, arXiv:1602.07261: figure 9 (outline), figures 3 to 8 (stem and modules), tables 1 to 4.

============= ======= ==========================================================================================
row           output  what (V: without padding; branches are parted by semicolons)
============= ======= ==========================================================================================
1_3x3/2V      149x149 3x3 V, 32, stride 2
2_3x3V, 3_3x3 147x147 3x3 V, 32; then 3x3, 64
mixed3        73x73   maximum; 96 3x3 V with stride 2
mixed4        71x71   64 1x1, 96 3x3 V; 64 1x1, 64 7x1, 64 1x7, 96 3x3 V
mixed5        35x35   192 3x3 V with stride 2; maximum
4xA           35x35   96 1x1; 64 1x1, 96 3x3; 64 1x1, 96 3x3, 96 3x3; average, 96 1x1
redA          17x17   384 3x3 V with stride 2; 192 1x1, 224 3x3, 256 3x3 V with stride 2; maximum
7xB           17x17   384 1x1; 192 1x1, 224 1x7, 256 7x1; 192 1x1, 192 1x7, 224 7x1, 224 1x7, 256 7x1; average, 128 1x1
redB          8x8     192 1x1, 192 3x3 V with stride 2; 256 1x1, 256 1x7, 320 7x1, 320 3x3 V with stride 2; maximum
3xC           8x8     256 1x1; 384 1x1, (256 1x3 | 256 3x1); 384 1x1, 448 1x3, 512 3x1, (256 1x3 | 256 3x1);
                      average, 256 1x1
gap, fc       1x1     mean over the map, dropout, full connection
============= ======= ==========================================================================================

The Inception-ResNets of the same paper are in ``inception_resnet.py``.

**Deviations** (tests/networks/test_inception_v4.py):

- The published weights are those of the authors' released code, which turns some of the factorised windows on their
  side: 1x7 first in the stem, 7x1 first in B's longest branch, 3x1 first in C's. ``factor_order=figures`` builds the
  printed order, with the same parameters and multiply-adds. The order of a module's branches is the code's as well.
- Figure 5 prints 1x7 twice in B's second branch, where the code has 1x7 and 7x1.
- The mean of a module's pooled branch is taken after its 1x1 projection, which gives the same numbers. As in the
  released code only pixels that are there count in it.
- The released code can train with an auxiliary head, which no figure shows and no published file holds.
- The paper gives no initial weights. Convolutions have the released code's, by He's rule (the normal distribution is
  not cut off here); the full connection has Inception-v3's, normal with 0.01. From the Glorot weights of the released
  code the loss would start far above that of guessing where classes are few.
- The moving statistics take a tenth of every batch, not 0.0003 of it: short runs can be evaluated too.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from pixelwise.errors import SpecError
from pixelwise.layers.inception import (
    Branches,
    Conv,
    Scaling,
    averaged_projection,
    chain,
    check_width_and_dropout,
    scaling,
    split_pair,
)
from pixelwise.layers.initialisation import he_normal_, truncated_normal_
from pixelwise.networks.classification.inception_v4_blocks import (
    PAPER,
    FactorOrder,
    InceptionNetwork,
    ReductionA,
    paper_errors,
    stem,
    turned,
)
from pixelwise.specs import Facts, NetworkKind, Spec, Stage

TABLE_1 = (192, 224, 256, 384)
"""k, l, m, n of reduction A."""


@dataclass(frozen=True, kw_only=True)
class InceptionV4Spec(Spec):
    """The stem, modules A, B and C with reductions between them, the mean, and a full connection."""

    family: ClassVar[str] = "inception_v4"
    task: ClassVar[NetworkKind] = "classification"

    depths: tuple[int, int, int] = (4, 7, 3)
    """Modules A, B and C."""
    factor_order: FactorOrder = "code"
    """Which of 1xn and nx1 comes first: as in the released code and its weights, or as in the figures."""
    width: float = 1.0
    """Factor of every number of maps, of which 16 stay at least."""
    dropout: float = 0.2
    """Probability with which an input of the full connection is left out in training (figure 9: 0.8 are kept)."""

    def __post_init__(self) -> None:
        if min(self.depths) < 1:
            raise SpecError(f"{self.name}: depths={self.depths}", expected="three positive numbers", do="Correct them")
        check_width_and_dropout(self.name, self.width, self.dropout)

    def build(self, in_channels: int, num_classes: int) -> "InceptionV4":
        """Make the network; any number of channels and classes is possible."""
        return InceptionV4(self, in_channels, num_classes)


def module_a(maps: int, d: Scaling) -> Branches:
    """Figure 4: up to two 3x3 convolutions on 35x35 maps, from ``maps`` to 384."""
    return Branches(
        chain(maps, Conv(d(96), 1)),
        chain(maps, Conv(d(64), 1), Conv(d(96), 3)),
        chain(maps, Conv(d(64), 1), Conv(d(96), 3), Conv(d(96), 3)),
        averaged_projection(maps, d(96), count_padding=False),
    )


def module_b(maps: int, order: FactorOrder, d: Scaling) -> Branches:
    """Figure 5: factorised 7x7 windows on 17x17 maps, from ``maps`` to 1024."""
    row, column = turned(order, 1, 7), turned(order, 7, 1)
    twice = (Conv(d(192), row), Conv(d(224), column), Conv(d(224), row), Conv(d(256), column))
    return Branches(
        chain(maps, Conv(d(384), 1)),
        chain(maps, Conv(d(192), 1), Conv(d(224), (1, 7)), Conv(d(256), (7, 1))),
        chain(maps, Conv(d(192), 1), *twice),
        averaged_projection(maps, d(128), count_padding=False),
    )


def reduction_b(maps: int, d: Scaling) -> Branches:
    """Figure 8, from 17x17 to 8x8 and from ``maps`` to 512 more."""
    last = Conv(d(320), 3, 2, valid=True)
    return Branches(
        chain(maps, Conv(d(192), 1), Conv(d(192), 3, 2, valid=True)),
        chain(maps, Conv(d(256), 1), Conv(d(256), (1, 7)), Conv(d(320), (7, 1)), last),
        nn.MaxPool2d(3, stride=2),
    )


def module_c(maps: int, order: FactorOrder, d: Scaling) -> Branches:
    """Figure 6: expanded filter banks on 8x8 maps, from ``maps`` to 1536."""
    row, column = turned(order, 1, 3), turned(order, 3, 1)
    return Branches(
        chain(maps, Conv(d(256), 1)),
        chain(maps, Conv(d(384), 1)).append(split_pair(d(384), d(256))),
        chain(maps, Conv(d(384), 1), Conv(d(448), row), Conv(d(512), column)).append(split_pair(d(512), d(256))),
        averaged_projection(maps, d(256), count_padding=False),
    )


class InceptionV4(InceptionNetwork):
    """Figure 9: the stem's rows, 4xA, redA, 7xB, redB, 3xC, gap, dropout, fc."""

    spec: InceptionV4Spec

    def __init__(self, spec: InceptionV4Spec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        d, order = scaling(spec.width), spec.factor_order
        rows, stem_maps = stem(in_channels, order, d)
        for name, row in rows.items():
            self.add_module(name, row)
        names = [f"{depth}x{letter}" for depth, letter in zip(spec.depths, "ABC", strict=True)]
        a = 4 * d(96)
        inputs = (stem_maps, *[a] * (spec.depths[0] - 1))
        self.add_module(names[0], nn.Sequential(*(module_a(maps, d) for maps in inputs)))
        self.redA = ReductionA(a, TABLE_1, d)
        b = d(384) + 2 * d(256) + d(128)
        inputs = (self.redA.out_channels, *[b] * (spec.depths[1] - 1))
        self.add_module(names[1], nn.Sequential(*(module_b(maps, order, d) for maps in inputs)))
        self.redB = reduction_b(b, d)
        c = 6 * d(256)
        inputs = (d(192) + d(320) + b, *[c] * (spec.depths[2] - 1))
        self.add_module(names[2], nn.Sequential(*(module_c(maps, order, d) for maps in inputs)))
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(spec.dropout)
        self.fc = nn.Linear(c, num_classes)
        self.stages = (
            Stage(channels=d(64), stride=2, module="3_3x3"),
            Stage(channels=2 * d(96), stride=4, module="mixed4"),
            Stage(channels=a, stride=8, module=names[0]),
            Stage(channels=b, stride=16, module=names[1]),
            Stage(channels=c, stride=32, module=names[2]),
        )
        he_normal_(self)
        truncated_normal_(self.fc, 0.01)


SPECS: tuple[InceptionV4Spec, ...] = (
    InceptionV4Spec(
        name="inception_v4",
        facts=Facts(
            paper=PAPER,
            table="figure 9, with the released code's order of factors",
            input_size=(3, 299, 299),
            num_classes=1000,
            params=42_679_816,
            macs=12_253_974_624,
            published=(
                *paper_errors("single crop, images not blacklisted", 20.0, 5.0),
                *paper_errors("12-crop, all 50,000 images", 18.7, 4.2),
                *paper_errors("144-crop", 17.7, 3.8),
            ),
        ),
    ),
)
