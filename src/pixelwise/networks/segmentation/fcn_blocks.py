"""Parts of fully convolutional networks: full connections turned into convolutions, and the crop to the picture."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from pixelwise.layers.full_connections import FullConnection


class Crop(nn.Module):
    """Keep a window of maps that begins at a fixed offset."""

    def __init__(self, offset: int) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """Map (N, C, H, W) to (N, C, ``height``, ``width``)."""
        return x[..., self.offset : self.offset + height, self.offset : self.offset + width]


def as_convolution(layer: FullConnection, channels: int, window: int, dropout: float) -> nn.Sequential:
    """Return a hidden layer as a convolution that gives its answer at every place (section 3.1).

    Its parts keep their names and their numbers: the matrix (units, channels * window * window) is the filters (units,
    channels, window, window).

    Args:
        layer: flattens maps (channels, window, window).
        channels: of the maps.
        window: their height and width.
        dropout: share of values set to zero in training.

    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for name, part in layer.named_children():
        if isinstance(part, nn.Linear):
            filters = nn.Conv2d(channels, part.out_features, window, device="meta")
            filters.weight = nn.Parameter(part.weight.detach().view(filters.weight.shape))
            filters.bias = part.bias
            parts[name] = filters
        elif isinstance(part, nn.BatchNorm1d):
            parts[name] = nn.BatchNorm2d(part.num_features, eps=part.eps, device=part.weight.device)
        else:
            parts[name] = nn.Dropout(dropout) if isinstance(part, nn.Dropout) else part
    return nn.Sequential(parts)


def zero_score(channels: int, num_classes: int) -> nn.Conv2d:
    """Return a 1x1 convolution to the classes whose weights and biases are zero, so that every class is as likely."""
    layer = nn.Conv2d(channels, num_classes, 1)
    with torch.no_grad():
        layer.weight.zero_()
        if layer.bias is not None:
            layer.bias.zero_()
    return layer
