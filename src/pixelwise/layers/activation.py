"""Activations by name, the squashing function of 1998 among them."""

from typing import Literal

import torch
from torch import Tensor, nn

from pixelwise.errors import SpecError

ActivationName = Literal["none", "relu", "tanh", "scaled_tanh"]


class ScaledTanh(nn.Module):
    """f(a) = 1.7159 tanh(2a / 3), so that f(1) = 1 and f(-1) = -1 (LeCun et al. 1998, appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        """Squash ``x`` of any shape into the range -1.7159..1.7159."""
        return 1.7159 * torch.tanh(x * (2.0 / 3.0))


def activation(name: ActivationName) -> nn.Module:
    """Make an activation: ``relu``, ``tanh``, ``scaled_tanh``, or the identity for ``none``.

    Raises:
        SpecError: the name is none of these.

    """
    match name:
        case "relu":
            return nn.ReLU(inplace=True)
        case "tanh":
            return nn.Tanh()
        case "scaled_tanh":
            return ScaledTanh()
        case "none":
            return nn.Identity()
    raise SpecError(f"activation {name!r}", expected="one of none, relu, tanh, scaled_tanh", do="Correct the name")
