"""V-Net: residual stages of 5x5x5 convolutions on volumes, down by strided convolutions and up by transposed ones.

Paper: Milletari, Navab, Ahmadi, "V-Net: Fully convolutional neural networks for volumetric medical image segmentation",
3DV 2016, arXiv:1606.04797, figure 2 and table 1. Sizes are the paper's, for 128 x 128 x 64 voxels.

===== ================= ============ ==================== ===== ================= ============ ====================
left  maps, size        convolutions receptive field      right maps, size        convolutions receptive field
===== ================= ============ ==================== ===== ================= ============ ====================
e1    16, 128x128x64    1            5                    r1    32, 128x128x64    1            551
e2    32, 64x64x32      2            22                   r2    64, 64x64x32      2            546
e3    64, 32x32x16      3            72                   r3    128, 32x32x16     3            528
e4    128, 16x16x8      3            172                  r4    256, 16x16x8      3            476
e5    256, 8x8x4        3            372                  out   1x1x1 to the classes           551
===== ================= ============ ==================== ===== ================= ============ ====================

Between the stages, ``d1`` to ``d4`` are 2x2x2 convolutions with stride 2 that double the maps, ``u4`` to ``u1`` 2x2x2
transposed convolutions to the maps of the level, behind which the left side's are put. Every convolution is followed
by PReLU with one slope for each map. In each stage what goes in, of the first stage tiled 16 times, of the right stages
the joined maps, is added to what the last convolution makes, before its PReLU. There is no batch normalisation.

============================ ==================== ==================== ====================
point                        the paper's figure   released prototxt    MONAI
============================ ==================== ==================== ====================
convolutions, left           1, 2, 3, 3, 3        1, 1, 2, 3, 3        1, 1, 2, 3, 2
convolutions, right, r1 first 1, 2, 3, 3          1, 1, 2, 3           1, 1, 2, 2
out                          1x1x1                5x5x5, PReLU, 1x1x1  5x5x5, BN, ELU, 1x1x1
normalisation, activation    none, PReLU          none, PReLU          batch, ELU
last activation of a stage   after the sum        after the sum        before and after it,
                                                                       in e1 after it
biases                       all                  all                  up-convolutions, 1x1x1
dropout of whole maps        none                 none                 0.5, see ``dropout``
============================ ==================== ==================== ====================

Every size is legal: the volume is padded with zeros behind each axis to a multiple of 16, and the logits are cropped
back.

**Deviations** (tests/networks/test_vnet.py):

- The paper's figure does not print the maps of the right side; they are the released prototxt's.
- Channels whose number does not divide 16 are tiled and cut: the paper has one channel, MONAI refuses such numbers.
- The paper trains on fixed 128x128x64; its weights for other sizes, and the padding for them, are not in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Final, Literal

import torch
from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.convolution import Normalisation
from pixelwise.layers.initialisation import he_normal_
from pixelwise.layers.sizes import crop, pad_to_multiple
from pixelwise.specs import Facts, Network, NetworkKind, Paper, Published, Spec, Stage

PAPER = Paper(
    title="V-Net: Fully convolutional neural networks for volumetric medical image segmentation",
    authors="F. Milletari, N. Navab, S.-A. Ahmadi",
    year=2016,
    venue="3DV 2016",
    link="arXiv:1606.04797",
)

KERNEL: Final = 5
DROPPED_LEVELS: Final = 2
"""``dropout`` is applied in so many levels, the coarsest."""


@dataclass(frozen=True, kw_only=True)
class VNetSpec(Spec):
    """Figure 2."""

    family: ClassVar[str] = "vnet"
    task: ClassVar[NetworkKind] = "segmentation"

    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    """Maps of each level's left stage; the right stage has twice as many, half of them from the left."""
    depths: tuple[int, ...] = (1, 2, 3, 3, 3)
    """Convolutions of each left stage, finest first."""
    up_depths: tuple[int, ...] = (1, 2, 3, 3)
    """Convolutions of each right stage, finest first."""
    normalisation: Normalisation = "none"
    """After every convolution, before its activation."""
    activation: Literal["prelu", "elu"] = "prelu"
    bias: bool = True
    """Whether the stages' convolutions and those between them on the left add a bias; the others always do."""
    addition: Literal["before_activation", "after_activation"] = "before_activation"
    """Whether a stage's input is added to its last convolution's maps before their activation or, in all stages but
    the first, after it; there is an activation after the sum in both."""
    head: Literal["1x1x1", "5x5x5"] = "1x1x1"
    """5x5x5: a convolution to the classes with its activation comes before the 1x1x1."""
    dropout: float = 0.0
    """Rate at which whole maps are dropped: before the convolutions of the two coarsest left stages and before the two
    coarsest up-convolutions, and all that the left side hands over."""

    def __post_init__(self) -> None:
        depth = len(self.widths)
        if depth < 2 or min((*self.widths, *self.depths, *self.up_depths)) < 1:
            raise self._fault(
                f"widths={self.widths}, depths={self.depths}, up_depths={self.up_depths}",
                "at least two levels, all numbers positive",
            )
        if (len(self.depths), len(self.up_depths)) != (depth, depth - 1):
            raise self._fault(
                f"{depth} widths, {len(self.depths)} depths, {len(self.up_depths)} up_depths",
                "as many depths as widths, and one up_depth fewer",
            )
        if not 0 <= self.dropout < 1:
            raise self._fault(f"dropout={self.dropout:g}", "a rate from 0 up to but not including 1")

    def _fault(self, came: str, expected: str) -> SpecError:
        return SpecError(f"{self.name}: {came}", expected=expected, do="Correct the fields")

    @property
    def dimensions(self) -> int:
        """3: the network looks at volumes."""
        return 3

    def unit(self, convolution: nn.Module, maps: int, *, is_activated: bool = True) -> nn.Sequential:
        """Put normalisation and an activation behind a convolution, as the columns say."""
        parts = nn.Sequential()
        parts.add_module("conv", convolution)
        if self.normalisation == "batch":
            parts.add_module("norm", nn.BatchNorm3d(maps))
        if is_activated:
            parts.add_module("act", self.active(maps))
        return parts

    def active(self, maps: int) -> nn.Module:
        """Make the activation of ``maps`` maps."""
        return nn.PReLU(maps) if self.activation == "prelu" else nn.ELU()

    def build(self, in_channels: int, num_classes: int) -> "VNet":
        """Make the network; any number of channels and classes is possible."""
        return VNet(self, in_channels, num_classes)


class ResidualStage(nn.Module):
    """Convolutions of 5x5x5 whose outcome is added to what went in."""

    def __init__(
        self, spec: VNetSpec, in_channels: int, maps: int, depth: int, *, dropout: float = 0.0, is_first: bool = False
    ) -> None:
        super().__init__()
        activates_last = spec.addition == "after_activation" and not is_first
        units = []
        for number, (before, after) in enumerate(pairwise([in_channels, *[maps] * depth]), start=1):
            conv = nn.Conv3d(before, after, KERNEL, padding=KERNEL // 2, bias=spec.bias)
            units.append(spec.unit(conv, after, is_activated=number < depth or activates_last))
        self.dropout = nn.Dropout3d(dropout)
        self.convs = nn.Sequential(*units)
        self.act = spec.active(maps)
        self.maps = maps

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, D, H, W) to (N, maps, D, H, W); fewer channels than maps are tiled for the sum."""
        tiled = x
        if x.shape[1] != self.maps:
            tiled = x.repeat(1, -(-self.maps // x.shape[1]), 1, 1, 1)[:, : self.maps]
        return self.act(self.convs(self.dropout(x)) + tiled)


class JoiningStage(nn.Module):
    """A residual stage on maps from below, with those of the left side behind them."""

    def __init__(self, spec: VNetSpec, width: int, depth: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout3d(spec.dropout)
        self.stage = ResidualStage(spec, 2 * width, 2 * width, depth)

    def forward(self, up: Tensor, skip: Tensor) -> Tensor:
        """Map twice (N, width, D, H, W) to (N, 2 * width, D, H, W)."""
        return self.stage(torch.cat([up, self.dropout(skip)], dim=1))


class VNet(Network):
    """Figure 2: e1, d1, e2, ..., d4, e5, u4, r4, ..., u1, r1, out."""

    spec: VNetSpec

    def __init__(self, spec: VNetSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        levels = len(spec.widths)
        self.e1 = ResidualStage(spec, in_channels, spec.widths[0], spec.depths[0], is_first=True)
        for level, (before, width) in enumerate(pairwise(spec.widths), start=1):
            down = nn.Conv3d(before, width, 2, stride=2, bias=spec.bias)
            rate = spec.dropout if level >= levels - DROPPED_LEVELS else 0.0
            self.add_module(f"d{level}", spec.unit(down, width))
            self.add_module(f"e{level + 1}", ResidualStage(spec, width, width, spec.depths[level], dropout=rate))
        channels = spec.widths[-1]
        for level in range(levels - 1, 0, -1):
            width = spec.widths[level - 1]
            up = spec.unit(nn.ConvTranspose3d(channels, width, 2, stride=2), width)
            rate = spec.dropout if level >= levels - DROPPED_LEVELS else 0.0
            self.add_module(f"u{level}", nn.Sequential(nn.Dropout3d(rate), up))
            self.add_module(f"r{level}", JoiningStage(spec, width, spec.up_depths[level - 1]))
            channels = 2 * width
        self.out = nn.Sequential(*self._head(channels))
        he_normal_(self)
        rows = [f"e{level}" for level in range(1, levels + 1)]
        self.stages = tuple(Stage(channels=width, stride=2**n, module=rows[n]) for n, width in enumerate(spec.widths))
        self.fills_to = self.stages[-1].stride

    def _head(self, channels: int) -> Sequence[nn.Module]:
        classes = self.num_classes
        if self.spec.head == "1x1x1":
            return [nn.Conv3d(channels, classes, 1)]
        conv = nn.Conv3d(channels, classes, KERNEL, padding=KERNEL // 2, bias=self.spec.bias)
        return [self.spec.unit(conv, classes), nn.Conv3d(classes, classes, 1)]

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the left side's maps of x padded to a multiple of 16.

        (N, 16, D, H, W), (N, 32, D/2, H/2, W/2), ..., (N, 256, D/16, H/16, W/16).
        """
        self.check_input(x)
        x = self.e1(pad_to_multiple(x, self.fills_to))
        maps = [x]
        for level in range(1, len(self.stages)):
            x = self.get_submodule(f"e{level + 1}")(self.get_submodule(f"d{level}")(x))
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, D, H, W) of x (N, in_channels, D, H, W)."""
        size = x.shape[2:]
        maps = self.features(x)
        y = maps.pop()  # (N, 256, D/16, H/16, W/16)
        for level in range(len(maps), 0, -1):
            up = self.get_submodule(f"u{level}")(y)  # (N, 8 * 2^level, sides / 2^(level - 1))
            y = self.get_submodule(f"r{level}")(up, maps.pop())  # (N, 16 * 2^level, sides / 2^(level - 1))
        return crop(self.out(y), *size)


def _published(metric: str, value: float, protocol: str) -> Published:
    return Published(dataset="PROMISE12 test", metric=metric, value=value, protocol=protocol, source="paper")


def _facts(table: str, params: int, macs: int, *results: Published) -> Facts:
    return Facts(
        paper=PAPER,
        table=table,
        input_size=(1, 64, 128, 128),
        num_classes=2,
        params=params,
        macs=macs,
        published=results,
    )


SPECS: tuple[VNetSpec, ...] = (
    VNetSpec(
        name="vnet",
        facts=_facts(
            "figure 2, table 1",
            65_175_314,
            502_142_074_880,
            _published("Dice", 0.869, "Dice loss, +/- 0.033"),
            _published("Hausdorff mm", 5.71, "Dice loss, +/- 1.20"),
            _published("challenge score", 82.39, "Dice loss"),
            _published("Dice", 0.739, "multinomial logistic loss, +/- 0.088"),
        ),
    ),
    VNetSpec(
        name="vnet_prototxt",
        depths=(1, 1, 2, 3, 3),
        up_depths=(1, 1, 2, 3),
        head="5x5x5",
        facts=_facts("variant: the released Caffe model", 61_982_682, 384_638_648_320),
    ),
    VNetSpec(
        name="vnet_monai",
        depths=(1, 1, 2, 3, 2),
        up_depths=(1, 1, 2, 2),
        normalisation="batch",
        activation="elu",
        bias=False,
        addition="after_activation",
        head="5x5x5",
        dropout=0.5,
        facts=_facts("variant: MONAI's form, with batch normalisation and ELU", 45_597_898, 365_764_280_320),
    ),
)
