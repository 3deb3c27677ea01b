"""The rule for every operation that a network may be made of; what is not here is refused by its name."""

from collections.abc import Callable, Mapping
from typing import Final

from pixelwise.analysis.reach import reductions, shapes, windows
from pixelwise.analysis.reach.call import Call, Outcome

Rule = Callable[[Call], Outcome]

_BY_PLACE: Final = """
abs add addcdiv addcmul bitwise_and bitwise_not bitwise_or ceil celu clamp clamp_max clamp_min cos div elu eq erf exp
exp2 expm1 floor fmod ge gelu gt hardsigmoid hardswish hardtanh isfinite isnan le leaky_relu lerp log log1p log2
log_sigmoid logical_and logical_not logical_or lt masked_fill maximum minimum mish mul ne neg pow prelu _prelu_kernel
reciprocal relu relu6 round rsqrt rsub selu sigmoid sign silu sin softplus softsign sqrt square sub tanh threshold
true_divide where
"""
_SAME: Final = """
alias alpha_dropout clone contiguous detach dropout feature_dropout lift_fresh_copy positive to _to_copy type_as
"""
_CONSTANT: Final = """
arange empty empty_like eye full full_like linspace new_empty new_full new_ones new_zeros ones ones_like rand rand_like
randn scalar_tensor zeros zeros_like _assert_tensor_metadata
"""
_VIEWS: Final = ("view", "reshape", "flatten", "unflatten", "squeeze", "_unsafe_view")
_REDUCTIONS: Final = """
all amax amin any logsumexp max mean min linalg_vector_norm prod std sum var var_mean
"""

RULES: Final[Mapping[str, Rule]] = {
    **dict.fromkeys(_BY_PLACE.split(), shapes.place_by_place),
    **dict.fromkeys(_SAME.split(), shapes.same),
    **dict.fromkeys(_CONSTANT.split(), shapes.constant),
    **dict.fromkeys(_VIEWS, shapes.viewed),
    **dict.fromkeys(_REDUCTIONS.split(), reductions.reduction),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), windows.convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), windows.transposed_convolution),
    **dict.fromkeys(
        (
            *(f"max_pool{count}d" for count in (1, 2, 3)),
            *(f"max_pool{count}d_with_indices" for count in (1, 2, 3)),
            *(f"avg_pool{count}d" for count in (1, 2, 3)),
        ),
        windows.pooling,
    ),
    **dict.fromkeys(("max_unpool2d", "max_unpool3d"), windows.unpooling),
    **dict.fromkeys(
        [f"{kind}adaptive_{what}_pool{count}d" for kind in ("", "_") for what in ("avg", "max") for count in (1, 2, 3)],
        windows.adaptive_pooling,
    ),
    **dict.fromkeys(
        (
            "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "upsample_linear1d",
            "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d", "upsample_nearest_exact2d",
        ),
        windows.interpolation,
    ),
    **dict.fromkeys(
        (
            "pad", "constant_pad_nd",
            *(f"{how}_pad{count}d" for how in ("reflection", "replication") for count in (1, 2, 3)),
        ),
        windows.padding,
    ),
    **dict.fromkeys(("permute", "transpose", "t", "numpy_T"), shapes.permuted),
    **dict.fromkeys(("split", "split_with_sizes", "chunk", "unbind"), shapes.split),
    **dict.fromkeys(("index", "index_select"), shapes.picked),
    **dict.fromkeys(("softmax", "_softmax", "log_softmax", "_log_softmax"), reductions.softmax),
    **dict.fromkeys(("layer_norm", "native_layer_norm"), reductions.layer_normalisation),
    **dict.fromkeys(("group_norm", "instance_norm", "native_group_norm"), reductions.space_normalisation),
    **dict.fromkeys(
        ("batch_norm", "_native_batch_norm_legit_no_training", "_native_batch_norm_legit", "native_batch_norm"),
        reductions.batch_normalisation,
    ),
    **dict.fromkeys(("matmul", "mm", "bmm", "addmm"), reductions.product),
    "cat": shapes.concatenation,
    "copy": shapes.copied,
    "expand": shapes.broadcast,
    "linear": reductions.full_connection,
    "pixel_shuffle": windows.shuffled,
    "pixel_unshuffle": windows.unshuffled,
    "repeat": shapes.repeated,
    "select": shapes.selected,
    "slice": windows.cut,
    "slice_scatter": windows.pasted,
    "stack": shapes.stacked,
    "unsqueeze": shapes.unsqueezed,
}  # fmt: skip
"""By the operation's name in ATen."""
