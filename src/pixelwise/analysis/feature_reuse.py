"""Which earlier layers each layer of a densely connected network reads: mean absolute weights, layer by layer.

Source: Huang, Liu, van der Maaten, Weinberger, "Densely connected convolutional networks", CVPR 2017, arXiv:1608.06993,
section 5 ("Feature reuse") and figure 5: the colour of pixel (s, l) is the average L1 norm of the weights from layer s
to layer l of a trained network, normalised by the number of maps that go in. Columns are layers that read, rows what
they read; the first row is the block's input, the last column the transition behind the block, or the classifier.

Here a cell is the mean of |w| over all weights between the two, so that readers with more maps or smaller kernels
stand on the same scale. In networks with bottlenecks it is the 1x1 convolution that reads. A weight does not say how
large the maps are that it multiplies: the normalisation before each convolution evens that out up to its gains.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.networks.classification.densenet import DenseNetSpec
from pixelwise.networks.classification.densenet_blocks import DenseBlock, Transition
from pixelwise.specs import Network


@dataclass(frozen=True, slots=True)
class BlockReuse:
    """One block's part of figure 5."""

    name: str
    """Of the block: ``block1``, ..."""
    weights: NDArray[np.float64]
    """(sources, readers): the mean absolute weight; nan where a source comes after the reader."""
    readers: tuple[str, ...]
    """``layer1``, ..., and what follows the block: ``trans1``, ..., or ``fc``."""
    sources: tuple[str, ...]
    """``input``, ``layer1``, ...: what the block got, and what each layer added."""


def feature_reuse(network: Network) -> tuple[BlockReuse, ...]:
    """Return the mean absolute weight between every two layers of each block of a DenseNet.

    Args:
        network: a network of family densenet, trained: the weights of a fresh one are all alike.

    Raises:
        SpecError: a network of another family.

    """
    spec = network.spec
    if not isinstance(spec, DenseNetSpec):
        raise SpecError(
            f"feature_reuse: {spec.name}, a network of family {spec.family}",
            expected="a network of family densenet, whose layers read all layers before them",
            do="Choose one, such as densenet_bc100_k12_cifar",
        )
    blocks = []
    for number, (width, depth) in enumerate(zip(spec.kept_widths, spec.depths, strict=True), 1):
        block = network.get_submodule(f"block{number}")
        assert isinstance(block, DenseBlock)
        readers: dict[str, nn.Module] = {
            f"layer{at}": (layer.bottleneck or layer.composite).conv for at, layer in enumerate(block.layers(), 1)
        }
        follower = f"trans{number}" if number < len(spec.depths) else "fc"
        behind = network.get_submodule(follower)
        readers[follower] = behind.composite.conv if isinstance(behind, Transition) else behind
        ends = width + spec.growth_rate * np.arange(depth + 1)  # of the input's maps, and of each layer's
        columns = [_read(reader, ends) for reader in readers.values()]
        sources = ("input", *(f"layer{at}" for at in range(1, depth + 1)))
        blocks.append(BlockReuse(f"block{number}", np.stack(columns, axis=1), tuple(readers), sources))
    return tuple(blocks)


def _read(reader: nn.Module, ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean absolute weight of each source, whose maps end before ``ends``; nan where there are none yet."""
    weight = reader.weight
    assert isinstance(weight, Tensor)
    each = weight.detach().double().abs().transpose(0, 1).flatten(1).mean(1).cpu().numpy()  # for each map that goes in
    pairs = zip([0, *ends[:-1]], ends, strict=True)
    return np.array([each[start:end].mean() if end <= len(each) else np.nan for start, end in pairs])
