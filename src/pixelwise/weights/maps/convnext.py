"""ConvNeXt: the authors' names, those of timm and those of torchvision."""

import re
from typing import Final

from torch import Tensor

from pixelwise.specs import Network, Pretraining
from pixelwise.weights.layout import IMAGENET_MEAN, IMAGENET_STD, PARALLEL_PREFIX, TORCHVISION, Layout, Rule


def _places(network: Network) -> range:
    return range(len(network.stages))


def _authors(network: Network) -> tuple[Rule, ...]:
    """``downsample_layers.0`` is the stem; ``stages.0`` the first stage; ``norm`` and ``head`` end the network."""
    return (
        PARALLEL_PREFIX,
        (r"^downsample_layers\.0\.", "stem."),
        *((rf"^downsample_layers\.{place}\.", f"down{place}.") for place in _places(network)[1:]),
        *((rf"^stages\.{place}\.", f"stage{place + 1}.") for place in _places(network)),
        (r"\.dwconv\.", ".depthwise."),
        (r"\.pwconv1\.", ".expand."),
        (r"\.pwconv2\.", ".project."),
        (r"\.gamma$", ".gain"),
        (r"^head\.", "fc."),
    )


def _timm(network: Network) -> tuple[Rule, ...]:
    """``stages.1.downsample`` comes before ``stages.1.blocks``."""
    return (
        PARALLEL_PREFIX,
        *((rf"^stages\.{place}\.downsample\.", f"down{place}.") for place in _places(network)[1:]),
        *((rf"^stages\.{place}\.blocks\.", f"stage{place + 1}.") for place in _places(network)),
        (r"\.conv_dw\.", ".depthwise."),
        (r"\.mlp\.fc1\.", ".expand."),
        (r"\.mlp\.fc2\.", ".project."),
        (r"\.gamma$", ".gain"),
        (r"^head\.norm\.", "norm."),
        (r"^head\.fc\.", "fc."),
    )


def _torchvision(network: Network) -> tuple[Rule, ...]:
    """``features`` holds the stem, the first stage, the next down-sampling, and so on."""
    return (
        PARALLEL_PREFIX,
        (r"^features\.0\.", "stem."),
        *((rf"^features\.{2 * place}\.", f"down{place}.") for place in _places(network)[1:]),
        *((rf"^features\.{2 * place + 1}\.", f"stage{place + 1}.") for place in _places(network)),
        (r"\.block\.0\.", ".depthwise."),
        (r"\.block\.2\.", ".norm."),
        (r"\.block\.3\.", ".expand."),
        (r"\.block\.5\.", ".project."),
        (r"\.layer_scale$", ".gain"),
        (r"^classifier\.0\.", "norm."),
        (r"^classifier\.2\.", "fc."),
    )


def _as_vectors_and_matrices(name: str, tensor: Tensor) -> Tensor:
    """Undo (C, 1, 1) gains, and full connections that are kept as 1x1 convolutions, as in timm's smallest sizes."""
    if name.endswith(".gain"):
        return tensor.flatten()
    return tensor.flatten(1) if re.search(r"\.(expand|project)\.weight$", name) else tensor


def _imagenet(source: str) -> Pretraining:
    return Pretraining(source=source, mean=IMAGENET_MEAN, std=IMAGENET_STD)


LAYOUTS: Final = (
    Layout(
        pretraining=_imagenet("facebookresearch/ConvNeXt"),
        marker=r"^(module\.)?downsample_layers\.0\.0\.weight$",
        rules=_authors,
        reshape=_as_vectors_and_matrices,
    ),
    Layout(
        pretraining=_imagenet("timm"),
        marker=r"^(module\.)?stages\.0\.blocks\.0\.conv_dw\.weight$",
        rules=_timm,
        reshape=_as_vectors_and_matrices,
    ),
    Layout(
        pretraining=TORCHVISION,
        marker=r"^(module\.)?features\.1\.0\.block\.0\.weight$",
        rules=_torchvision,
        reshape=_as_vectors_and_matrices,
    ),
)
