"""Wide ResNet: torchvision's names, which timm keeps."""

from typing import Final

from pixelwise.weights.layout import TORCHVISION, Layout
from pixelwise.weights.maps import resnet

LAYOUTS: Final = (Layout(pretraining=TORCHVISION, marker=r"^(module\.)?layer1\.0\.conv1\.weight$", rules=resnet.RULES),)
