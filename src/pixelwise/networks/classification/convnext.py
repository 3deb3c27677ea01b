"""ConvNeXt: a residual network brought up to date, step by step.

Paper: Liu, Mao, Wu, Feichtenhofer, Darrell, Xie, "A ConvNet for the 2020s", CVPR 2022, arXiv:2201.03545: section 3
(sizes), figure 4 (block), table 9 (T in detail), table 1 (results), table 5 (training, stochastic depth).

====== ======= =========================================== ====== ====== ====== ====== ======
row    output  layers                                      T      S      B      L      XL
====== ======= =========================================== ====== ====== ====== ====== ======
stem   56x56   4x4 with stride 4, layer normalisation      96     96     128    192    256
stage1 56x56   blocks                                      3      3      3      3      3
down1  28x28   layer normalisation, 2x2 with stride 2      192    192    256    384    512
stage2 28x28   blocks                                      3      3      3      3      3
down2  14x14   as down1                                    384    384    512    768    1024
stage3 14x14   blocks                                      9      27     27     27     27
down3  7x7     as down1                                    768    768    1024   1536   2048
stage4 7x7     blocks                                      3      3      3      3      3
gap    1x1     mean over the map, then norm and fc: layer normalisation, full connection
====== ======= =========================================== ====== ====== ====== ====== ======

A block is a 7x7 convolution of each map by itself, layer normalisation over the maps at each pixel, a full connection
to four times the maps, GELU, a full connection back, a learnt factor for each map (layer scale, from 1e-6), and the
addition of the block's input. In training a block is left out for some pictures (stochastic depth); the rate rises from
0 at the first block to ``stochastic_depth`` at the last.

**Deviations** (tests/networks/test_convnext.py):

- ``convnext_xlarge`` has no result from ImageNet-1k alone; its rate is that of pre-training on ImageNet-22k.
"""

from dataclasses import dataclass
from math import inf
from typing import ClassVar, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.dense import slide_linear
from pixelwise.layers.initialisation import normal_
from pixelwise.layers.trunk import last_map, run_trunk
from pixelwise.specs import Facts, Network, NetworkKind, Paper, Published, Spec, Stage

PAPER = Paper(
    title="A ConvNet for the 2020s",
    authors="Z. Liu, H. Mao, C.-Y. Wu, C. Feichtenhofer, T. Darrell, S. Xie",
    year=2022,
    venue="CVPR 2022",
    link="arXiv:2201.03545",
)

EPSILON: Final = 1e-6
NATIVE_MAP: Final = 7
"""Side of the last map for the paper's 224 x 224 input: what the head's mean is taken over when it slides."""


@dataclass(frozen=True, kw_only=True)
class ConvNeXtSpec(Spec):
    """A stem, stages of blocks with down-sampling between them, the mean over the last maps, and a full connection."""

    family: ClassVar[str] = "convnext"
    task: ClassVar[NetworkKind] = "classification"

    depths: tuple[int, ...] = (3, 3, 9, 3)
    """Blocks of each stage. Every stage but the first halves height and width."""
    widths: tuple[int, ...] = (96, 192, 384, 768)
    """Maps of each stage."""
    layer_scale: float | None = 1e-6
    """First value of the learnt factors of each block's maps; none to leave the factors out."""
    stochastic_depth: float = 0.1
    """Rate at which the last block is left out in training; earlier blocks less, in proportion to their place."""

    def __post_init__(self) -> None:
        numbers = (*self.depths, *self.widths)
        if not self.depths or len(self.depths) != len(self.widths) or min(numbers) < 1:
            raise SpecError(
                f"{self.name}: depths={self.depths}, widths={self.widths}",
                expected="as many widths as depths, at least one, all positive",
                do="Correct them",
            )
        if self.layer_scale is not None and not 0 < self.layer_scale < inf:
            raise SpecError(
                f"{self.name}: layer_scale={self.layer_scale}", expected="more than 0, or none", do="Correct it"
            )
        if not 0 <= self.stochastic_depth < 1:
            raise SpecError(
                f"{self.name}: stochastic_depth={self.stochastic_depth}",
                expected="from 0 up to but not including 1",
                do="Correct it",
            )

    def build(self, in_channels: int, num_classes: int) -> "ConvNeXt":
        """Make the network; any number of channels and classes is possible."""
        return ConvNeXt(self, in_channels, num_classes)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the maps at each pixel, with a gain and a shift for each map."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W); the result's channels lie innermost in memory, as the blocks want them."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Figure 4: x + gain * (full connections of the normalised 7x7 convolutions).

    Args:
        channels: maps in and out.
        layer_scale: first value of the gain; None for no gain.
        drop_rate: how often the second term is left out in training, picture by picture.

    """

    def __init__(self, channels: int, layer_scale: float | None, drop_rate: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=EPSILON)
        self.expand = nn.Linear(channels, 4 * channels)
        self.act = nn.GELU()
        self.project = nn.Linear(4 * channels, channels)
        self.gain = None if layer_scale is None else nn.Parameter(torch.full((channels,), layer_scale))
        self.drop_rate = drop_rate

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        y = self.depthwise(x).permute(0, 2, 3, 1)  # (N, H, W, C)
        for layer in (self.norm, self.expand, self.act, self.project):
            y = layer(y)  # one at a time, so that without gradients no map outlives its reader
        x = x.permute(0, 2, 3, 1)
        factor = self._factor(y)
        return (x + y if factor is None else torch.addcmul(x, y, factor)).permute(0, 3, 1, 2)

    def in_order(self) -> tuple[tuple[str, ...], ...]:
        """Return the order of the full connections (:class:`~pixelwise.layers.folding.InOrder`)."""
        return (("expand", "act", "project"),)

    def _factor(self, y: Tensor) -> Tensor | None:
        """Gain and stochastic depth in one: (C,) or (N, 1, 1, C), so that the sum takes a single pass over the maps."""
        if not self.training or self.drop_rate == 0:
            return self.gain
        # Dividing by the share that is kept leaves the mean as it is in evaluation (Huang et al. 2016, section 3).
        kept = torch.rand(len(y), 1, 1, 1, device=y.device) >= self.drop_rate
        if self.gain is None:
            return kept.to(y.dtype) / (1 - self.drop_rate)
        return kept.to(self.gain.dtype) / (1 - self.drop_rate) * self.gain


class ConvNeXt(Network):
    """Table 9: stem, stage1, down1, stage2, ..., gap, norm, fc; T, S, B, L, XL differ in depths and widths."""

    spec: ConvNeXtSpec

    def __init__(self, spec: ConvNeXtSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        widths, total = spec.widths, sum(spec.depths)
        rates = iter(spec.stochastic_depth * place / max(total - 1, 1) for place in range(total))
        self.stem = nn.Sequential(nn.Conv2d(in_channels, widths[0], 4, stride=4), ChannelNorm(widths[0]))
        for number, (width, depth) in enumerate(zip(widths, spec.depths, strict=True), 1):
            if number > 1:
                before = widths[number - 2]
                down = nn.Sequential(ChannelNorm(before), nn.Conv2d(before, width, 2, stride=2))
                self.add_module(f"down{number - 1}", down)
            blocks = (Block(width, spec.layer_scale, next(rates)) for _ in range(depth))
            self.add_module(f"stage{number}", nn.Sequential(*blocks))
        self.stages = tuple(
            Stage(channels=width, stride=4 * 2**index, module=f"stage{index + 1}") for index, width in enumerate(widths)
        )
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.norm = ChannelNorm(widths[-1])
        self.fc = nn.Linear(widths[-1], num_classes)
        # Appendix A.1: truncated normal with deviation 0.02. It is cut off at +-2, a hundred deviations: never.
        normal_(self, std=0.02)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the output of every stage: (N, C, H/4, W/4) to (N, 8C, H/32, W/32), rounded down."""
        self.check_input(x)
        return run_trunk(self, x)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of x (N, in_channels, H, W)."""
        x = self.norm(self.gap(last_map(self, x)))  # (N, C, 1, 1)
        return self.fc(torch.flatten(x, 1))

    def dense_logits(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, h, w) of every window of 7 x 7 places of the last map, 224 x 224 pixels.

        The head normalises the mean, so a mean is taken before it: over the window, or over the map where it is
        smaller. An input of 224 x 224 or less has one answer, that of :meth:`forward`.
        """
        last = last_map(self, x)
        height, width = last.shape[2:]
        means = F.avg_pool2d(last, (min(height, NATIVE_MAP), min(width, NATIVE_MAP)), stride=1)
        return slide_linear(self.fc, self.norm(means))

    def check_size(self, *size: int) -> None:
        """Refuse images smaller than the total stride: nothing would be left of them."""
        height, width = size
        smallest = self.stages[-1].stride
        if min(height, width) < smallest:
            raise SpecError(
                f"{self.spec.name} cannot take images of {height} x {width} pixels",
                expected=f"at least {smallest} x {smallest}",
                do="Enlarge the images, or choose a network for small images such as resnet20_cifar",
            )


def _accuracy(top1: float, protocol: str, source: str = "paper", top: str = "top-1") -> Published:
    return Published(
        dataset="ILSVRC-2012 val", metric=f"{top} accuracy %", value=top1, protocol=protocol, source=source
    )


def _torchvision(top1: float, top5: float) -> tuple[Published, ...]:
    where = ("weights IMAGENET1K_V1, centre crop", "torchvision 0.28.0")
    return _accuracy(top1, *where), _accuracy(top5, *where, top="top-5")


def _row(
    name: str,
    params: int,
    macs: int,
    *published: Published,
    depths: tuple[int, ...],
    width: int,
    stochastic_depth: float,
    paper_params: str,
) -> ConvNeXtSpec:
    facts = Facts(
        paper=PAPER,
        table="section 3, table 1",
        input_size=(3, 224, 224),
        num_classes=1000,
        params=params,
        macs=macs,
        paper_params=paper_params,
        published=published,
    )
    widths = (width, 2 * width, 4 * width, 8 * width)
    return ConvNeXtSpec(name=name, depths=depths, widths=widths, stochastic_depth=stochastic_depth, facts=facts)


_1K, _1K_384 = "224 x 224, trained on ImageNet-1k, averaged weights", "384 x 384, trained on ImageNet-1k"
_22K, _22K_384 = "224 x 224, pre-trained on ImageNet-22k", "384 x 384, pre-trained on ImageNet-22k"
_AUTHORS = "authors' repository"
_DEEP = (3, 3, 27, 3)

SPECS: tuple[ConvNeXtSpec, ...] = (
    _row(
        "convnext_tiny", 28_589_128, 4_455_531_264,
        _accuracy(82.1, _1K), _accuracy(82.9, _22K, _AUTHORS), *_torchvision(82.52, 96.146),
        depths=(3, 3, 9, 3), width=96, stochastic_depth=0.1, paper_params="28.6M",
    ),
    _row(
        "convnext_small", 50_223_688, 8_683_712_256,
        _accuracy(83.1, _1K), _accuracy(84.6, _22K, _AUTHORS), *_torchvision(83.616, 96.65),
        depths=_DEEP, width=96, stochastic_depth=0.4, paper_params="50M",
    ),
    _row(
        "convnext_base", 88_591_464, 15_354_729_472,
        _accuracy(83.8, _1K), _accuracy(85.1, _1K_384), _accuracy(85.8, _22K), _accuracy(86.8, _22K_384),
        *_torchvision(84.062, 96.87),
        depths=_DEEP, width=128, stochastic_depth=0.5, paper_params="89M",
    ),
    _row(
        "convnext_large", 197_767_336, 34_361_433_600,
        _accuracy(84.3, _1K), _accuracy(85.5, _1K_384), _accuracy(86.6, _22K), _accuracy(87.5, _22K_384),
        *_torchvision(84.414, 96.976),
        depths=_DEEP, width=192, stochastic_depth=0.5, paper_params="198M",
    ),
    _row(
        "convnext_xlarge", 350_196_968, 60_921_030_656,
        _accuracy(87.0, _22K), _accuracy(87.8, _22K_384),
        depths=_DEEP, width=256, stochastic_depth=0.2, paper_params="350M",
    ),
)  # fmt: skip
