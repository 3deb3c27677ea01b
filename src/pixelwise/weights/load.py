"""From a file, or from tensors by name, into a network."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor

from pixelwise.errors import WeightsError
from pixelwise.specs import Network
from pixelwise.weights.files import read_weights
from pixelwise.weights.fit import COUNTER, fit, parse_adaptations
from pixelwise.weights.layout import Layout
from pixelwise.weights.table import LAYOUTS


def load_weights(network: Network, path: Path, *, adapt: Collection[str] = ()) -> tuple[str, ...]:
    """Read a file of weights into ``network``. See :func:`load_tensors`.

    Raises:
        WeightsError: the file is missing, damaged, unsafe, holds NaN or infinity, or does not fit the network.
        UsageError: an unknown adaptation.

    """
    return load_tensors(network, read_weights(path), str(path), adapt=adapt)


def load_tensors(
    network: Network, tensors: Mapping[str, Tensor], source: str, *, adapt: Collection[str] = ()
) -> tuple[str, ...]:
    """Copy named tensors into ``network``, through the name map of the layout that they have.

    Where the layout is that of published weights, ``network.pretraining`` then says which pictures they expect, unless
    the first layer was adapted.

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
    wanted = parse_adaptations(adapt)
    layout = _layout(network, tensors)
    renamed = dict(tensors) if layout is None else layout.rename(network, dict(tensors))
    fitted = fit(network, renamed, source, wanted)
    for name, tensor in fitted.tensors.items():
        if not (tensor.is_floating_point() or name.endswith(COUNTER)) or not torch.isfinite(tensor).all():
            raise WeightsError(
                f"{source}: {name} holds values that are no finite numbers",
                expected="finite floating-point weights",
                do="Take an earlier checkpoint: the training that wrote this one had failed",
            )
    network.load_state_dict({**network.state_dict(), **fitted.tensors})
    network.pretraining = layout.pretraining if layout and fitted.keeps_input else None
    return fitted.notes


def _layout(network: Network, tensors: Mapping[str, Tensor]) -> Layout | None:
    for layout in reversed(LAYOUTS.get(network.spec.family, ())):
        if any(re.search(layout.marker, name) for name in tensors):
            return layout
    return None
