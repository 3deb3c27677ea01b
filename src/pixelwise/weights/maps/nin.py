"""Network in network: the names of Jasonlee1995/NIN, whose weights for CIFAR-10 were trained on 35 x 35 pixels.

A picture is padded by 4 zeros on each side, resized to 45 x 45 and cropped to the middle 35 x 35. At that size pooling
windows fit exactly, so it makes no difference that their network rounds down and this one up.
"""

from typing import Final

from pixelwise.specs import Pretraining
from pixelwise.weights.layout import PARALLEL_PREFIX, Layout

LAYOUTS: Final = (
    Layout(
        pretraining=Pretraining(source="Jasonlee1995/NIN", mean=(0.4921, 0.4828, 0.4474), std=(0.1950, 0.1922, 0.1940)),
        marker=r"^(module\.)?conv1\.0\.weight$",
        rules=(
            PARALLEL_PREFIX,
            (r"^conv(\d+)\.0\.", r"mlpconv\1.spatial.conv."),
            (r"^conv(\d+)\.2\.", r"mlpconv\1.cccp1.conv."),
            (r"^conv(\d+)\.4\.", r"mlpconv\1.cccp2.conv."),
        ),
        needs={"strides": (1, 1, 1), "paddings": (2, 2, 1), "pools": ("max", "max"), "last_activation": True},
    ),
)
