"""VGG: torchvision's names, and timm's, whose full connections are convolutions."""

from dataclasses import replace
from typing import Final

from torch import Tensor

from pixelwise.specs import Network, Pretraining
from pixelwise.weights.layout import IMAGENET_MEAN, IMAGENET_STD, Layout, Rule
from pixelwise.weights.maps.numbered import TORCHVISION_LAYOUT, torchvision_rules

_NEEDS: Final = {"local_response": "none"}


def timm_rules(network: Network) -> tuple[Rule, ...]:
    """Return torchvision's rules, and those for timm's last layers."""
    return (
        *torchvision_rules(network),
        (r"^pre_logits\.fc1\.", "fc6.linear."),
        (r"^pre_logits\.fc2\.", "fc7.linear."),
        (r"^head\.fc\.", "fc8."),
    )


def flatten_filters(name: str, tensor: Tensor) -> Tensor:
    """Turn the filters (units, C, h, w) of a full connection into its matrix (units, C * h * w)."""
    return tensor.flatten(1) if name in ("fc6.linear.weight", "fc7.linear.weight") else tensor


LAYOUTS: Final = (
    replace(TORCHVISION_LAYOUT, needs=_NEEDS),
    Layout(
        pretraining=Pretraining(source="timm", mean=IMAGENET_MEAN, std=IMAGENET_STD),
        marker=r"^(module\.)?pre_logits\.fc1\.weight$",
        rules=timm_rules,
        reshape=flatten_filters,
        needs=_NEEDS,
    ),
)
