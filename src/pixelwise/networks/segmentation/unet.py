"""U-Net: a contracting path, an expanding path, and skips between them.

Paper: Ronneberger, Fischer, Brox, "U-Net: Convolutional networks for biomedical image segmentation", MICCAI 2015,
arXiv:1505.04597, figure 1 and section 2.

====== ================================== ======= ======== =============================== ==========
level  contracting path                   maps    cropped  expanding path                  maps
====== ================================== ======= ======== =============================== ==========
1      down1  572 -> 570 -> 568           64      392      up1 392, dec1 -> 390 -> 388     64
2      down2  284 -> 282 -> 280           128     200      up2 200, dec2 -> 198 -> 196     128
3      down3  140 -> 138 -> 136           256     104      up3 104, dec3 -> 102 -> 100     256
4      down4  68 -> 66 -> 64              512     56       up4 56, dec4 -> 54 -> 52        512
bottom        32 -> 30 -> 28              1024             out: 1x1 to the classes, 388
====== ================================== ======= ======== =============================== ==========

Sizes: with ``padding="valid"`` only the sides at which every pooling meets an even number are legal (188, 204, ...,
572, ... for the paper's depth) and the output is smaller than the input; see ``check_size``, ``output_size`` and
``input_size_for``. With ``padding="same"`` every size is legal: the image is padded with zeros at the bottom and right
to a multiple of 2^depth, and the logits are cropped back. Nothing is ever resized.

**Deviations** (tests/networks/test_unet.py):

- Where a published variant concatenates (up, skip), as Keras U-Nets do, the order here is (skip, up): a permutation of
  the next convolution's weights.
- The paper gives He's rule for all layers without saying what counts as an input of an up-convolution; here it is the
  number of inputs that reach one output pixel. The rate of the paper's dropout is that of the released network, 0.5.
- ``unet_keras16``, ``unet_keras32``: batch normalisation with PyTorch's epsilon and momentum (1e-5, 0.1), not Keras'.
- ``unet_milesial_bilinear`` interpolates without aligned corners: aligned corners would make a pixel's value depend on
  the size of the whole image.
- ``unet16``, for small data, is not in the paper: a quarter of its widths, same padding, batch normalisation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.banding import convolve_joined
from pixelwise.layers.convolution import ConvNormAct, Normalisation, has_hooks
from pixelwise.layers.film import FiLM
from pixelwise.layers.initialisation import he_normal_
from pixelwise.layers.sizes import centre_crop, crop, pad_to_multiple
from pixelwise.layers.upsampling import UpsamplingKind, upsample_2x
from pixelwise.networks.segmentation.unet_facts import FACTS
from pixelwise.specs import Network, NetworkKind, Spec, Stage


@dataclass(frozen=True, kw_only=True)
class UNetSpec(Spec):
    """Two 3x3 convolutions a level, on the way down and on the way up."""

    family: ClassVar[str] = "unet"
    task: ClassVar[NetworkKind] = "segmentation"
    columns_added: ClassVar[Mapping[str, object]] = MappingProxyType({"metadata": 0})

    widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    """Maps of each level, the bottom last; one level fewer than widths is pooled."""
    padding: Literal["valid", "same"] = "same"
    normalisation: Normalisation = "none"
    """After each 3x3 convolution, before its ReLU."""
    bias: bool = True
    """Whether the 3x3 convolutions add a bias."""
    dropout: Literal["none", "bottleneck", "each", "paper"] = "none"
    """bottleneck: after the bottom; each: after every pooling and skip; paper: at the end of the contracting path, that
    is after the last level before the bottom (its skip included) and after the bottom."""
    dropout_rate: float = 0.5
    """Probability that a value is dropped in training."""
    upsampling: UpsamplingKind = "transposed2"
    """bilinear has no weights, so there the second convolution of each level narrows to the next level's width."""
    up_activation: Literal["none", "relu"] = "none"
    """After each up-sampling's convolution."""
    up_widths: tuple[int, ...] = ()
    """Maps of each up-sampling, finest level first; empty: as ``widths``."""
    skip: Literal["concatenate", "sum", "none"] = "concatenate"
    extra_width: int = 0
    """Maps of one more 3x3 convolution with ReLU before the last 1x1; 0: there is none."""

    metadata: int = 0
    """Numbers known of each picture, which modulate the bottom by :mod:`pixelwise.layers.film`: the last channels."""

    def __post_init__(self) -> None:
        def fault(came: str, expected: str) -> SpecError:
            return SpecError(f"{self.name}: {came}", expected=expected, do="Correct the fields")

        if len(self.widths) < 2 or min((*self.widths, *self.up_widths)) < 1 or self.extra_width < 0:
            raise fault(f"widths={self.widths}, extra_width={self.extra_width}", "at least two positive widths")
        if not 0 <= self.dropout_rate < 1:
            raise fault(f"dropout_rate={self.dropout_rate}", "a number from 0 up to, but not including, 1")
        if self.up_widths and (self.upsampling == "bilinear" or len(self.up_widths) != self.depth):
            raise fault(
                f"up_widths={self.up_widths} with upsampling={self.upsampling}",
                f"{self.depth} numbers, and an up-sampling with weights",
            )
        if self.upsampling == "bilinear" and self.up_activation != "none":
            raise fault("up_activation=relu with upsampling=bilinear", "none: there is no convolution to follow")
        if self.skip == "sum" and self.up_maps != self.widths[: self.depth]:
            raise fault(
                f"skip=sum adds {self.up_maps} maps to {self.widths[: self.depth]}",
                "equal maps: no up_widths, and for upsampling=bilinear equal last two widths",
            )

    @property
    def depth(self) -> int:
        """Number of poolings."""
        return len(self.widths) - 1

    @property
    def decoder_maps(self) -> tuple[int, ...]:
        """Maps that each level of the expanding path puts out, finest first."""
        narrowing = self.upsampling == "bilinear"
        return tuple(self.widths[max(level - 1, 0) if narrowing else level] for level in range(self.depth))

    @property
    def up_maps(self) -> tuple[int, ...]:
        """Maps that each up-sampling puts out, finest first."""
        if self.upsampling == "bilinear":
            return (*self.decoder_maps[1:], self.widths[-1])
        return self.up_widths or self.widths[: self.depth]

    def build(self, in_channels: int, num_classes: int) -> "UNet":
        """Make the network; any number of channels and classes is possible."""
        return UNet(self, in_channels, num_classes)


class UNet(Network):
    """Figure 1: down1, ..., down4, bottom, up4, dec4, ..., up1, dec1, out. ``down2`` and on begin with the pooling."""

    spec: UNetSpec

    def __init__(self, spec: UNetSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        channels = in_channels - spec.metadata
        if channels < 1:
            raise SpecError(
                f"{spec.name}: in_channels={in_channels} with metadata={spec.metadata}",
                expected="more channels than numbers",
                do="Count the numbers among the channels",
            )
        for level, width in enumerate(spec.widths, start=1):
            name = f"down{level}" if level <= spec.depth else "bottom"
            self.add_module(name, self._contracting(level, channels, width))
            channels = width
        if spec.metadata:
            self.film = FiLM(spec.metadata, channels)
        for level in range(spec.depth, 0, -1):
            width, up_width = spec.widths[level - 1], spec.up_maps[level - 1]
            up = upsample_2x(spec.upsampling, channels, up_width)
            self.add_module(
                f"up{level}", nn.Sequential(up, nn.ReLU(inplace=True)) if spec.up_activation == "relu" else up
            )
            joined = up_width + width if spec.skip == "concatenate" else up_width
            channels = spec.decoder_maps[level - 1]
            parts = [nn.Dropout(spec.dropout_rate)] if spec.dropout == "each" else []
            self.add_module(f"dec{level}", nn.Sequential(*parts, *self._pair(joined, width, channels)))
        if spec.extra_width:
            self.extra = self._convolution(channels, spec.extra_width, normalisation="none", bias=True)
            channels = spec.extra_width
        self.out = nn.Conv2d(channels, num_classes, 1)
        rows = list(self._modules)
        self.stages = tuple(Stage(channels=width, stride=2**n, module=rows[n]) for n, width in enumerate(spec.widths))
        self.fills_to = 2**spec.depth if spec.padding == "same" else 1
        he_normal_(self)
        if spec.metadata:
            self.film.reset()

    def _contracting(self, level: int, in_channels: int, width: int) -> nn.Sequential:
        spec, parts = self.spec, list[nn.Module]()
        if level > 1:
            parts.append(nn.MaxPool2d(2))
            if spec.dropout == "each":
                parts.append(nn.Dropout(spec.dropout_rate))
        parts += self._pair(in_channels, width, width)
        bottom, before = level == spec.depth + 1, level == spec.depth
        if (bottom and spec.dropout in ("bottleneck", "paper")) or (before and spec.dropout == "paper"):
            parts.append(nn.Dropout(spec.dropout_rate))
        return nn.Sequential(*parts)

    def _pair(self, in_channels: int, width: int, out_channels: int) -> list[nn.Module]:
        normalisation, bias = self.spec.normalisation, self.spec.bias
        return [
            self._convolution(in_channels, width, normalisation=normalisation, bias=bias),
            self._convolution(width, out_channels, normalisation=normalisation, bias=bias),
        ]

    def _convolution(
        self, in_channels: int, out_channels: int, *, normalisation: Normalisation, bias: bool
    ) -> ConvNormAct:
        padding = 1 if self.spec.padding == "same" else 0
        return ConvNormAct(in_channels, out_channels, 3, padding=padding, bias=bias, normalisation=normalisation)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the contracting path's maps, bottom included, of x padded to the stride where the padding is same.

        (N, 64, H, W), (N, 128, H/2, W/2), ..., (N, 1024, H/16, W/16); valid convolutions take 4 pixels off each level.
        """
        self.check_input(x)
        channels, (height, width) = self.in_channels - self.spec.metadata, x.shape[2:]
        numbers = x[:, channels:, height // 2, width // 2]  # not at the rim, which may show no picture
        x = pad_to_multiple(x[:, :channels], self.fills_to)
        maps = []
        for level in range(1, self.spec.depth + 1):
            x = self.get_submodule(f"down{level}")(x)
            maps.append(x)
        bottom = self.get_submodule("bottom")(x)
        return [*maps, self.film(bottom, numbers) if self.spec.metadata else bottom]

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, H', W') of x (N, in_channels, H, W), (H', W') = ``output_size(H, W)``."""
        height, width = x.shape[-2:]
        maps = self.features(x)
        y = maps.pop()  # (N, 1024, H/16, W/16)
        for level in range(self.spec.depth, 0, -1):
            y = self.get_submodule(f"up{level}")(y)  # (N, 64 * 2^(level - 1), H/2^(level - 1), W/2^(level - 1))
            y = self._expand(level, maps.pop(), y)
        if self.spec.extra_width:
            y = self.extra(y)
        return crop(self.out(y), height, width)

    def _expand(self, level: int, skip: Tensor, up: Tensor) -> Tensor:
        """Join a level's skip with what was brought up, and convolve it twice."""
        decoder = self.get_submodule(f"dec{level}")
        assert isinstance(decoder, nn.Sequential)
        if self.spec.skip == "none":
            return decoder(up)
        skip = centre_crop(skip, up.shape[-2], up.shape[-1])
        if self.spec.skip == "sum":
            return decoder(skip + up)
        if self.training or has_hooks(decoder):
            return decoder(torch.cat([skip, up], dim=1))
        *_, first, second = decoder  # dropout is nothing in evaluation
        joined = [skip, up]
        del skip, up  # the list alone holds them, and lets them go before more memory is needed
        return second(convolve_joined(first, joined, is_padded=self.spec.padding == "same"))

    def check_size(self, *size: int) -> None:
        """Refuse sizes whose maps a valid U-Net could not halve; same padding takes every size."""
        height, width = size
        for side in (height, width):
            if self._output_side(side) < 1:
                raise SpecError(
                    f"{self.spec.name} cannot take images of {height} x {width} pixels",
                    expected=f"sides of {self._smallest_side()} + {2**self.spec.depth}k pixels",
                    do=f"Pad or crop to {self._legal_side(height)} x {self._legal_side(width)}, or set padding=same",
                )

    def output_size(self, *size: int) -> tuple[int, ...]:
        """Size of the logits: the input's, or what valid convolutions leave of it (572 to 388)."""
        height, width = size
        self.check_size(*size)
        return self._output_side(height), self._output_side(width)

    def input_size_for(self, *size: int) -> tuple[int, ...]:
        """Smallest legal input size whose logits cover ``height`` x ``width`` (388 to 572)."""
        height, width = size
        if self.spec.padding == "same":
            return height, width
        step, smallest = 2**self.spec.depth, self._smallest_side()
        margin = smallest - self._output_side(smallest)
        above = [max(0, -(-(side + margin - smallest) // step)) for side in (height, width)]
        return smallest + above[0] * step, smallest + above[1] * step

    def _output_side(self, side: int) -> int:
        """Follow one side through the network, in pixels; 0 where it cannot go."""
        if self.spec.padding == "same":
            return side
        for _ in range(self.spec.depth):
            side -= 4
            if side < 2 or side % 2:
                return 0
            side //= 2
        side -= 4
        for _ in range(self.spec.depth):
            side = 2 * side - 4
        return max(0, side - (2 if self.spec.extra_width else 0))

    def _smallest_side(self) -> int:
        return next(side for side in count(1) if self._output_side(side) >= 1)

    def _legal_side(self, side: int) -> int:
        smallest, step = self._smallest_side(), 2**self.spec.depth
        return smallest + max(0, -(-(side - smallest) // step)) * step


def _keras(name: str, base: int, rate: float, normalisation: Normalisation) -> UNetSpec:
    """Make a row of a widely used Keras notebook: same padding, biases, 3x3 transposed convolutions."""
    return UNetSpec(
        name=name,
        widths=tuple(base * 2**level for level in range(5)),
        normalisation=normalisation,
        dropout="each",
        dropout_rate=rate,
        upsampling="transposed3",
        facts=FACTS[name],
    )


SPECS: tuple[UNetSpec, ...] = (
    UNetSpec(
        name="unet",
        padding="valid",
        dropout="paper",
        facts=FACTS["unet"],
    ),
    UNetSpec(
        name="unet_phseg_v5",
        padding="valid",
        dropout="paper",
        up_activation="relu",
        up_widths=(128, 128, 256, 512),
        facts=FACTS["unet_phseg_v5"],
    ),
    _keras("unet_keras16", 16, 0.1, "batch"),
    _keras("unet_keras32", 32, 0.0, "batch"),
    _keras("unet_keras16_nobn", 16, 0.1, "none"),
    UNetSpec(
        name="unet_zhixuhao",
        dropout="paper",
        upsampling="nearest",
        up_activation="relu",
        extra_width=2,
        facts=FACTS["unet_zhixuhao"],
    ),
    UNetSpec(
        name="unet_milesial",
        normalisation="batch",
        bias=False,
        facts=FACTS["unet_milesial"],
    ),
    UNetSpec(
        name="unet_milesial_bilinear",
        widths=(64, 128, 256, 512, 512),
        normalisation="batch",
        bias=False,
        upsampling="bilinear",
        facts=FACTS["unet_milesial_bilinear"],
    ),
    UNetSpec(
        name="unet16",
        widths=(16, 32, 64, 128, 256),
        normalisation="batch",
        bias=False,
        facts=FACTS["unet16"],
    ),
)
