"""AlexNet: torchvision's names."""

from dataclasses import replace
from typing import Final

from pixelwise.weights.maps.numbered import TORCHVISION_LAYOUT

LAYOUTS: Final = (
    replace(
        TORCHVISION_LAYOUT,
        needs={"padding": 2, "pooling": "overlapping", "activation": "relu", "local_response": "none"},
    ),
)
