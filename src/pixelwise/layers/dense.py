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


def seen_at_each_place(x: Tensor, window: tuple[int, int]) -> Tensor:
    """Give what a full connection sees at every place where its window fits, so that it can be called as it is.

    Args:
        x: (N, C, H, W).
        window: (h, w).

    Returns:
        (N, H - h + 1, W - w + 1, C * h * w), flattened from (C, h, w).

    """
    places = x.unfold(2, window[0], 1).unfold(3, window[1], 1)  # (N, C, H - h + 1, W - w + 1, h, w)
    return places.permute(0, 2, 3, 1, 4, 5).flatten(3)
