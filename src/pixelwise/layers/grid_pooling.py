"""Means over a grid of parts of the picture, brought back to every place: what the whole scene looks like.

Sources: Chen et al. 2017 (DeepLab-v3, arXiv:1706.05587), section 3.3, with one part; Zhao et al. 2017 (PSPNet,
arXiv:1612.01105), section 3.2, with grids of 1, 2, 3 and 6 parts a side.
"""

import torch
from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.bilinear import resize
from pixelwise.layers.convolution import ConvNormAct


class GridMeans(nn.Module):
    """The means over ``parts`` x ``parts`` rectangles, as PyTorch's adaptive pooling takes them.

    Rectangle i of a side of n places reaches from floor(i n / parts) up to, but not including, ceil((i + 1) n / parts):
    where n is no multiple of ``parts`` neighbours share places. On a GPU the gradient of adaptive pooling does not
    repeat bit for bit, and training with ``deterministic`` refuses it; that of these means does.
    """

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.parts = parts

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, parts, parts)."""
        for axis in (2, 3):
            size = x.shape[axis]
            ends = [(part * size // self.parts, -(-(part + 1) * size // self.parts)) for part in range(self.parts)]
            x = torch.stack([x.narrow(axis, start, stop - start).mean(axis) for start, stop in ends], axis)
        return x


class GridPooling(nn.Module):
    """The means over ``parts`` x ``parts`` rectangles, a 1x1 convolution of them, interpolated to all places.

    Args:
        channels: of the maps.
        width: maps of the convolution.
        parts: rectangles along each side; 1 is the mean over the picture.

    """

    def __init__(self, channels: int, width: int, parts: int = 1) -> None:
        super().__init__()
        self.parts = parts
        self.pool = nn.AdaptiveAvgPool2d(1) if parts == 1 else GridMeans(parts)
        self.unit = ConvNormAct(channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, width, H, W).

        Raises:
            SpecError: one part of a single picture in training, of which batch normalisation would see one value a map.

        """
        if self.training and self.parts == 1 and len(x) == 1:
            raise SpecError(
                "image pooling in training: a batch of one picture",
                expected="at least two pictures: of one, batch normalisation sees a single value of every map",
                do="Set a larger batch_size, or choose a network without image pooling such as fcn_resnet50",
            )
        return resize(self.unit(self.pool(x)), *x.shape[-2:])
