"""DenseNet: torchvision's names, which timm uses too, and the older ones in torchvision's published files."""

from typing import Final

from pixelwise.weights.layout import PARALLEL_PREFIX, TORCHVISION, Layout

LAYOUTS: Final = (
    Layout(
        pretraining=TORCHVISION,
        marker=r"^(module\.)?features\.norm0\.weight$",
        rules=(
            PARALLEL_PREFIX,
            # Published before torchvision 0.3, with a dot before the number.
            (r"\.(norm|conv)\.([12])\.", r".\1\2."),
            (r"^features\.(conv|norm)0\.", r"conv0.\1."),
            (r"^features\.norm5\.", "bnrelu.norm."),
            (r"^features\.denseblock(\d+)\.denselayer(\d+)\.(norm|conv)1\.", r"block\1.layer\2.bottleneck.\3."),
            (r"^features\.denseblock(\d+)\.denselayer(\d+)\.(norm|conv)2\.", r"block\1.layer\2.composite.\3."),
            (r"^features\.transition(\d+)\.", r"trans\1.composite."),
            (r"^classifier\.", "fc."),
        ),
    ),
)
