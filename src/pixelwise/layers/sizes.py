"""Sizes that networks take: padding to a multiple and cropping back, and the least that layers leave something of."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Add zeros at the end of every axis of (N, C, H, W) or (N, C, D, H, W) but the first two.

    Every side becomes a multiple of ``multiple``.

    The origin stays where it is, so the pooling grid lies on the image as it would on a larger one. Zeros are what the
    convolutions themselves see beyond the border.
    """
    missing = [-side % multiple for side in x.shape[2:]]
    return F.pad(x, [added for side in reversed(missing) for added in (0, side)]) if any(missing) else x


def crop(x: Tensor, *size: int) -> Tensor:
    """Keep the first ``size`` of (N, C, H, W) or (N, C, D, H, W): the way back from :func:`pad_to_multiple`."""
    return x[_all_maps(*(slice(side) for side in size))]


def centre_crop(x: Tensor, *size: int) -> Tensor:
    """Keep the middle ``size`` of (N, C, H, W) or (N, C, D, H, W); an odd remainder falls to the ends."""
    starts = [(whole - side) // 2 for whole, side in zip(x.shape[2:], size, strict=True)]
    return x[_all_maps(*(slice(start, start + side) for start, side in zip(starts, size, strict=True)))]


def _all_maps(*sides: slice) -> tuple[slice, ...]:
    return (slice(None), slice(None), *sides)


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
