"""Whose weights a file holds, and what of them goes into a network that stands on, or goes on from, their owner.

A network may start from weights of its own, from those of its backbone, which is a classifier, or from those of an
earlier stage of its training (``Spec.precursors``). A file is taken as that network's whose names it has.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pixelwise.specs import Network
from pixelwise.weights.fit import COUNTER, belongs
from pixelwise.weights.layout import Layout
from pixelwise.weights.table import LAYOUTS


@dataclass(frozen=True, slots=True)
class Owner:
    """The network that a file's tensors belong to."""

    network: Network
    """The one that they are for, or a precursor of it, without values."""
    layout: Layout | None
    """Whose names the file has; None = ours."""
    names: Mapping[str, str]
    """Our name for each of the file's."""
    left_out: tuple[str, ...]
    """Children of a precursor that the network does not have, whether or not the file has weights for them."""


def find_owner(network: Network, names: Iterable[str], source: str) -> Owner:
    """Return the one of a network and its precursors whose tensors a file's names fit best; of equals the first.

    Raises:
        WeightsError: two names become one.

    """
    names = list(names)
    owner = _owner(network, network, names, source)
    least = _differences(owner)
    for spec in network.spec.precursors if least else ():
        with torch.device("meta"):
            twin = spec.build(network.in_channels, network.num_classes)
        other = _owner(network, twin, names, source)
        if _differences(other) < least:
            owner, least = other, _differences(other)
    return owner


def inherit(network: Network, owner: Owner, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Return what goes from a precursor into a network, and a sentence that says what was taken.

    Matrices of full connections become the filters that they are. Layers of the same name and another size, such as the
    up-sampling after a coarser score, stay fresh.
    """
    own, taken = network.state_dict(), dict[str, Tensor]()
    for name, tensor in tensors.items():
        if name in own and own[name].numel() == tensor.numel():
            taken[name] = tensor.view(own[name].shape)
    fresh = dict.fromkeys(name.partition(".")[0] for name in own if name not in taken and not name.endswith(COUNTER))
    told = {name.partition(".")[0] for name in owner.names.values()}
    lost = [name for name in owner.left_out if name in told]
    which = "its backbone" if owner.network.spec.task != network.spec.task else "an earlier stage of its training"
    without = f", without {', '.join(lost)}" if lost else ""
    return taken, f"Taken from weights of {owner.network.spec.name}, {which}{without}; fresh: {', '.join(fresh)}."


def _owner(network: Network, other: Network, names: list[str], source: str) -> Owner:
    layout = _layout(other, names)
    ours = {name: name for name in names} if layout is None else layout.names(other, names, source)
    children = dict(network.named_children())
    left_out = tuple(name for name, _ in other.named_children() if name not in children)
    return Owner(other, layout, ours, left_out)


def _layout(network: Network, names: list[str]) -> Layout | None:
    for layout in reversed(LAYOUTS.get(network.spec.family, ())):
        if any(re.search(layout.marker, name) for name in names):
            return layout
    return None


def _differences(owner: Owner) -> int:
    """Count the names that only the file or only the network has; counters and auxiliary heads may be missing."""
    passed = (*owner.network.auxiliary_heads, *owner.left_out)
    own, theirs = (
        {name for name in names if not name.endswith(COUNTER) and not belongs(name, passed)}
        for names in (owner.network.state_dict(), owner.names.values())
    )
    return len(own ^ theirs)
