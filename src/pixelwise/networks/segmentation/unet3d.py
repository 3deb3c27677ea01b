"""3-D U-Net: the U-Net of volumes, without bottlenecks and with batch normalisation.

Paper: Çiçek, Abdulkadir, Lienkamp, Brox, Ronneberger, "3D U-Net: Learning dense volumetric segmentation from sparse
annotation", MICCAI 2016, arXiv:1606.06650, figure 2 and section 2.1. Sides are depth, height, width in voxels.

====== ============================= ============ ============= ============================= ========
level  analysis path                 maps         cropped       synthesis path                maps
====== ============================= ============ ============= ============================= ========
1      down1  116x132x132 -> 112x128 32, 64       32x48x48      up1 32x48x48, dec1 -> 28x44   64, 64
2      down2  56x64x64 -> 52x60      64, 128      20x28x28      up2 20x28x28, dec2 -> 16x24   128, 128
3      down3  26x30x30 -> 22x26      128, 256     14x18x18      up3 14x18x18, dec3 -> 10x14   256, 256
bottom        11x13x13 -> 7x9x9      256, 512                   out: 1x1x1, 28x44x44          classes
====== ============================= ============ ============= ============================= ========

Each level has two 3x3x3 convolutions, each followed by batch normalisation and ReLU; pooling is 2x2x2 with stride 2,
and so are the up-convolutions, which keep the number of maps. Maps are doubled by the second convolution before a
pooling, not by the first one after it, "to avoid bottlenecks".

Sizes: with ``padding="valid"`` a side must be 4 more than a multiple of 8, from 92 on (for three poolings), and the
output is 88 voxels shorter; see ``check_size``, ``output_size`` and ``input_size_for``. With ``padding="same"`` every
size is legal: the volume is padded with zeros behind each axis to a multiple of 2^depth, and the logits are cropped
back.

**Deviations** (tests/networks/test_unet3d.py):

- The paper prints 19,069,955 parameters. That is the number of weights and biases of the convolutions, with biases in
  all but the up-convolutions; gains and shifts of the batch normalisations (4,672) are not counted in it. The row has
  both, 19,074,627.
- The paper does not give the initial weights. Here He's, as in the authors' U-Net.
- ``unet3d16``, for small volumes, is not in the paper: a quarter of its widths, same padding, no biases before
  normalisation.
"""

from dataclasses import dataclass
from itertools import count
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.convolution import ConvNormAct, Normalisation
from pixelwise.layers.initialisation import he_normal_
from pixelwise.layers.sizes import centre_crop, crop, pad_to_multiple
from pixelwise.layers.upsampling import upsample_2x
from pixelwise.specs import Facts, Network, NetworkKind, Paper, Spec, Stage

PAPER = Paper(
    title="3D U-Net: Learning dense volumetric segmentation from sparse annotation",
    authors="Ö. Çiçek, A. Abdulkadir, S. S. Lienkamp, T. Brox, O. Ronneberger",
    year=2016,
    venue="MICCAI 2016",
    link="arXiv:1606.06650",
)


@dataclass(frozen=True, kw_only=True)
class UNet3DSpec(Spec):
    """Two 3x3x3 convolutions a level, of which the second doubles the maps on the way down."""

    family: ClassVar[str] = "unet3d"
    task: ClassVar[NetworkKind] = "segmentation"

    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Maps at the end of each level, the bottom last; its first convolution has half of them."""
    padding: Literal["valid", "same"] = "same"
    normalisation: Normalisation = "batch"
    """After each 3x3x3 convolution, before its ReLU."""
    bias: bool = True
    """Whether the 3x3x3 convolutions add a bias."""

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or min(self.widths) < 2 or any(width % 2 for width in self.widths):
            raise SpecError(
                f"{self.name}: widths={self.widths}",
                expected="at least two even numbers, all positive",
                do="Correct the fields",
            )

    @property
    def dimensions(self) -> int:
        """3: the network looks at volumes."""
        return 3

    @property
    def depth(self) -> int:
        """Number of poolings."""
        return len(self.widths) - 1

    def build(self, in_channels: int, num_classes: int) -> "UNet3D":
        """Make the network; any number of channels and classes is possible."""
        return UNet3D(self, in_channels, num_classes)


class UNet3D(Network):
    """Figure 2: down1, down2, down3, bottom, up3, dec3, ..., dec1, out. ``down2`` and on begin with the pooling."""

    spec: UNet3DSpec

    def __init__(self, spec: UNet3DSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        channels = in_channels
        for level, width in enumerate(spec.widths, start=1):
            pool = [nn.MaxPool3d(2)] if level > 1 else []
            pair = self._pair(channels, width // 2, width)
            self.add_module(f"down{level}" if level <= spec.depth else "bottom", nn.Sequential(*pool, *pair))
            channels = width
        for level in range(spec.depth, 0, -1):
            width = spec.widths[level - 1]
            self.add_module(f"up{level}", upsample_2x("transposed2", channels, channels, dimensions=3, bias=False))
            self.add_module(f"dec{level}", nn.Sequential(*self._pair(channels + width, width, width)))
            channels = width
        self.out = nn.Conv3d(channels, num_classes, 1)
        rows = list(self._modules)
        self.stages = tuple(Stage(channels=width, stride=2**n, module=rows[n]) for n, width in enumerate(spec.widths))
        self.fills_to = 2**spec.depth if spec.padding == "same" else 1
        he_normal_(self)

    def _pair(self, in_channels: int, first: int, second: int) -> list[nn.Module]:
        spec = self.spec
        return [
            ConvNormAct(
                *maps,
                3,
                padding=1 if spec.padding == "same" else 0,
                bias=spec.bias,
                normalisation=spec.normalisation,
                dimensions=3,
            )
            for maps in ((in_channels, first), (first, second))
        ]

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the analysis path's maps, bottom included, of x padded to the stride where the padding is same.

        (N, 64, D, H, W), (N, 128, D/2, H/2, W/2), (N, 256, D/4, H/4, W/4), (N, 512, D/8, H/8, W/8); valid convolutions
        take 4 voxels off each level.
        """
        self.check_input(x)
        x = pad_to_multiple(x, self.fills_to)
        maps = []
        for level in range(1, self.spec.depth + 1):
            x = self.get_submodule(f"down{level}")(x)
            maps.append(x)
        return [*maps, self.get_submodule("bottom")(x)]

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, D', H', W') of x (N, in_channels, D, H, W); see ``output_size``."""
        size = x.shape[2:]
        maps = self.features(x)
        y = maps.pop()  # (N, 512, D/8, H/8, W/8)
        for level in range(self.spec.depth, 0, -1):
            y = self.get_submodule(f"up{level}")(y)  # (N, 64 * 2^level, sides / 2^(level - 1))
            skip = centre_crop(maps.pop(), *y.shape[2:])
            y = self.get_submodule(f"dec{level}")(torch.cat([skip, y], dim=1))
        return crop(self.out(y), *size)

    def check_size(self, *size: int) -> None:
        """Refuse sizes whose maps a valid U-Net could not halve; same padding takes every size."""
        if any(self._output_side(side) < 1 for side in size):
            legal = " x ".join(str(self._legal_side(side)) for side in size)
            raise SpecError(
                f"{self.spec.name} cannot take volumes of {' x '.join(map(str, size))} voxels",
                expected=f"sides of {self._smallest_side()} + {2**self.spec.depth}k voxels",
                do=f"Pad or crop to {legal}, or set padding=same",
            )

    def output_size(self, *size: int) -> tuple[int, ...]:
        """Size of the logits: the input's, or what valid convolutions leave of it (132 to 44)."""
        self.check_size(*size)
        return tuple(self._output_side(side) for side in size)

    def input_size_for(self, *size: int) -> tuple[int, ...]:
        """Smallest legal input size whose logits cover ``size`` (44 to 132)."""
        if self.spec.padding == "same":
            return size
        smallest = self._smallest_side()
        margin = smallest - self._output_side(smallest)
        return tuple(self._legal_side(side + margin) for side in size)

    def _output_side(self, side: int) -> int:
        """Follow one side through the network, in voxels; 0 where it cannot go."""
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
        return max(0, side)

    def _smallest_side(self) -> int:
        return next(side for side in count(1) if self._output_side(side) >= 1)

    def _legal_side(self, side: int) -> int:
        smallest, step = self._smallest_side(), 2**self.spec.depth
        return smallest + max(0, -(-(side - smallest) // step)) * step


SPECS: tuple[UNet3DSpec, ...] = (
    UNet3DSpec(
        name="unet3d",
        padding="valid",
        facts=Facts(
            paper=PAPER,
            table="figure 2",
            input_size=(3, 116, 132, 132),
            num_classes=3,
            params=19_074_627,
            macs=266_731_018_496,
            paper_params="19069955",
        ),
    ),
    UNet3DSpec(
        name="unet3d16",
        widths=(16, 32, 64, 128),
        bias=False,
        facts=Facts(
            paper=PAPER,
            table="variant: for small volumes",
            input_size=(1, 32, 48, 48),
            num_classes=3,
            params=1_192_987,
            macs=4_308_074_496,
        ),
    ),
)
