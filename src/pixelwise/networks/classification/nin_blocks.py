"""The building block of network in network (Lin, Chen, Yan 2014, arXiv:1312.4400)."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from pixelwise.layers.convolution import ConvNormAct, Normalisation

EPSILON = 1e-3
"""Added to the variance in batch normalisation (szagoruyko/cifar.torch)."""


class MlpConv(nn.Sequential):
    """Section 3.1: a convolution, and 1x1 convolutions that slide a small perceptron over its maps.

    The parts are ``spatial`` and, after the authors' "cascaded cross channel parametric pooling", ``cccp1``, ``cccp2``,
    ...

    Args:
        in_channels: maps of the input.
        widths: maps of the k x k convolution and of the 1x1 convolutions.
        kernel: k, in pixels.
        stride: step of the k x k convolution, in pixels.
        padding: zeros around its input, in pixels.
        normalisation: of every convolution.
        bias: whether convolutions add a bias.
        last_activation: whether a ReLU follows the last of them.

    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int],
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        normalisation: Normalisation = "none",
        bias: bool = True,
        last_activation: bool = True,
    ) -> None:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        for index, width in enumerate(widths):
            is_last = index == len(widths) - 1
            parts[f"cccp{index}" if index else "spatial"] = ConvNormAct(
                in_channels,
                width,
                1 if index else kernel,
                stride=1 if index else stride,
                padding=0 if index else padding,
                bias=bias,
                normalisation=normalisation,
                epsilon=EPSILON,
                activation="relu" if last_activation or not is_last else "none",
            )
            in_channels = width
        super().__init__(parts)
