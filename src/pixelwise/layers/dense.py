"""Full connections as convolutions, so that a classifier can be slid over a picture (VGG, section 3.2)."""

import torch.nn.functional as F
from torch import Tensor, nn


def slide_linear(linear: nn.Linear, x: Tensor, window: tuple[int, int] = (1, 1)) -> Tensor:
    """Apply a full connection at every place where its input fits.

    Args:
        linear: takes C * h * w values, flattened from (C, h, w).
        x: (N, C, H, W).
        window: (h, w), the size of the map that the connection was made for.

    Returns:
        (N, out_features, H - h + 1, W - w + 1).

    """
    return F.conv2d(x, linear.weight.view(linear.out_features, x.shape[1], *window), linear.bias)
