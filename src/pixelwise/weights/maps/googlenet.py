"""GoogLeNet: torchvision's names.

Its weights were ported from TensorFlow, where they were trained on values from -1 to 1. torchvision normalises pictures
as for its other networks and undoes that inside the network (``transform_input``). Here the network gets what the
weights expect: mean and standard deviation are one half.

The published file has weights of auxiliary classifiers, but these were never trained.
"""

from typing import Final

from pixelwise.specs import Pretraining
from pixelwise.weights.layout import HALF, PARALLEL_PREFIX, Layout

LAYOUTS: Final = (
    Layout(
        pretraining=Pretraining(source="torchvision", mean=HALF, std=HALF),
        marker=r"^(module\.)?inception3a\.branch1\.conv\.weight$",
        rules=(
            PARALLEL_PREFIX,
            (r"\.bn\.", ".norm."),
            (r"^conv2\.", "conv2_reduce."),
            (r"^conv3\.", "conv2."),
            (r"^inception", "inception_"),
            (r"\.branch1\.", ".1x1.0."),
            (r"\.branch2\.", ".3x3."),
            (r"\.branch3\.", ".5x5."),
            (r"\.branch4\.", ".pool."),
        ),
        needs={"response_norm": False, "last_pool": 2},
    ),
)
