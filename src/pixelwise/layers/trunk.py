"""Running the trunk of a network whose direct children follow one another."""

from torch import Tensor

from pixelwise.specs import Network


def run_trunk(network: Network, x: Tensor) -> list[Tensor]:
    """Pass ``x`` (N, C, H, W) through the direct children in their order; return the map at the end of every stage.

    Auxiliary heads are passed over; what comes after the last stage is not run.
    """
    ends = {stage.module for stage in network.stages}
    maps: list[Tensor] = []
    for name, child in network.named_children():
        if len(maps) == len(ends):
            break
        if name in network.auxiliary_heads:
            continue
        x = child(x)
        if name in ends:
            maps.append(x)
    return maps
