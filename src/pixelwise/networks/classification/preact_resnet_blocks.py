"""Residual units in the orders of figure 4 and with the shortcuts of figure 2 (He et al. 2016, arXiv:1603.05027)."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor, nn

from pixelwise.layers.convolution import ConvNormAct
from pixelwise.layers.shortcuts import ZeroPadShortcut

Order = Literal["original", "bn_after_addition", "relu_before_addition", "relu_only", "full"]


@dataclass(frozen=True, slots=True)
class Activations:
    """What stands where in a unit: B for batch normalisation, R for ReLU."""

    before: str
    """Before the first convolution, on the residual branch."""
    between: str
    """Between two convolutions."""
    last: str
    """After the last convolution, before the addition."""
    after: str
    """After the addition, on both paths."""


ORDERS: Final[dict[Order, Activations]] = {
    "original": Activations("", "BR", "B", "R"),
    "bn_after_addition": Activations("", "BR", "", "BR"),
    "relu_before_addition": Activations("", "BR", "BR", ""),
    "relu_only": Activations("R", "BR", "B", ""),
    "full": Activations("BR", "BR", "", ""),
}
"""Figure 4, a to e."""


def activations(parts: str, channels: int, *, in_place: bool = True) -> nn.Module:
    """Make batch normalisation (B) and ReLU (R), in that order; the identity for neither.

    ``in_place`` is whether a ReLU that stands alone may overwrite its input. Behind the normalisation it always does.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if "B" in parts:
        layers["norm"] = nn.BatchNorm2d(channels)
    if "R" in parts:
        layers["act"] = nn.ReLU(inplace=in_place or "B" in parts)
    return nn.Sequential(layers) if layers else nn.Identity()


def basic_convolutions(in_channels: int, width: int, stride: int) -> list[nn.Conv2d]:
    """Make the convolutions of a basic unit: 3x3 with the stride, 3x3."""
    return [
        nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
    ]


def bottleneck_convolutions(
    in_channels: int, width: int, out_channels: int, stride: int, stride_in: Literal["1x1", "3x3"]
) -> list[nn.Conv2d]:
    """Make the convolutions of a bottleneck: 1x1 to ``width``, 3x3, 1x1 to ``out_channels``."""
    first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
    return [
        nn.Conv2d(in_channels, width, 1, stride=first, bias=False),
        nn.Conv2d(width, width, 3, stride=second, padding=1, bias=False),
        nn.Conv2d(width, out_channels, 1, bias=False),
    ]


def residual_branch(order: Order, convolutions: list[nn.Conv2d], *, dropout: float = 0.0) -> nn.Sequential:
    """Join convolutions by what the order puts between and behind them, with dropout before each but the first."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, convolution in enumerate(convolutions, start=1):
        is_last = number == len(convolutions)
        layers[f"conv{number}"] = convolution
        parts = ORDERS[order].last if is_last else ORDERS[order].between
        for name, layer in activations(parts, convolution.out_channels).named_children():
            layers[f"{name}{number}"] = layer
        if dropout and not is_last:
            layers[f"dropout{number}"] = nn.Dropout(dropout)
    return nn.Sequential(layers)


def make_carrier(
    option: Literal["A", "B", "C"], in_channels: int, out_channels: int, stride: int, *, normalised: bool
) -> nn.Module:
    """Make what brings a unit's input to the shape of its output: where the shapes agree, the identity.

    Args:
        option: A adds maps of zeros; B projects by a 1x1 convolution; C projects where the shapes agree, too.
        in_channels: maps of the input.
        out_channels: maps of the output.
        stride: step, in pixels.
        normalised: whether batch normalisation follows a projection.

    """
    if option != "C" and in_channels == out_channels and stride == 1:
        return nn.Identity()
    if option == "A":
        return ZeroPadShortcut(in_channels, out_channels, stride)
    normalisation: Literal["batch", "none"] = "batch" if normalised else "none"
    return ConvNormAct(in_channels, out_channels, 1, stride=stride, normalisation=normalisation, activation="none")


class Addition(nn.Module):
    """Equation 1: h(x) + F(x), with the carrier as h. Figure 2 a, e and f.

    ``in_place`` is whether F(x) may be overwritten: its last layer must not need it for its gradient.
    """

    def __init__(self, carrier: nn.Module, *, in_place: bool = True) -> None:
        super().__init__()
        self.carrier, self.in_place = carrier, in_place

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """Add x, carried, to the residual (N, C, H, W)."""
        carried = self.carrier(x)
        return residual.add_(carried) if self.in_place else residual + carried


class ScaledAddition(nn.Module):
    """Figure 2 b: constant factors on both paths."""

    def __init__(self, carrier: nn.Module, shortcut_scale: float, residual_scale: float) -> None:
        super().__init__()
        self.carrier, self.shortcut_scale, self.residual_scale = carrier, shortcut_scale, residual_scale

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """Add x, carried, to the residual (N, C, H, W), each times its factor."""
        return self.shortcut_scale * self.carrier(x) + self.residual_scale * residual


class GatedAddition(nn.Module):
    """Figure 2 c and d: the shortcut times 1 - g(x) and, for exclusive gates, the residual times g(x).

    g(x) = sigmoid(W x + b) is a 1x1 convolution with as many maps as the unit puts out (section 3.1).
    """

    def __init__(
        self, carrier: nn.Module, in_channels: int, out_channels: int, stride: int, *, is_exclusive: bool
    ) -> None:
        super().__init__()
        self.gate = nn.Conv2d(in_channels, out_channels, 1, stride=stride)
        self.carrier, self.is_exclusive = carrier, is_exclusive

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """Add x, carried and gated, to the residual (N, C, H, W)."""
        gate = torch.sigmoid(self.gate(x))
        if self.is_exclusive:
            residual = gate * residual
        return (1 - gate) * self.carrier(x) + residual


class Unit(nn.Module):
    """A residual unit: activation, residual branch, addition, activation.

    Args:
        preactivation: what comes before the first convolution.
        residual: from the first convolution to the addition.
        shortcut: adds the unit's input to the residual.
        activation: what comes after the addition.
        shares: whether the preactivation is for both paths (section 4.1, on the first unit) and not for the residual
            branch alone.

    """

    def __init__(
        self,
        preactivation: nn.Module,
        residual: nn.Module,
        shortcut: nn.Module,
        activation: nn.Module,
        *,
        shares: bool,
    ) -> None:
        super().__init__()
        self.preactivation, self.residual = preactivation, residual
        self.shortcut, self.activation = shortcut, activation
        self.shares = shares

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H / stride, W / stride); x itself stays as it is."""
        activated = self.preactivation(x)
        return self.activation(self.shortcut(activated if self.shares else x, self.residual(activated)))
