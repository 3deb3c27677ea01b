"""Whether tensors fit a network; and, where the caller asks for it, how they are made to fit.

Two differences can be bridged. ``input``: the first layer's filters for other channels, which keep the sum of their
weights so that a grey picture and the same picture in three equal channels give the same maps. ``head``: fresh last
layers for other classes, be they as many or not, as the network's own initialisation drew them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
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


def fit(network: Network, theirs: Mapping[str, Tensor], source: str, adapt: frozenset[Adaptation]) -> Fitted:
    """Return the tensors that go into the network.

    Raises:
        WeightsError: names or shapes differ, with the first differences.

    """
    own, notes = network.state_dict(), list[str]()
    theirs, kept = _settle_auxiliary(network, own, dict(theirs), notes)
    first = _first_layer(network)
    channels = _channels(own, theirs, first)
    if channels is not None and "input" in adapt:
        theirs[first] = adapt_filters(theirs[first], own[first].shape[1])
        notes.append(f"The first layer's filters were brought from {channels} to {own[first].shape[1]} channels.")
    if "head" in adapt:
        classes = _classes(network, own, theirs)
        theirs = {name: tensor for name, tensor in theirs.items() if not _belongs(name, network.heads)}
        theirs |= {name: own[name] for name in kept if _belongs(name, network.heads)}
        instead = "" if classes is None else f" instead of {classes}"
        notes.append(f"Fresh weights for {network.num_classes}{instead} classes: {', '.join(network.heads)}.")
    _check(network, own, {name: own[name] for name in kept}, theirs, source)
    return Fitted(theirs, tuple(notes), keeps_input=channels is None)


def adapt_filters(filters: Tensor, channels: int) -> Tensor:
    """Bring filters (maps, C, h, w) to another number of channels.

    The mean over the old channels is repeated and scaled by C / ``channels``: the answer to a picture whose channels
    are all alike stays the same. Fewer channels than before lose the colours' differences; more see each alike.
    """
    mean = filters.mean(1, keepdim=True) * (filters.shape[1] / channels)
    return mean.repeat(1, channels, *[1] * (filters.ndim - 2))


def _settle_auxiliary(
    network: Network, own: Mapping[str, Tensor], theirs: dict[str, Tensor], notes: list[str]
) -> tuple[dict[str, Tensor], list[str]]:
    """Leave out auxiliary heads that the network or the file lacks; return the file's tensors and the names to fill."""
    names = {name.split(".")[0] for name in {**own, **theirs}}
    kept = list(own)
    for head in sorted(names.intersection(network.auxiliary_heads)):
        in_file, in_network = (any(_belongs(name, (head,)) for name in table) for table in (theirs, own))
        if in_file and not in_network:
            theirs = {name: tensor for name, tensor in theirs.items() if not _belongs(name, (head,))}
            notes.append(f"The file's auxiliary head {head} was left out.")
        if in_network and not in_file:
            kept = [name for name in kept if not _belongs(name, (head,))]
            notes.append(f"The file has no auxiliary head {head}: its weights are fresh.")
    return theirs, kept


def _first_layer(network: Network) -> str:
    for name, module in network.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            return f"{name}.weight"
    return ""


def _channels(own: Mapping[str, Tensor], theirs: Mapping[str, Tensor], first: str) -> int | None:
    """Return the channels that the file's first layer takes, where they alone differ."""
    if first not in own or first not in theirs or own[first].ndim != 4:
        return None
    one, other = own[first].shape, theirs[first].shape
    differs = len(one) == len(other) and one[1] != other[1] and (one[0], *one[2:]) == (other[0], *other[2:])
    return other[1] if differs else None


def _classes(network: Network, own: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> int | None:
    """Return the file's number of classes, where the heads alone differ."""
    unequal = [name for name in own if name in theirs and own[name].shape != theirs[name].shape]
    if not unequal or not all(_belongs(name, network.heads) for name in unequal):
        return None
    return theirs[unequal[-1]].shape[0]


def _belongs(name: str, modules: tuple[str, ...]) -> bool:
    return any(name.startswith(f"{module}.") for module in modules)


def _check(
    network: Network,
    own: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    theirs: Mapping[str, Tensor],
    source: str,
) -> None:
    missing = {name for name in wanted if name not in theirs and not name.endswith(COUNTER)}
    unequal = {name for name in own if name in theirs and own[name].shape != theirs[name].shape}
    strangers = [name for name in theirs if name not in own]
    only_shapes_differ = not missing and not strangers
    classes, channels = _classes(network, own, theirs), _channels(own, theirs, _first_layer(network))
    if classes is not None and only_shapes_differ:
        raise WeightsError(
            f"{source} holds weights for {classes} classes",
            expected=f"{network.num_classes}, as the network has",
            do=f"Create {network.spec.name} with num_classes={classes}, or ask for a fresh head "
            '(--adapt head, in Python adapt=["head"])',
        )
    if channels is not None and only_shapes_differ and len(unequal) == 1:
        raise WeightsError(
            f"{source} holds weights for pictures of {channels} channels",
            expected=f"{network.in_channels}, as the network has",
            do=f"Create {network.spec.name} with in_channels={channels}, or have the first layer adapted "
            '(--adapt input, in Python adapt=["input"])',
        )
    differences = [
        f"{name} is missing"
        if name in missing
        else f"{name} is {tuple(theirs[name].shape)}, not {tuple(own[name].shape)}"
        for name in own
        if name in missing or name in unequal
    ] + [f"{name} is not in the network" for name in strangers]
    if differences:
        more = f", and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        raise WeightsError(
            f"{source} does not fit {network.spec.name}: {'; '.join(differences[:_SHOWN])}{more}",
            expected=f"the {len(own)} tensors of {network.spec.name} for {network.in_channels} channels",
            do="Create the network that the weights belong to",
        )
