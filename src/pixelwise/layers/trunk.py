"""Running the trunk of a network whose direct children follow one another."""

from collections.abc import Iterator

from torch import Tensor, nn

from pixelwise.specs import Network


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
