"""Inception-v3: factorised convolutions, and steps that lose no information.

Paper: Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the inception architecture for computer vision", CVPR 2016,
arXiv:1512.00567: table 1 (outline), figures 5 to 7 and 10 (modules), figure 8 (auxiliary head), table 3 (results).

============= ========== ============================================
row           output     what (V: without padding)
============= ========== ============================================
Conv2d_1a_3x3 149x149    3x3 V, 32, stride 2
Conv2d_2a_3x3 147x147    3x3 V, 32
Conv2d_2b_3x3 147x147    3x3, 64
maxpool1      73x73      3x3 V, stride 2
Conv2d_3b_1x1 73x73      1x1, 80
Conv2d_4a_3x3 71x71      3x3 V, 192
maxpool2      35x35      3x3 V, stride 2
Mixed_5b..5d  35x35      3 x A, 256, 288 and 288 maps
Mixed_6a      17x17      reduction, 768
Mixed_6b..6e  17x17      4 x B, 768, with 128, 160, 160, 192 inside
AuxLogits                auxiliary head on Mixed_6e, in training only
Mixed_7a      8x8        reduction, 1280
Mixed_7b, 7c  8x8        2 x C, 2048
avgpool, fc   1x1        mean over the map, full connection
============= ========== ============================================

Names: ``inception_v3`` has no auxiliary head; ``inception_v3_aux`` has the batch-normalised one of table 3's last row,
with which the published results were trained. Table 3 adds up to it, single crop, top-1 and top-5 errors: Inception-v2
23.4 %; RMSProp 23.1, 6.3; label smoothing 22.8, 6.1; factorised 7x7 21.6, 5.8 (the head without its normalisation, here
``auxiliary=plain``); BN-auxiliary 21.2, 5.6. ``reduction`` has the two worse ways of figure 9. ``first_stride=1`` makes
the network of section 9 for 151x151 pixels, and with ``first_pool=false`` that for 79x79.

Section 4 corrects GoogLeNet's reason for auxiliary heads: they bring no gradients early in training, they regularise.

**Deviations** (tests/networks/test_inception_v3.py):

- Widths, and the layers between the stem and the first module, are those of the authors' released code. The paper's
  table 1 is an outline that no published weights follow: 3x3 with 80 maps instead of 1x1, 3x3 with stride 2 instead of
  the second pooling, one more 3x3 with 288 maps.
- The zeros around a map count in the modules' average pooling, as in torchvision; the paper does not say, the released
  code leaves them out. The mean is taken after the 1x1 projection, which gives the same numbers.
- Dropout of 0.2 before the full connection is the released code's; the paper does not print any.
- Initial weights are the released code's: normal, cut at two deviations of 0.1 (full connection 0.01, hidden and last
  layer of the auxiliary head 0.01 and 0.001).
- The moving statistics take a tenth of every batch, not 0.0003 of it: short runs can be evaluated too.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.dense import slide_linear
from pixelwise.layers.inception import Conv, check_width_and_dropout, scaling
from pixelwise.layers.initialisation import truncated_normal_
from pixelwise.layers.sizes import smallest_side
from pixelwise.layers.trunk import last_map, run_trunk
from pixelwise.networks.classification.inception_v3_blocks import (
    Auxiliary,
    ModuleA,
    ModuleB,
    ModuleC,
    PlainReduction,
    Reduction,
    ReductionA,
    ReductionB,
    auxiliary_head,
)
from pixelwise.specs import Facts, Network, NetworkKind, Paper, Published, Spec, Stage

PAPER = Paper(
    title="Rethinking the inception architecture for computer vision",
    authors="C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna",
    year=2015,
    venue="CVPR 2016",
    link="arXiv:1512.00567",
)

PROJECTIONS = (32, 64, 64)
FACTORS = (128, 160, 160, 192)


@dataclass(frozen=True, kw_only=True)
class InceptionV3Spec(Spec):
    """A stem, inception modules on three scales with reductions between them, the mean, and a full connection."""

    family: ClassVar[str] = "inception_v3"
    task: ClassVar[NetworkKind] = "classification"

    auxiliary: Auxiliary = "none"
    """Head on Mixed_6e for training: ``plain``, or ``batch`` with its full connection normalised (BN-auxiliary)."""
    reduction: Reduction = "parallel"
    """How Mixed_6a and Mixed_7a halve height and width: strided convolutions beside pooling (figure 10); or, as in
    figure 9, pooling before or after a convolution to as many maps."""
    first_stride: int = 2
    """Step of the first convolution: 2, or 1 for small pictures (section 9)."""
    first_pool: bool = True
    """Whether the first pooling is there; it is not for the smallest pictures (section 9)."""
    width: float = 1.0
    """Factor of every number of maps, of which 16 stay at least."""
    dropout: float = 0.2
    """Probability with which an input of the full connection is left out in training."""

    def __post_init__(self) -> None:
        if self.first_stride not in (1, 2):
            raise SpecError(f"{self.name}: first_stride={self.first_stride}", expected="1 or 2", do="Correct it")
        check_width_and_dropout(self.name, self.width, self.dropout)

    def build(self, in_channels: int, num_classes: int) -> "InceptionV3":
        """Make the network; any number of channels and classes is possible."""
        return InceptionV3(self, in_channels, num_classes)


class InceptionV3(Network):
    """Conv2d_1a_3x3, ..., Mixed_7c, avgpool, dropout, fc; AuxLogits beside them where the spec has it."""

    spec: InceptionV3Spec
    auxiliary_heads: ClassVar[tuple[str, ...]] = ("AuxLogits",)

    def __init__(self, spec: InceptionV3Spec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        d = scaling(spec.width)
        self.Conv2d_1a_3x3 = Conv(d(32), 3, spec.first_stride, valid=True).build(in_channels)
        self.Conv2d_2a_3x3 = Conv(d(32), 3, valid=True).build(d(32))
        self.Conv2d_2b_3x3 = Conv(d(64), 3).build(d(32))
        if spec.first_pool:
            self.maxpool1 = nn.MaxPool2d(3, stride=2)
        self.Conv2d_3b_1x1 = Conv(d(80), 1).build(d(64))
        self.Conv2d_4a_3x3 = Conv(d(192), 3, valid=True).build(d(80))
        self.maxpool2 = nn.MaxPool2d(3, stride=2)
        maps = d(192)
        for letter, projection in zip("bcd", PROJECTIONS, strict=True):
            maps = self._add(f"Mixed_5{letter}", ModuleA(maps, projection, d))
        fine = maps
        if spec.reduction == "parallel":
            maps = self._add("Mixed_6a", ReductionA(maps, d))
        else:
            maps = self._add("Mixed_6a", PlainReduction(maps, d(384) + d(96) + maps, spec.reduction))
        for letter, factors in zip("bcde", FACTORS, strict=True):
            maps = self._add(f"Mixed_6{letter}", ModuleB(maps, factors, d))
        middle = maps
        if spec.auxiliary != "none":
            self.AuxLogits = auxiliary_head(maps, num_classes, spec.auxiliary, d)
        if spec.reduction == "parallel":
            maps = self._add("Mixed_7a", ReductionB(maps, d))
        else:
            maps = self._add("Mixed_7a", PlainReduction(maps, d(320) + d(192) + maps, spec.reduction))
        for letter in "bc":
            maps = self._add(f"Mixed_7{letter}", ModuleC(maps, d))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(spec.dropout)
        self.fc = nn.Linear(maps, num_classes)
        first = spec.first_stride
        second = 2 * first if spec.first_pool else first
        self.stages = (
            *([Stage(channels=d(64), stride=first, module="Conv2d_2b_3x3")] if spec.first_pool else []),
            Stage(channels=d(192), stride=second, module="Conv2d_4a_3x3"),
            Stage(channels=fine, stride=2 * second, module="Mixed_5d"),
            Stage(channels=middle, stride=4 * second, module="Mixed_6e"),
            Stage(channels=maps, stride=8 * second, module="Mixed_7c"),
        )
        self._initialise()

    def _add(self, name: str, module: ModuleA | ModuleB | ModuleC | ReductionA | ReductionB | PlainReduction) -> int:
        """Append a row of the table and return its number of maps."""
        self.add_module(name, module)
        return module.out_channels

    def _initialise(self) -> None:
        truncated_normal_(self, 0.1)
        truncated_normal_(self.fc, 0.01)
        if self.spec.auxiliary != "none":
            truncated_normal_(self.AuxLogits.get_submodule("conv1"), 0.01)
            truncated_normal_(self.AuxLogits.get_submodule("fc"), 0.001)

    @property
    def heads(self) -> tuple[str, ...]:
        """``fc``, after ``AuxLogits.fc`` where there is an auxiliary head."""
        return ("fc",) if self.spec.auxiliary == "none" else ("AuxLogits.fc", "fc")

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the last maps of every size; for 299x299, (N, 64, 147, 147) to (N, 2048, 8, 8)."""
        self.check_input(x)
        return run_trunk(self, x)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of x (N, in_channels, H, W)."""
        return self._classify(last_map(self, x))

    def training_logits(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of the head, then those of the auxiliary head where there is one."""
        *_, middle, last = self.features(x)
        if self.spec.auxiliary == "none":
            return (self._classify(last),)
        return self._classify(last), self.AuxLogits(middle)

    def dense_logits(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, h, w) at every place of the last map; their mean is :meth:`forward`."""
        return slide_linear(self.fc, last_map(self, x))

    def _classify(self, x: Tensor) -> Tensor:
        x = self.avgpool(x)  # (N, 2048, 1, 1)
        return self.fc(self.dropout(torch.flatten(x, 1)))

    def check_size(self, *size: int) -> None:
        """Refuse images of which the unpadded layers leave nothing; in training those too small for AuxLogits."""
        height, width = size
        spec = self.spec
        before = [(3, spec.first_stride), (3, 1), *([(3, 2)] if spec.first_pool else []), (3, 1), (3, 2), (3, 2)]
        smallest, reason = smallest_side([*before, (3, 2)]), ""
        if self.training and spec.auxiliary != "none":
            smallest, reason = smallest_side([*before, (5, 3), (5, 1)]), " where the auxiliary head is trained"
        if min(height, width) < smallest:
            is_coarse = spec.first_stride == 2 or spec.first_pool
            raise SpecError(
                f"{spec.name} cannot take images of {height} x {width} pixels",
                expected=f"at least {smallest} x {smallest}{reason}",
                do="Enlarge the images" + (", or set first_stride=1 and first_pool=false" if is_coarse else ""),
            )


def _imagenet(metric: str, value: float, protocol: str, source: str = "paper") -> Published:
    return Published(dataset="ILSVRC-2012 val", metric=metric, value=value, protocol=protocol, source=source)


def _paper_errors(protocol: str, top1: float, top5: float) -> tuple[Published, ...]:
    return _imagenet("top-1 error %", top1, protocol), _imagenet("top-5 error %", top5, protocol)


def _facts(params: int, paper_params: str = "") -> Facts:
    where = ("weights IMAGENET1K_V1, centre crop", "torchvision 0.28.0")
    return Facts(
        paper=PAPER,
        table="tables 1 and 3, figures 5-8 and 10; widths of the released code",
        input_size=(3, 299, 299),
        num_classes=1000,
        params=params,
        macs=5_713_216_096,
        paper_params=paper_params,
        published=(
            *_paper_errors("single crop, 48,238 images not blacklisted", 21.2, 5.6),
            *_paper_errors("12-crop", 19.47, 4.48),
            *_paper_errors("144-crop", 18.77, 4.2),
            *_paper_errors("4 models, 144-crop", 17.2, 3.58),
            _imagenet("top-1 accuracy %", 77.294, *where),
            _imagenet("top-5 accuracy %", 93.45, *where),
        ),
    )


SPECS: tuple[InceptionV3Spec, ...] = (
    InceptionV3Spec(name="inception_v3", facts=_facts(23_834_568, "less than 25 million")),
    InceptionV3Spec(name="inception_v3_aux", auxiliary="batch", facts=_facts(27_161_264)),
)
