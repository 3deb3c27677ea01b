"""FCN on a dilated ResNet: torchvision's names."""

from typing import Final

from pixelwise.weights.layout import PARALLEL_PREFIX, TORCHVISION, Layout, Rule
from pixelwise.weights.maps.resnet import TORCHVISION_RULES

BACKBONE: Final[Rule] = (r"^backbone\.", "")

LAYOUTS: Final = (
    Layout(
        pretraining=TORCHVISION,
        marker=r"^(module\.)?backbone\.layer1\.0\.conv1\.weight$",
        rules=(
            PARALLEL_PREFIX,
            BACKBONE,
            (r"^aux_classifier\.", "aux."),
            (r"^(classifier|aux)\.0\.", r"\1.hidden.conv."),
            (r"^(classifier|aux)\.1\.", r"\1.hidden.norm."),
            (r"^(classifier|aux)\.4\.", r"\1.score."),
            *TORCHVISION_RULES,
        ),
        needs={"output_stride": 8},
    ),
)
