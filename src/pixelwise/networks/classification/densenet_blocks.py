"""The parts of a densely connected network: layers, blocks and transitions."""

from collections.abc import Iterator
from contextlib import nullcontext
from types import TracebackType

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

BOTTLENECK = 4
"""A bottleneck's 1x1 convolution makes so many times ``growth_rate`` maps (section 3, "Bottleneck layers")."""


class NormActConv(nn.Module):
    """Batch normalisation, ReLU, and a convolution without bias that keeps height and width."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.act = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        return self.conv(self.act(self.norm(x)))

    def in_order(self) -> tuple[tuple[str, ...], ...]:
        """Return the order of the parts (:class:`~pixelwise.layers.folding.InOrder`)."""
        return (("norm", "act", "conv"),)


class DenseLayer(nn.Module):
    """One layer of a block: all maps before it go in, ``growth_rate`` new ones come out (section 3).

    Args:
        in_channels: maps of the block's input and of all layers before.
        growth_rate: new maps, k.
        bottleneck: whether a 1x1 convolution to 4k maps comes before the 3x3 (DenseNet-B).
        dropout: rate after each convolution.
        memory_efficient: keep neither the concatenated nor the normalised maps for the backward pass, but make them
            again there (Pleiss et al. 2017, arXiv:1707.06990).

    """

    def __init__(
        self, in_channels: int, growth_rate: int, *, bottleneck: bool, dropout: float, memory_efficient: bool
    ) -> None:
        super().__init__()
        width = BOTTLENECK * growth_rate if bottleneck else in_channels
        self.bottleneck = NormActConv(in_channels, width, 1) if bottleneck else None
        self.composite = NormActConv(width, growth_rate, 3)
        self.dropout, self.memory_efficient = dropout, memory_efficient

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Map the block's input and the earlier layers' maps, each (N, c, H, W), to (N, growth_rate, H, W)."""
        y = self._drop(self._see_all(self.bottleneck or self.composite, maps))
        return y if self.bottleneck is None else self._drop(self.composite(y))

    def grow(self, folded: Tensor, images: int) -> Tensor:
        """Do the same without dropout for maps whose images lie one below the other: (1, C, N*H, W) to (k, N, H, W).

        What works on each pixel alone does not see the seams; the 3x3 convolution gets the images apart.
        """
        y = folded if self.bottleneck is None else self.bottleneck(folded)
        y = self.composite.act(self.composite.norm(y))
        y = y[0].unflatten(1, (images, -1)).transpose(0, 1)  # (N, C, H, W)
        return self.composite.conv(y).transpose(0, 1)

    def in_order(self) -> tuple[tuple[str, ...], ...]:
        """Return the order of the bottleneck's end and what follows it, where dropout does nothing."""
        return (("bottleneck.conv", "composite.norm", "composite.act"),) if self.bottleneck else ()

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)

    def _see_all(self, first: NormActConv, maps: list[Tensor]) -> Tensor:
        if not (self.memory_efficient and torch.is_grad_enabled()):
            return first(torch.cat(maps, 1))
        # Dropout is outside, so nothing random is made again. The convolution is not either: what its gradient needs
        # is its input, and the recomputation ends there.
        return checkpoint(
            lambda *parts: first(torch.cat(parts, 1)),
            *maps,
            use_reentrant=False,
            preserve_rng_state=False,
            context_fn=lambda: (nullcontext(), UpdatesDiscarded(first.norm)),
        )


class UpdatesDiscarded:
    """While entered, a normalisation updates copies of its running statistics: a batch must not count twice."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        self.norm = norm
        self.kept: dict[str, Tensor] = {}

    def __enter__(self) -> None:
        self.kept = dict(self.norm.named_buffers(recurse=False))
        for name, buffer in self.kept.items():
            setattr(self.norm, name, buffer.clone())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for name, buffer in self.kept.items():
            setattr(self.norm, name, buffer)


class DenseBlock(nn.Module):
    """Layers ``layer1``, ``layer2``, ..., each of which sees all maps before it; its output is all maps (figure 1).

    In evaluation without gradients, the maps of a block are written into one place, in which the first C maps of all
    images lie together, so that nothing is concatenated again for every layer. The numbers are those of concatenation,
    to the bit for one image; for more, a library may sum a convolution of the folded maps in another order.
    """

    def __init__(
        self,
        in_channels: int,
        layers: int,
        growth_rate: int,
        *,
        bottleneck: bool,
        dropout: float,
        memory_efficient: bool,
    ) -> None:
        super().__init__()
        self.out_channels = in_channels + layers * growth_rate
        for number in range(layers):
            layer = DenseLayer(
                in_channels + number * growth_rate,
                growth_rate,
                bottleneck=bottleneck,
                dropout=dropout,
                memory_efficient=memory_efficient,
            )
            self.add_module(f"layer{number + 1}", layer)

    def layers(self) -> Iterator[DenseLayer]:
        """Give the layers in their order."""
        for layer in self.children():
            assert isinstance(layer, DenseLayer)
            yield layer

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, in_channels + layers * growth_rate, H, W)."""
        # Maps whose channels lie innermost (channels_last) are concatenated faster than they are folded; an empty batch
        # cannot be folded.
        if self.training or torch.is_grad_enabled() or not x.is_contiguous() or not len(x):
            maps = [x]
            for layer in self.layers():
                maps.append(layer(maps))
            return torch.cat(maps, 1)
        return self._in_one_place(x)

    def _in_one_place(self, x: Tensor) -> Tensor:
        images, channels, height, width = x.shape
        place = x.new_empty(self.out_channels, images, height, width)
        place[:channels] = x.transpose(0, 1)
        for layer in self.layers():
            new = layer.grow(place[:channels].view(1, channels, images * height, width), images)
            place[channels : channels + len(new)] = new
            channels += len(new)
        return place.transpose(0, 1).contiguous()


class Transition(nn.Module):
    """Between blocks: normalisation, ReLU, a 1x1 convolution, and the mean of each 2x2 pixels (section 3)."""

    def __init__(self, in_channels: int, out_channels: int, dropout: float) -> None:
        super().__init__()
        self.composite = NormActConv(in_channels, out_channels, 1)
        self.dropout = dropout
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H // 2, W // 2)."""
        return self.pool(F.dropout(self.composite(x), self.dropout, self.training))
