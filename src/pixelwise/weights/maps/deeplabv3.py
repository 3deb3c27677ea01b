"""DeepLab-v3: torchvision's names."""

from typing import Final

from pixelwise.weights.layout import PARALLEL_PREFIX, TORCHVISION, Layout
from pixelwise.weights.maps.fcn_resnet import BACKBONE
from pixelwise.weights.maps.resnet import TORCHVISION_RULES

LAYOUTS: Final = (
    Layout(
        pretraining=TORCHVISION,
        marker=r"^(module\.)?backbone\.layer1\.0\.conv1\.weight$",
        rules=(
            PARALLEL_PREFIX,
            BACKBONE,
            (r"^aux_classifier\.0\.", "aux.hidden.conv."),
            (r"^aux_classifier\.1\.", "aux.hidden.norm."),
            (r"^aux_classifier\.4\.", "aux.score."),
            (r"^classifier\.0\.convs\.4\.1\.", "aspp.branches.4.unit.conv."),
            (r"^classifier\.0\.convs\.4\.2\.", "aspp.branches.4.unit.norm."),
            (r"^classifier\.0\.convs\.(\d)\.0\.", r"aspp.branches.\1.conv."),
            (r"^classifier\.0\.convs\.(\d)\.1\.", r"aspp.branches.\1.norm."),
            (r"^classifier\.0\.project\.0\.", "aspp.project.conv."),
            (r"^classifier\.0\.project\.1\.", "aspp.project.norm."),
            (r"^classifier\.1\.", "head.conv."),
            (r"^classifier\.2\.", "head.norm."),
            (r"^classifier\.4\.", "cls."),
            *TORCHVISION_RULES,
        ),
        needs={"output_stride": 8, "multi_grid": (), "rates": (6, 12, 18)},
    ),
)
