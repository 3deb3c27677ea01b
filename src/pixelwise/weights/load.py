"""From a file, or from tensors by name, into a network."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pixelwise.errors import WeightsError
from pixelwise.specs import Network, Pretraining
from pixelwise.weights.files import check_file, read_weights
from pixelwise.weights.fit import COUNTER, fit, parse_adaptations
from pixelwise.weights.owner import find_owner, inherit
from pixelwise.weights.record import check_record


@dataclass(frozen=True, slots=True)
class PlannedWeights:
    """Tensors that were proved to fit a network."""

    tensors: Mapping[str, Tensor]
    """What the file gives, under the network's names; what is to stay as the network drew it is not among them."""
    notes: tuple[str, ...]
    """Sentences that say what was adapted, left out or stays fresh; none where everything comes from the file."""
    pretraining: Pretraining | None
    """Which pictures the weights expect, where that is known and the first layer is the file's."""


def load_weights(network: Network, path: Path, *, adapt: Collection[str] = ()) -> tuple[str, ...]:
    """Read a file of weights into ``network``. See :func:`plan_weights` and :func:`load_tensors`.

    Raises:
        WeightsError: the file is missing, damaged, unsafe, holds NaN or infinity, or does not fit the network.
        UsageError: an unknown adaptation.

    """
    return _put(network, plan_weights(network, path, adapt=adapt))


def plan_weights(network: Network, path: Path, *, adapt: Collection[str] = ()) -> PlannedWeights:
    """Read a file of weights and prove that it fits a network, which stays as it is.

    Args:
        network: what they are for; it may lie on the meta device.
        path: a file of weights, or a run or a model folder. Where a ``model.json`` stands beside the file, its network
            must be the same in every column that changes an answer.
        adapt: which differences to bridge; see :func:`load_tensors`.

    Raises:
        WeightsError: the file is missing, damaged, unsafe, holds NaN or infinity, or does not fit the network.
        UsageError: an unknown adaptation.

    """
    parse_adaptations(adapt)  # before a large file is read
    file = check_file(path)
    check_record(file, network.spec)
    return plan_tensors(network, read_weights(file), str(path), adapt=adapt)


def load_tensors(
    network: Network, tensors: Mapping[str, Tensor], source: str, *, adapt: Collection[str] = ()
) -> tuple[str, ...]:
    """Copy named tensors into ``network``, through the name map of the layout that they have.

    They are the network's own, or those of a network that it can start from (its backbone, or an earlier stage of its
    training), of which the layers that both have are taken. Where the layout is that of published weights,
    ``network.pretraining`` then says which pictures they expect, unless the first layer was adapted.

    Args:
        network: where they go; it is unchanged if anything does not fit.
        tensors: weights and buffers by name. Counters of batches may be missing: not every version wrote them.
        source: what to call them in messages.
        adapt: which differences to bridge: ``head`` draws fresh last layers for other classes, ``input`` brings the
            first layer's filters to other channels.

    Returns:
        Sentences that say what was adapted, left out or drawn afresh; none where everything was copied.

    Raises:
        WeightsError: names or shapes differ, with the first differences; or values are not finite numbers.
        UsageError: an unknown adaptation.

    """
    return _put(network, plan_tensors(network, tensors, source, adapt=adapt))


def plan_tensors(
    network: Network, tensors: Mapping[str, Tensor], source: str, *, adapt: Collection[str] = ()
) -> PlannedWeights:
    """Prove that named tensors fit a network, which stays as it is. See :func:`load_tensors`."""
    wanted = parse_adaptations(adapt)
    _check_forms(tensors, source)
    owner = find_owner(network, tensors, source)
    theirs = dict(tensors)
    if owner.layout is not None:
        owner.layout.check_spec(owner.network.spec, source)
        theirs = owner.layout.rename(owner.names, tensors)
    if owner.network.spec.task != network.spec.task:
        wanted -= {"head"}  # a backbone's is left out anyway
    origins = {ours: original for original, ours in owner.names.items()}
    fitted = fit(owner.network, theirs, source, wanted, origins=origins, left_out=owner.left_out)
    taken, notes = fitted.tensors, fitted.notes
    if owner.network is not network:
        taken, note = inherit(network, owner, fitted.tensors)
        notes = (*notes, note)
    for name, tensor in taken.items():
        _check_values(name, tensor, source)
    pretraining = owner.layout.pretraining if owner.layout and fitted.keeps_input else None
    return PlannedWeights(taken, notes, pretraining)


def _put(network: Network, planned: PlannedWeights) -> tuple[str, ...]:
    network.load_state_dict({**network.state_dict(), **planned.tensors})
    network.pretraining = planned.pretraining
    return planned.notes


def _check_forms(tensors: Mapping[str, Tensor], source: str) -> None:
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_meta:
            form = "on the meta device" if tensor.is_meta else "sparse"
            raise WeightsError(
                f"{source}: {name} is {form}", expected="plain tensors with values", do="Save them in that form"
            )


def _check_values(name: str, tensor: Tensor, source: str) -> None:
    if not (tensor.is_floating_point() or name.endswith(COUNTER)):
        raise WeightsError(
            f"{source}: {name} holds {str(tensor.dtype).removeprefix('torch.')}",
            expected="real floating-point weights",
            do="Save them as float32",
        )
    if not torch.isfinite(tensor).all():
        raise WeightsError(
            f"{source}: {name} holds NaN or infinity",
            expected="finite weights",
            do="Take an earlier checkpoint: the training that wrote this one had failed",
        )
