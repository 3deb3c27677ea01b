"""Ways to double the sides of feature maps.

================ ============================================================== ==========================
kind             layers                                                         used by
================ ============================================================== ==========================
``transposed2``  2x2 transposed convolution, stride 2: blocks do not overlap     U-Net (Ronneberger et al.)
``transposed3``  3x3 transposed convolution, stride 2: blocks overlap by one     Keras U-Nets
``nearest``      repeat each pixel, then a 2x2 convolution                       U-Net of zhixuhao
``bilinear``     interpolate linearly; no weights, channels unchanged            U-Net of milesial
``pixel_shuffle`` 1x1 convolution to four times the maps, then rearrange them    Shi et al. 2016, 1609.05158
================ ============================================================== ==========================

All but ``pixel_shuffle`` exist for volumes as well, where the kernels are cubes and ``bilinear`` is linear along three
axes.
"""

from typing import Literal

from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.convolution import CONVOLUTIONS, TRANSPOSED_CONVOLUTIONS, Dimensions
from pixelwise.layers.sizes import crop

UpsamplingKind = Literal["transposed2", "transposed3", "bilinear", "nearest", "pixel_shuffle"]


class KerasTransposed3x3(nn.Module):
    """3x3 transposed convolution with stride 2 where the output is exactly twice the input, as Keras' ``same`` does it.

    Keras drops the last row and column of the full result of 2n + 1. PyTorch's ``padding=1, output_padding=1`` has the
    same size but drops the first ones: its maps are shifted by one pixel.
    """

    def __init__(self, in_channels: int, out_channels: int, *, dimensions: Dimensions = 2) -> None:
        super().__init__()
        self.conv = TRANSPOSED_CONVOLUTIONS[dimensions](in_channels, out_channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, 2H, 2W); the depth of volumes is doubled as well."""
        return crop(self.conv(x), *(2 * side for side in x.shape[2:]))


def upsample_2x(
    kind: UpsamplingKind, in_channels: int, out_channels: int, *, dimensions: Dimensions = 2, bias: bool = True
) -> nn.Module:
    """Make a module that maps (N, in_channels, H, W) to (N, out_channels, 2H, 2W).

    Args:
        kind: see the table above.
        in_channels: maps of the input.
        out_channels: maps of the output.
        dimensions: 2 for pictures, 3 for volumes, (N, in_channels, D, H, W).
        bias: whether the convolution of ``transposed2`` adds one; those of the other kinds do.

    Raises:
        SpecError: an unknown kind, or ``bilinear`` with different channels: it has no weights to change them; or
            ``pixel_shuffle`` of volumes.

    """
    match kind:
        case "transposed2":
            return TRANSPOSED_CONVOLUTIONS[dimensions](in_channels, out_channels, 2, stride=2, bias=bias)
        case "transposed3":
            return KerasTransposed3x3(in_channels, out_channels, dimensions=dimensions)
        case "nearest":
            # Keras' ``same`` pads an even kernel at the bottom and right only.
            return nn.Sequential(
                nn.Upsample(scale_factor=2, mode="nearest"),
                nn.ConstantPad2d((0, 1) * 2, 0.0) if dimensions == 2 else nn.ConstantPad3d((0, 1) * 3, 0.0),
                CONVOLUTIONS[dimensions](in_channels, out_channels, 2),
            )
        case "pixel_shuffle" if dimensions == 2:
            return nn.Sequential(nn.Conv2d(in_channels, 4 * out_channels, 1), nn.PixelShuffle(2))
        case "bilinear" if in_channels == out_channels:
            return nn.Upsample(scale_factor=2, mode="bilinear" if dimensions == 2 else "trilinear", align_corners=False)
    raise SpecError(
        f"up-sampling {kind!r} from {in_channels} to {out_channels} channels",
        expected="transposed2, transposed3, nearest, pixel_shuffle (pictures only), or bilinear with equal channels",
        do="Choose another kind",
    )
