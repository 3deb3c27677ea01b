"""Names of networks whose layers stand in a few long sequences and are called by their place in them."""

from collections.abc import Iterable
from typing import Final

from pixelwise.specs import Network
from pixelwise.weights.layout import PARALLEL_PREFIX, TORCHVISION, Layout, Rule


def numbered(network: Network, sequence: str, children: Iterable[str]) -> tuple[Rule, ...]:
    """Return rules from ``sequence.0``, ``sequence.1``, ... to the layers of these direct children, in their order.

    Layers without weights (activations, poolings, dropout) are counted too, as sequences of modules count them.
    """
    layers = [
        name
        for child in children
        for name, module in network.get_submodule(child).named_modules(prefix=child)
        if not list(module.children())
    ]
    return tuple((rf"^{sequence}\.{number}\.", f"{name}.") for number, name in enumerate(layers))


def torchvision_rules(network: Network) -> tuple[Rule, ...]:
    """Return the rules for torchvision's ``features`` before ``avgpool``, and its ``classifier`` behind it."""
    names = [name for name, _ in network.named_children()]
    at = names.index("avgpool")
    return (
        PARALLEL_PREFIX,
        (r"^features\.module\.", "features."),  # PyTorch's ImageNet example distributes the trunk alone
        *numbered(network, "features", names[:at]),
        *numbered(network, "classifier", names[at + 1 :]),
    )


TORCHVISION_LAYOUT: Final = Layout(
    pretraining=TORCHVISION, marker=r"^(module\.)?features\.(module\.)?0\.weight$", rules=torchvision_rules
)
"""Of torchvision's AlexNet and VGG."""
