"""Whether tensors fit a network; and, where the caller asks for it, how they are made to fit.

Two differences can be bridged. ``input``: the first layer's filters for other channels, which keep the sum of their
weights so that a grey picture and the same picture in three equal channels give the same maps. ``head``: fresh last
layers for other classes, be they as many or not, as the network's own initialisation drew them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

from torch import Tensor, nn

from pixelwise.errors import UsageError, WeightsError, suggest
from pixelwise.specs import Network

Adaptation = Literal["head", "input"]
ADAPTATIONS: Final[tuple[Adaptation, ...]] = get_args(Adaptation)

COUNTER = "num_batches_tracked"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Fitted:
    """Tensors that fit, and what was done that their reader should know."""

    tensors: dict[str, Tensor]
    notes: tuple[str, ...]
    keeps_input: bool
    """Whether the first layer is that of the file."""


@dataclass(frozen=True, slots=True)
class _Settled:
    """A file's tensors without the auxiliary heads that the network lacks."""

    theirs: dict[str, Tensor]
    wanted: set[str]
    """The network's names that the file has to fill."""
    notes: list[str]


@dataclass(frozen=True, slots=True)
class _Differences:
    """Where a file and a network differ."""

    channels: int | None
    """What the file's first layer takes, where it differs in nothing else."""
    classes: int | None
    """How many the file's heads tell apart, where these differ."""
    others: bool
    """Whether there are further differences."""
    words: list[str]
    """All of them, in the network's order."""


def parse_adaptations(names: Collection[str]) -> frozenset[Adaptation]:
    """Return the adaptations of these names; one name may stand for itself.

    Raises:
        UsageError: an unknown name.

    """
    names = (names,) if isinstance(names, str) else names
    for name in names:
        if name not in ADAPTATIONS:
            raise UsageError(
                f"adapt={name}", expected=" or ".join(ADAPTATIONS), do=suggest(name, ADAPTATIONS) or "Choose one"
            )
    return frozenset(name for name in ADAPTATIONS if name in names)


def fit(
    network: Network,
    theirs: Mapping[str, Tensor],
    source: str,
    adapt: frozenset[Adaptation],
    *,
    origins: Mapping[str, str] = MappingProxyType({}),
    left_out: tuple[str, ...] = (),
) -> Fitted:
    """Return the tensors that go into the network.

    Args:
        network: may lie on the meta device, since only names and shapes are compared.
        theirs: tensors under our names.
        source: what to call them in messages.
        adapt: the differences to bridge.
        origins: the names that they had before, where they had others.
        left_out: children of the network whose weights are neither wanted nor taken.

    Raises:
        WeightsError: names or shapes differ, with the first differences.

    """
    own, first = network.state_dict(), _first_layer(network)
    theirs = {name: tensor for name, tensor in theirs.items() if not belongs(name, left_out)}
    settled = _settle_auxiliary(network, own, theirs)
    settled.wanted.difference_update([name for name in own if belongs(name, left_out)])
    tensors, notes, channels = settled.theirs, settled.notes, _channels(own, theirs, first)
    if channels is not None and "input" in adapt:
        tensors[first] = adapt_filters(tensors[first], own[first].shape[1])
        into = _count(own[first].shape[1], "channel", "channels")
        notes.append(f"The first layer's filters were brought from {channels} to {into}.")
    if "head" in adapt:
        classes = _classes(network, own, tensors)
        tensors = {name: tensor for name, tensor in tensors.items() if not belongs(name, network.heads)}
        settled.wanted.difference_update([name for name in own if belongs(name, network.heads)])
        instead = "" if classes is None else f"{network.num_classes} instead of "
        count = _count(network.num_classes if classes is None else classes, "class", "classes")
        notes.append(f"Fresh weights for {instead}{count}: {', '.join(network.heads)}.")
    _check(network, _compare(network, own, settled.wanted, tensors, origins), source)
    return Fitted(tensors, tuple(notes), keeps_input=channels is None)


def adapt_filters(filters: Tensor, channels: int) -> Tensor:
    """Bring filters (maps, C, *sides) to another number of channels.

    The mean over the old channels is repeated and scaled by C / ``channels``: the answer to a picture whose channels
    are all alike stays the same. Fewer channels than before lose the colours' differences; more see each alike.
    """
    mean = filters.mean(1, keepdim=True) * (filters.shape[1] / channels)
    return mean.repeat(1, channels, *[1] * (filters.ndim - 2))


def _settle_auxiliary(network: Network, own: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> _Settled:
    """Leave out auxiliary heads that the network or the file lacks."""
    settled = _Settled(dict(theirs), set(own), [])
    names = {name.split(".")[0] for name in {**own, **theirs}}
    for head in sorted(names.intersection(network.auxiliary_heads)):
        in_file, in_network = ([name for name in table if belongs(name, (head,))] for table in (theirs, own))
        if in_file and not in_network:
            for name in in_file:
                del settled.theirs[name]
            settled.notes.append(f"The file's auxiliary head {head} was left out.")
        if in_network and not in_file:
            settled.wanted.difference_update(in_network)
            settled.notes.append(f"The file has no auxiliary head {head}: its weights are fresh.")
    return settled


def _first_layer(network: Network) -> str:
    for name, module in network.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.Linear)):
            return f"{name}.weight"
    return ""


def _channels(own: Mapping[str, Tensor], theirs: Mapping[str, Tensor], first: str) -> int | None:
    """Return the channels that the file's first layer takes, where they alone differ."""
    if first not in own or first not in theirs or own[first].ndim < 4:
        return None
    one, other = own[first].shape, theirs[first].shape
    differs = len(one) == len(other) and one[1] != other[1] and (one[0], *one[2:]) == (other[0], *other[2:])
    return other[1] if differs else None


def _classes(network: Network, own: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> int | None:
    """Return how many classes the file's heads tell apart, where that is not as many as the network's."""
    for name in reversed(list(own)):
        if name in theirs and belongs(name, network.heads) and theirs[name].shape[:1] != own[name].shape[:1]:
            return theirs[name].shape[0] if theirs[name].ndim else None
    return None


def belongs(name: str, modules: tuple[str, ...]) -> bool:
    """Say whether a tensor lies in one of these modules."""
    return any(name.startswith(f"{module}.") for module in modules)


def _compare(
    network: Network,
    own: Mapping[str, Tensor],
    wanted: Collection[str],
    theirs: Mapping[str, Tensor],
    origins: Mapping[str, str],
) -> _Differences:
    def called(name: str) -> str:
        return f"{name} ({origins[name]} in the file)" if origins.get(name, name) != name else name

    missing = {name for name in wanted if name not in theirs and not name.endswith(COUNTER)}
    unequal = {name for name in own if name in theirs and own[name].shape != theirs[name].shape}
    strangers = [name for name in theirs if name not in own]
    first = _first_layer(network)
    channels, classes = _channels(own, theirs, first), _classes(network, own, theirs)
    explained = {name for name in unequal if classes is not None and belongs(name, network.heads)}
    if channels is not None:
        explained.add(first)
    words = [
        f"{name} is missing"
        if name in missing
        else f"{called(name)} is {tuple(theirs[name].shape)}, not {tuple(own[name].shape)}"
        for name in own
        if name in missing or name in unequal
    ]
    words += [f"{called(name)} is not in the network" for name in strangers]
    return _Differences(channels, classes, others=bool(missing or strangers or unequal - explained), words=words)


def _check(network: Network, found: _Differences, source: str) -> None:
    if found.others:
        more = f", and {len(found.words) - _SHOWN} more" if len(found.words) > _SHOWN else ""
        raise WeightsError(
            f"{source} does not fit {network.spec.name}: {'; '.join(found.words[:_SHOWN])}{more}",
            expected=f"the {len(network.state_dict())} tensors of {network.spec.name} for "
            + _count(network.in_channels, "channel", "channels"),
            do="Create the network that the weights belong to",
        )
    name = network.spec.name
    if found.channels is not None and found.classes is not None:
        raise WeightsError(
            f"{source} holds weights for pictures of {_count(found.channels, 'channel', 'channels')} and for "
            + _count(found.classes, "class", "classes"),
            expected=f"{network.in_channels} and {network.num_classes}, as the network has",
            do=f"Create {name} with in_channels={found.channels} and num_classes={found.classes}, or have both adapted "
            '(--adapt head,input, in Python adapt=["head", "input"])',
        )
    if found.classes is not None:
        raise WeightsError(
            f"{source} holds weights for {_count(found.classes, 'class', 'classes')}",
            expected=f"{network.num_classes}, as the network has",
            do=f"Create {name} with num_classes={found.classes}, or ask for a fresh head "
            '(--adapt head, in Python adapt=["head"])',
        )
    if found.channels is not None:
        raise WeightsError(
            f"{source} holds weights for pictures of {_count(found.channels, 'channel', 'channels')}",
            expected=f"{network.in_channels}, as the network has",
            do=f"Create {name} with in_channels={found.channels}, or have the first layer adapted "
            '(--adapt input, in Python adapt=["input"])',
        )


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
