"""ResNet: torchvision's names, which timm keeps for these networks, and those of akamaster/pytorch_resnet_cifar10."""

from typing import Final

from pixelwise.specs import Pretraining
from pixelwise.weights.layout import IMAGENET_MEAN, IMAGENET_STD, PARALLEL_PREFIX, TORCHVISION, Layout

RULES: Final = (
    PARALLEL_PREFIX,
    (r"\.conv1\.", ".residual.0.conv."),
    (r"\.conv2\.", ".residual.1.conv."),
    (r"\.conv3\.", ".residual.2.conv."),
    (r"\.bn1\.", ".residual.0.norm."),
    (r"\.bn2\.", ".residual.1.norm."),
    (r"\.bn3\.", ".residual.2.norm."),
    (r"\.(downsample|shortcut)\.0\.", ".shortcut.conv."),
    (r"\.(downsample|shortcut)\.1\.", ".shortcut.norm."),
    (r"^conv1\.", "conv1.conv."),
    (r"^bn1\.", "conv1.norm."),
)

TORCHVISION_RULES: Final = (
    *RULES,
    (r"^layer1\.", "conv2_x."),
    (r"^layer2\.", "conv3_x."),
    (r"^layer3\.", "conv4_x."),
    (r"^layer4\.", "conv5_x."),
)

LAYOUTS: Final = (
    Layout(
        pretraining=TORCHVISION,
        marker=r"^(module\.)?layer1\.0\.conv1\.weight$",
        rules=TORCHVISION_RULES,
        needs={"stride_in": "3x3", "output_stride": 32},
    ),
    Layout(
        pretraining=Pretraining(source="akamaster/pytorch_resnet_cifar10", mean=IMAGENET_MEAN, std=IMAGENET_STD),
        marker=r"^(module\.)?linear\.weight$",
        rules=(*RULES, (r"^layer([123])\.", r"stage\1."), (r"^linear\.", "fc.")),
        needs={"shortcut": "A", "output_stride": 32},
    ),
)
