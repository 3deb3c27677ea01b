"""Pre-activation ResNet: timm's names, which only its own form of the networks can have."""

from typing import Final

from torch import Tensor

from pixelwise.specs import Network, Pretraining
from pixelwise.weights.layout import HALF, PARALLEL_PREFIX, Layout, Rule

_RULES: Final = (
    PARALLEL_PREFIX,
    (r"^stem\.conv\.", "conv1.conv."),
    (r"\.conv(\d)\.", r".residual.conv\1."),
    (r"\.norm1\.", ".preactivation.norm."),
    (r"\.norm2\.", ".residual.norm1."),
    (r"\.norm3\.", ".residual.norm2."),
    (r"\.downsample\.conv\.", ".shortcut.carrier.conv."),
    (r"^norm\.", "bnrelu.norm."),
    (r"^head\.fc\.", "fc."),
)


def timm_rules(network: Network) -> tuple[Rule, ...]:
    """Return the rules for as many stages as the network has."""
    stages = ((rf"^stages\.{index}\.blocks\.", f"stage{index + 1}.") for index in range(len(network.stages)))
    return (*_RULES, *stages)


def flatten_filters(name: str, tensor: Tensor) -> Tensor:
    """Turn the filters (classes, C, 1, 1) of the last layer into its matrix (classes, C)."""
    return tensor.flatten(1) if name == "fc.weight" else tensor


LAYOUTS: Final = (
    Layout(
        pretraining=Pretraining(source="timm", mean=HALF, std=HALF),
        marker=r"^(module\.)?stages\.0\.blocks\.0\.norm1\.weight$",
        rules=timm_rules,
        reshape=flatten_filters,
        # timm's pool right after the first convolution; those of the paper's authors normalise first.
        needs={"first": "shared", "shortcut": "identity", "stride_in": "3x3"},
    ),
)
