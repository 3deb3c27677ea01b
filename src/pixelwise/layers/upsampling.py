"""Ways to double the height and width of feature maps.

================ ============================================================== ==========================
kind             layers                                                         used by
================ ============================================================== ==========================
``transposed2``  2x2 transposed convolution, stride 2: blocks do not overlap     U-Net (Ronneberger et al.)
``transposed3``  3x3 transposed convolution, stride 2: blocks overlap by one     Keras U-Nets
``nearest``      repeat each pixel, then a 2x2 convolution                       U-Net of zhixuhao
``bilinear``     interpolate linearly; no weights, channels unchanged            U-Net of milesial
``pixel_shuffle`` 1x1 convolution to four times the maps, then rearrange them    Shi et al. 2016, 1609.05158
================ ============================================================== ==========================
"""

from typing import Literal

from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.sizes import crop

UpsamplingKind = Literal["transposed2", "transposed3", "bilinear", "nearest", "pixel_shuffle"]


class KerasTransposed3x3(nn.Module):
    """3x3 transposed convolution with stride 2 where the output is exactly twice the input, as Keras' ``same`` does it.

    Keras drops the last row and column of the full result of 2n + 1. PyTorch's ``padding=1, output_padding=1`` has the
    same size but drops the first ones: its maps are shifted by one pixel.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, 2H, 2W)."""
        return crop(self.conv(x), 2 * x.shape[-2], 2 * x.shape[-1])


def upsample_2x(kind: UpsamplingKind, in_channels: int, out_channels: int) -> nn.Module:
    """Make a module that maps (N, in_channels, H, W) to (N, out_channels, 2H, 2W).

    Raises:
        SpecError: an unknown kind, or ``bilinear`` with different channels: it has no weights to change them.

    """
    match kind:
        case "transposed2":
            return nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
        case "transposed3":
            return KerasTransposed3x3(in_channels, out_channels)
        case "nearest":
            # Keras' ``same`` pads an even kernel at the bottom and right only.
            return nn.Sequential(
                nn.Upsample(scale_factor=2, mode="nearest"),
                nn.ZeroPad2d((0, 1, 0, 1)),
                nn.Conv2d(in_channels, out_channels, 2),
            )
        case "pixel_shuffle":
            return nn.Sequential(nn.Conv2d(in_channels, 4 * out_channels, 1), nn.PixelShuffle(2))
        case "bilinear" if in_channels == out_channels:
            return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    raise SpecError(
        f"up-sampling {kind!r} from {in_channels} to {out_channels} channels",
        expected="transposed2, transposed3, nearest, pixel_shuffle, or bilinear with equal channels",
        do="Choose another kind",
    )
