"""AlexNet: torchvision's names."""

from typing import Final

from pixelwise.weights.maps.numbered import TORCHVISION_LAYOUT

LAYOUTS: Final = (TORCHVISION_LAYOUT,)
