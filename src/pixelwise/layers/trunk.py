"""The trunk of a network whose direct children follow one another: running it, and standing another network on it."""

from collections.abc import Collection, Iterator
from itertools import count, takewhile
from typing import NamedTuple

from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.specs import Network, Stage


class Grafted(NamedTuple):
    """What :func:`graft` found out about a trunk."""

    stages: tuple[Stage, ...]
    """Those that hold none of the classifier's heads, finest first."""
    keeps_ratio: bool
    """Whether sides that are multiples of the last stride make maps of exactly side / stride."""
    least_side: int
    """Smallest height and width that leaves something of every map, in pixels."""


def run_trunk(network: Network, x: Tensor) -> list[Tensor]:
    """Pass ``x`` (N, C, H, W) through the direct children in their order; return the map at the end of every stage.

    Auxiliary heads are passed over; what comes after the last stage is not run.
    """
    ends = {stage.module for stage in network.stages}
    maps: list[Tensor] = []
    for name, row in _rows(network):
        x = row(x)
        if name in ends:
            maps.append(x)
    return maps


def last_map(network: Network, x: Tensor) -> Tensor:
    """Check ``x`` and return the map at the end of the last stage, which is all that a classifier needs.

    The others are let go on the way: together they may be larger than anything else that is in memory at once.
    """
    network.check_input(x)
    for _, row in _rows(network):
        x = row(x)
    return x


def _rows(network: Network) -> Iterator[tuple[str, nn.Module]]:
    """Give the direct children up to the end of the last stage."""
    last = network.stages[-1].module
    for name, child in network.named_children():
        if name not in network.auxiliary_heads:
            yield name, child
        if name == last:
            return


def run_rows(network: Network, x: Tensor, wanted: Collection[str]) -> dict[str, Tensor]:
    """Pass ``x`` (N, C, H, W) through the direct children in their order; return the maps of those that are wanted.

    Auxiliary heads are passed over; what comes after the last child that is wanted is not run.
    """
    maps: dict[str, Tensor] = {}
    rows = _rows(network)
    while len(maps) < len(wanted):
        name, row = next(rows)
        x = row(x)
        if name in wanted:
            maps[name] = x
    return maps


def graft(network: Network, trunk: Network) -> Grafted:
    """Make the rows of a classifier direct children of a network that has none yet, under the names that they have.

    Auxiliary heads and what comes after the last stage are left out, and so are stages that hold a head: those of
    networks whose last maps are the classes'.
    """
    heads = {head.partition(".")[0] for head in trunk.heads}
    rows = dict(takewhile(lambda named: named[0] not in heads, _rows(trunk)))
    stages = tuple(stage for stage in trunk.stages if stage.module in rows)
    last = list(rows).index(stages[-1].module)
    for name in list(rows)[: last + 1]:
        network.add_module(name, rows[name])
    keeps_ratio = all(_keeps_ratio(layer) for row in network.children() for layer in row.modules())
    return Grafted(stages, keeps_ratio, _least_side(trunk))


def levels(stages: Collection[Stage]) -> tuple[Stage, ...]:
    """Return the last stage of each stride, finest first."""
    return tuple({stage.stride: stage for stage in stages}.values())


def _keeps_ratio(layer: nn.Module) -> bool:
    """Say whether a layer makes exactly side / step values of a side that is a multiple of its step."""
    if not isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
        return True
    rates = layer.dilation if isinstance(layer, nn.Conv2d) else 1
    rounds_up = not isinstance(layer, nn.Conv2d) and layer.ceil_mode
    for axis in (0, 1):
        kernel, step, margin, rate = (
            value if isinstance(value, int) else int(value[axis])
            for value in (layer.kernel_size, layer.stride, layer.padding, rates)
        )
        left = 2 * margin - rate * (kernel - 1) - 1 + step  # of a side s: (s + left) / step values, rounded
        if not (-step < left <= 0 if rounds_up else 0 <= left < step):
            return False
    return True


def _least_side(trunk: Network) -> int:
    """Find the smallest picture that a classifier takes in evaluation, where auxiliary heads do not count."""

    def is_legal(side: int) -> bool:
        try:
            trunk.check_size(side, side)
        except SpecError:
            return False
        return True

    trunk.eval()
    least = next(filter(is_legal, count(1)))
    trunk.train()
    return least
