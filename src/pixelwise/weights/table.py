"""The layouts that each family can read besides its own."""

from typing import Final

from pixelwise.weights.layout import Layout
from pixelwise.weights.maps import nin, resnet

LAYOUTS: Final[dict[str, tuple[Layout, ...]]] = {
    "nin": nin.LAYOUTS,
    "resnet": resnet.LAYOUTS,
}
"""By family; the most special layout last."""
