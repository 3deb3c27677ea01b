"""Sizes that networks take: padding to a multiple and cropping back, and the least that layers leave something of."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Add zeros at the bottom and right of (N, C, H, W) until H and W are multiples of ``multiple``.

    The origin stays where it is, so the pooling grid lies on the image as it would on a larger one. Zeros are what the
    convolutions themselves see beyond the border.
    """
    bottom, right = -x.shape[-2] % multiple, -x.shape[-1] % multiple
    return F.pad(x, (0, right, 0, bottom)) if bottom or right else x


def crop(x: Tensor, height: int, width: int) -> Tensor:
    """Keep the top left ``height`` x ``width`` of (N, C, H, W): the way back from :func:`pad_to_multiple`."""
    return x[..., :height, :width]


def centre_crop(x: Tensor, height: int, width: int) -> Tensor:
    """Keep the middle ``height`` x ``width`` of (N, C, H, W); an odd remainder falls to the bottom and right."""
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]


def smallest_side(windows: Sequence[tuple[int, int]], last: int = 1) -> int:
    """Find the least height or width of which ``last`` pixels are left after unpadded windows.

    Args:
        windows: (side, step) of convolutions and poolings without padding, in their order. Padded ones that keep the
            size are left out.
        last: how many pixels have to be left.

    """
    for side, step in reversed(windows):
        last = (last - 1) * step + side
    return last
