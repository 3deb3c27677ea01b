"""Initialisations of weights, each with its source; biases start at zero unless the source says otherwise."""

from collections.abc import Callable, Iterator
from math import prod, sqrt
from typing import Literal

from torch import nn

Transposed = nn.ConvTranspose2d | nn.ConvTranspose3d
Weighted = nn.Conv2d | nn.Conv3d | Transposed | nn.Linear


def he_normal_(module: nn.Module, fan: Literal["in", "out"] = "in") -> None:
    """Draw weights from N(0, 2 / fan) and set biases to zero (He et al. 2015, arXiv:1502.01852, equations 10 and 14).

    Args:
        module: whose convolutions and full connections are drawn.
        fan: ``in`` divides by the number of inputs of one output unit: "N denotes the number of incoming nodes of one
            neuron" (Ronneberger et al. 2015, section 3). ``out`` divides by the kernel's pixels x maps out, as the code
            published with the residual and densely connected networks does.

    """
    for layer in _weighted(module):
        nn.init.normal_(layer.weight, std=sqrt(2 / (fan_in(layer) if fan == "in" else fan_out(layer))))
        _zero_bias(layer)


def normal_(module: nn.Module, std: float) -> None:
    """Draw weights from N(0, std^2) and set biases to zero."""
    for layer in _weighted(module):
        nn.init.normal_(layer.weight, std=std)
        _zero_bias(layer)


def glorot_uniform_(module: nn.Module) -> None:
    """Draw weights from +-sqrt(6 / (fan_in + fan_out)) and set biases to zero (Glorot and Bengio 2010, equation 16)."""
    for layer in _weighted(module):
        nn.init.xavier_uniform_(layer.weight)
        _zero_bias(layer)


def lecun_uniform_(module: nn.Module) -> None:
    """Draw weights and biases from +-2.4 / fan_in (LeCun et al. 1998, appendix A)."""
    for layer in _weighted(module):
        bound = 2.4 / fan_in(layer)
        nn.init.uniform_(layer.weight, -bound, bound)
        if layer.bias is not None:
            nn.init.uniform_(layer.bias, -bound, bound)


def caffe_xavier_(module: nn.Module, bias: float = 0.0) -> None:
    """Draw weights from +-sqrt(3 / fan_in), of variance 1 / fan_in, and set biases to ``bias``.

    Caffe calls this "xavier" after Glorot, but leaves out ``fan_out``; its GoogLeNet starts so.
    """
    for layer in _weighted(module):
        bound = sqrt(3 / fan_in(layer))
        nn.init.uniform_(layer.weight, -bound, bound)
        if layer.bias is not None:
            nn.init.constant_(layer.bias, bias)


def truncated_normal_(module: nn.Module, std: float) -> None:
    """Draw weights from N(0, ``std`` ** 2), cut off at two standard deviations, and set biases to zero.

    Such are the initial weights of the inception networks' released code. The cut takes 12 % off the deviation.
    """
    for layer in _weighted(module):
        nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
        _zero_bias(layer)


InitialisationName = Literal["lecun", "he", "glorot"]
INITIALISATIONS: dict[InitialisationName, Callable[[nn.Module], None]] = {
    "lecun": lecun_uniform_,
    "he": he_normal_,
    "glorot": glorot_uniform_,
}


def fan_in(layer: Weighted) -> float:
    """Count the inputs of one output unit; for a strided transposed convolution the mean over the output's phases."""
    if isinstance(layer, Transposed):
        taps = layer.weight[0, 0].numel() / prod(layer.stride)
        return layer.in_channels // layer.groups * taps
    return layer.weight[0].numel()


def fan_out(layer: Weighted) -> float:
    """Count the outputs that one input unit goes into, as if the stride were 1."""
    return layer.weight.numel() / (layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels)


def _weighted(module: nn.Module) -> Iterator[Weighted]:
    for layer in module.modules():
        # On the meta device there is nothing to draw, and PyTorch would load its compiler for the attempt.
        if isinstance(layer, Weighted) and not layer.weight.is_meta:
            yield layer


def _zero_bias(layer: Weighted) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
