"""Convolving concatenated maps in bands of rows, so that the concatenation is never whole in memory.

Where the expanding path of a U-Net meets a skip, three things are in memory at once: the skip, what was brought up, and
both again, side by side. For prediction the convolution that follows takes them band by band. What it makes is the
same; the widest tensor of the network is gone.
"""

from typing import Final

import torch
from torch import Tensor, nn

from pixelwise.layers.convolution import has_hooks

LARGEST_BYTES: Final = 128 * 2**20
"""Of a concatenation that is made whole; larger ones are made in bands of this size."""


def convolve_joined(layer: nn.Module, maps: list[Tensor], *, is_padded: bool) -> Tensor:
    """Return ``layer(torch.cat(maps, 1))`` for a layer of 3x3 windows with stride 1.

    Gradients, hooks and exports get the concatenation as it is.

    Args:
        layer: maps (N, C_1 + C_2 + ..., H, W) to (N, C', H, W), or to (N, C', H - 2, W - 2) without padding.
        maps: (N, C_i, H, W); the list is emptied, so that nothing holds on to what is not needed any more.
        is_padded: whether the layer keeps the height and width.

    """
    height, row = maps[0].shape[2], sum(one[:, :, :1].numel() * one.element_size() for one in maps)
    band = max(LARGEST_BYTES // max(row, 1), 16)
    if height <= band or torch.is_grad_enabled() or torch.compiler.is_exporting() or _is_watched(layer):
        joined = torch.cat(maps, 1)
        maps.clear()
        return layer(joined)
    border = 1 if is_padded else 0
    rows = height if is_padded else height - 2
    made: Tensor | None = None
    for start in range(0, rows, band):
        stop = min(start + band, rows)
        low, high = max(start - border, 0), min(stop + 2 - border, height)
        part = layer(torch.cat([one[:, :, low:high] for one in maps], 1))
        if made is None:
            is_innermost = part.is_contiguous(memory_format=torch.channels_last)
            order = torch.channels_last if is_innermost else torch.contiguous_format
            shape = (part.shape[0], part.shape[1], rows, part.shape[3])
            made = torch.empty(shape, dtype=part.dtype, device=part.device, memory_format=order)
        first = start - low if is_padded else 0
        made[:, :, start:stop] = part[:, :, first : first + stop - start]
    maps.clear()
    assert made is not None  # there are rows
    return made


def _is_watched(layer: nn.Module) -> bool:
    return any(has_hooks(part) for part in layer.modules())
