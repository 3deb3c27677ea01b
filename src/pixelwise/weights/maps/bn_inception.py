"""BN-Inception: the names of the weights that were ported from Caffe (pretrained-models.pytorch, ``bninception``).

They expect blue, green, red in values from 0 to 255 less the mean. The first layer's channels are turned round here, so
that pictures come as red, green, blue, from 0 to 1. Vectors may be written as (1, C).
"""

from typing import Final

from torch import Tensor

from pixelwise.specs import Pretraining
from pixelwise.weights.layout import PARALLEL_PREFIX, Layout

COLOURS: Final = 3


def _reshape(name: str, tensor: Tensor) -> Tensor:
    if name == "conv1.conv.weight" and tensor.shape[1] == COLOURS:
        return tensor.flip(1)
    return tensor[0] if tensor.ndim == 2 and name != "fc.weight" else tensor


LAYOUTS: Final = (
    Layout(
        pretraining=Pretraining(
            source="pretrained-models.pytorch",
            mean=(128 / 255, 117 / 255, 104 / 255),
            std=(1 / 255, 1 / 255, 1 / 255),
        ),
        marker=r"^(module\.)?conv1_7x7_s2\.weight$",
        rules=(
            PARALLEL_PREFIX,
            (r"_bn\.", ".norm."),
            (r"^((?:conv|inception)\w+)\.(weight|bias)$", r"\1.conv.\2"),
            (r"^conv1_7x7_s2\.", "conv1."),
            (r"^conv2_3x3_reduce\.", "conv2_reduce."),
            (r"^conv2_3x3\.", "conv2."),
            (r"^(inception_\d[a-e])_", r"\1."),
            (r"\.1x1\.", ".1x1.0."),
            (r"\.double_3x3_reduce\.", ".double_3x3.0."),
            (r"\.double_3x3_([12])\.", r".double_3x3.\1."),
            (r"\.3x3\.", ".3x3.1."),
            (r"\.3x3_reduce\.", ".3x3.0."),
            (r"\.pool_proj\.", ".pool.1."),
            (r"^last_linear\.", "fc."),
        ),
        reshape=_reshape,
    ),
)
