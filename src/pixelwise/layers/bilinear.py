"""Bilinear interpolation as a transposed convolution, and where its output lies on the input.

Source: Long, Shelhamer, Darrell, "Fully convolutional networks for semantic segmentation", CVPR 2015, arXiv:1411.4038,
section 3.3, and the code published with it (``upsample_filt``, ``coord_map``).

A kernel of side k for a step of s pixels has, at (i, j),

    w(i, j) = (1 - |i - c| / s) (1 - |j - c| / s),    c = (k - 1) / 2,    k = 2s or 2s - 1.

Positions: a layer of kernel k, step s and padding p puts its value i at the pixel s i + (k - 1) / 2 - p of its input, a
transposed one its input's value i at the pixel s i + (k - 1) / 2 of its output. Both are straight lines, and so is what
a chain of layers does.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the values of a map lie: the value i at the pixel ``step * i + start`` of the picture."""

    step: int = 1
    start: float = 0.0

    def through(self, layer: nn.Conv2d | nn.MaxPool2d) -> "Grid":
        """Return the grid of what the layer makes of maps on this one."""
        kernel, stride, padding = window_of(layer)
        return Grid(self.step * stride, self.start + self.step * ((kernel - 1) / 2 - padding))

    def finer(self, kernel: int, step: int) -> "Grid":
        """Return the grid of what a transposed convolution makes of maps on this one."""
        return Grid(self.step // step, self.start - self.step // step * (kernel - 1) / 2)

    def places_before(self, other: "Grid") -> float:
        """Return how many values of this grid lie before the first of another one of the same step."""
        return (other.start - self.start) / self.step


def window_of(layer: nn.Module) -> tuple[int, int, int]:
    """Return kernel, stride and padding of a layer with square windows, in pixels."""
    sides = (getattr(layer, name) for name in ("kernel_size", "stride", "padding"))
    kernel, stride, padding = (value if isinstance(value, int) else int(value[0]) for value in sides)
    return kernel, stride, padding


def bilinear_filter(kernel: int, step: int) -> Tensor:
    """Return the kernel (``kernel``, ``kernel``) of the equation above."""
    centre = (kernel - 1) / 2
    line = (1 - (torch.arange(kernel) - centre).abs() / step).clamp(min=0)
    return line[:, None] * line


def bilinear_transposed(channels: int, step: int, kernel: int, *, is_learned: bool) -> nn.ConvTranspose2d:
    """Make a transposed convolution without bias that starts as bilinear interpolation of each channel by itself.

    Its matrix of channels is full, as in the published networks: the filters off its diagonal start at zero.

    Args:
        channels: of the maps, in and out.
        step: how many times finer the output is.
        kernel: side of the filters, ``2 * step`` or one less.
        is_learned: whether the filters are parameters; else they are constants, in the state all the same.

    """
    layer = nn.ConvTranspose2d(channels, channels, kernel, stride=step, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[range(channels), range(channels)] = bilinear_filter(kernel, step).to(layer.weight)
    if not is_learned:
        filters = layer.weight.detach()
        del layer.weight
        layer.register_buffer("weight", filters)
    return layer


def resize(x: Tensor, height: int, width: int) -> Tensor:
    """Interpolate maps (N, C, H, W) to (N, C, ``height``, ``width``), corners not aligned.

    Maps of that size stay as they are. Aligned corners would make a pixel depend on the size of the whole picture.
    """
    if x.shape[-2:] == (height, width):
        return x
    return F.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)


class BilinearResize(nn.Module):
    """:func:`resize` as a row of a network's table; it has no weights."""

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """Map (N, C, H, W) to (N, C, ``height``, ``width``)."""
        return resize(x, height, width)
