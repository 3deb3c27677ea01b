"""Inception-ResNet: inception modules whose branches are added to their input, scaled down.

Paper: Szegedy, Ioffe, Vanhoucke, Alemi, "Inception-v4, Inception-ResNet and the impact of residual connections on
learning", AAAI 2017, arXiv:1602.07261: figure 15 (outline), figures 10 to 14 (v1) and 16 to 19 (v2), figure 20 and
section 3.3 (scaling), table 1.

======== ====================================================== ================================ =======================
row      v1                                                     v2                               v2 as released
======== ====================================================== ================================ =======================
stem     3x3/2 V 32; 3x3 V 32; 3x3 64; max; 1x1 80; 3x3 V 192;  that of Inception-v4             as v1 up to 192 maps,
         3x3/2 V 256                                                                             max, mixed5b
A        32 1x1; 32 1x1, 32 3x3; 32 1x1, 32 3x3, 32 3x3         ...; 32 1x1, 48 3x3, 64 3x3      as v2
redA     k, l, m, n = 192, 192, 256, 384; 896 maps              256, 256, 384, 384; 1152 maps    1088 maps
B        128 1x1; 128 1x1, 128 1x7, 128 7x1                     192; 128, 160, 192               as v2
redB     max; 256, 384 /2; 256, 256 /2; 256, 256, 256 /2        max; 384; 288; 288, 320          as v2, 2080 maps
C        192 1x1; 192 1x1, 192 1x3, 192 3x1                     192; 192, 224, 256               as v2
modules  5 A, 10 B, 5 C                                         5, 10, 5                         10, 20, 9, and block8
head     gap, dropout, fc                                       as v1                            conv7b 1536, then so
======== ====================================================== ================================ =======================

Every module ends in a 1x1 convolution back to the width of its input ("linear", so without normalisation or ReLU), the
scaled sum with the input, and ReLU.

Names: ``inception_resnet_v2_paper`` is the network of the figures. ``inception_resnet_v2`` is the one whose weights the
authors released: another network of almost twice the size, which all libraries mean by the name. Three of v2 and one
Inception-v4 together, 144 crops: 3.08 % top-5 on the test images of ILSVRC-2012.

**Deviations** (tests/networks/test_inception_resnet.py):

- The paper picks scales "between 0.1 and 0.3"; those for A, B and C are the released code's, 0.17, 0.10 and 0.20.
- The widths of the sums follow from the branches: 1152 and 2144 in v2, where figures 17 and 19 print 1154 and 2048.
- The paper gives no initial weights. Convolutions have the released code's, by He's rule (the normal distribution is
  not cut off here); the full connection has Inception-v3's, normal with 0.01. From the Glorot weights of the released
  code the loss would start far above that of guessing where classes are few.
- The moving statistics take a tenth of every batch, not 0.0003 of it: short runs can be evaluated too.
"""

from dataclasses import dataclass
from math import inf
from typing import ClassVar, Final, Literal

from torch import nn

from pixelwise.errors import SpecError
from pixelwise.layers.inception import Conv, Scaling, check_width_and_dropout, scaling
from pixelwise.layers.initialisation import he_normal_, truncated_normal_
from pixelwise.networks.classification.inception_resnet_blocks import (
    KERNELS,
    V1,
    V2,
    BranchWidths,
    ReductionB,
    ResidualModule,
    plain_stem,
)
from pixelwise.networks.classification.inception_v4_blocks import (
    PAPER,
    InceptionNetwork,
    ReductionA,
    paper_errors,
    stem,
)
from pixelwise.specs import Facts, NetworkKind, Published, Spec, Stage

ROWS: Final = {
    "v1": ("3_3x3", "5_3x3V", ("A", "B", "C"), ("redA", "redB")),
    "v2": ("3_3x3", "mixed4", ("A", "B", "C"), ("redA", "redB")),
    "v2_released": ("2b", "4a", ("block35", "block17", "block8"), ("mixed6a", "mixed7a")),
}
"""Last rows of the two finest sizes, kinds of modules, reductions; the released network has the names of its code."""


@dataclass(frozen=True, kw_only=True)
class InceptionResNetSpec(Spec):
    """A stem, residual modules A, B and C with reductions between them, the mean, and a full connection."""

    family: ClassVar[str] = "inception_resnet"
    task: ClassVar[NetworkKind] = "classification"

    version: Literal["v1", "v2", "v2_released"] = "v1"
    """Stem and widths: of the paper's v1 or v2, or of v2 as its weights were released."""
    depths: tuple[int, int, int] = (5, 10, 5)
    """Modules A, B and C; the released v2 has one more C after them, unscaled and without ReLU."""
    scales: tuple[float, float, float] = (0.17, 0.10, 0.20)
    """What the branches of modules A, B and C are multiplied by before the sum (section 3.3); 1 = as in ResNet."""
    width: float = 1.0
    """Factor of every number of maps, of which 16 stay at least."""
    dropout: float = 0.2
    """Probability with which an input of the full connection is left out in training (figure 15: 0.8 are kept)."""

    def __post_init__(self) -> None:
        for column, numbers in (("depths", self.depths), ("scales", self.scales)):
            if not all(0 < number < inf for number in numbers):
                raise SpecError(
                    f"{self.name}: {column}={numbers}", expected="three positive numbers", do="Correct them"
                )
        check_width_and_dropout(self.name, self.width, self.dropout)

    def build(self, in_channels: int, num_classes: int) -> "InceptionResNet":
        """Make the network; any number of channels and classes is possible."""
        return InceptionResNet(self, in_channels, num_classes)


class InceptionResNet(InceptionNetwork):
    """Figure 15: the stem's rows, 5xA, redA, 10xB, redB, 5xC, gap, dropout, fc; other names in the released v2."""

    spec: InceptionResNetSpec

    def __init__(self, spec: InceptionResNetSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        d, widths = scaling(spec.width), V1 if spec.version == "v1" else V2
        if spec.version == "v2":
            (rows, maps), fine = stem(in_channels, "figures", d), 2 * d(96)
        else:
            (rows, maps), fine = plain_stem(in_channels, spec.version, d), d(192)
        for name, row in rows.items():
            self.add_module(name, row)
        first, second, (a, b, c), reductions = ROWS[spec.version]
        stages = [
            Stage(channels=d(64), stride=2, module=first),
            Stage(channels=fine, stride=4, module=second),
            self._level(0, a, maps, widths.a, d),
        ]
        reduction_a = ReductionA(maps, widths.reduction_a, d)
        self.add_module(reductions[0], reduction_a)
        stages.append(self._level(1, b, reduction_a.out_channels, widths.b, d))
        reduction_b = ReductionB(reduction_a.out_channels, widths.reduction_b, d)
        self.add_module(reductions[1], reduction_b)
        stages.append(self._level(2, c, reduction_b.out_channels, widths.c, d))
        if spec.version == "v2_released":
            closing = ResidualModule(reduction_b.out_channels, widths.c, KERNELS[2], d, scale=1.0, activation="none")
            self.add_module(f"block8_{spec.depths[2] + 1}", closing)
            self.conv7b = Conv(d(1536), 1).build(reduction_b.out_channels)
            stages[-1] = Stage(channels=d(1536), stride=32, module="conv7b")
        self.stages = tuple(stages)
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(spec.dropout)
        self.fc = nn.Linear(self.stages[-1].channels, num_classes)
        he_normal_(self)
        truncated_normal_(self.fc, 0.01)

    def _level(self, index: int, kind: str, maps: int, widths: BranchWidths, d: Scaling) -> Stage:
        """Append the modules A (``index`` 0), B or C, which keep the number of maps."""
        depth, scale = self.spec.depths[index], self.spec.scales[index]
        name = f"{depth}x{kind}"
        modules = (ResidualModule(maps, widths, KERNELS[index], d, scale=scale) for _ in range(depth))
        self.add_module(name, nn.Sequential(*modules))
        return Stage(channels=maps, stride=8 << index, module=name)


def _facts(params: int, macs: int, table: str, published: tuple[Published, ...] = ()) -> Facts:
    return Facts(
        paper=PAPER,
        table=table,
        input_size=(3, 299, 299),
        num_classes=1000,
        params=params,
        macs=macs,
        published=published,
    )


_ONE_CROP = "single crop, images not blacklisted"
_V1_ERRORS = (
    *paper_errors(_ONE_CROP, 21.3, 5.5),
    *paper_errors("12-crop, all 50,000 images", 19.8, 4.6),
    *paper_errors("144-crop", 18.8, 4.3),
)
_V2_ERRORS = (
    *paper_errors(_ONE_CROP, 19.9, 4.9),
    *paper_errors("12-crop, all 50,000 images", 18.7, 4.1),
    *paper_errors("144-crop", 17.8, 3.7),
    *paper_errors("with two more of its kind and Inception-v4, 144-crop", 16.5, 3.1),
)
_RELEASED = "variant: the authors' released network, twice as large as the figures' and with Inception-v3's stem"

SPECS: tuple[InceptionResNetSpec, ...] = (
    InceptionResNetSpec(
        name="inception_resnet_v1",
        facts=_facts(22_756_328, 6_206_361_696, "figure 15, with figures 7 and 10-14", _V1_ERRORS),
    ),
    InceptionResNetSpec(
        name="inception_resnet_v2_paper",
        version="v2",
        facts=_facts(32_433_928, 9_257_953_632, "figure 15, with figures 3, 7 and 16-19", _V2_ERRORS),
    ),
    InceptionResNetSpec(
        name="inception_resnet_v2",
        version="v2_released",
        depths=(10, 20, 9),
        facts=_facts(55_843_464, 13_155_794_016, _RELEASED),
    ),
)
