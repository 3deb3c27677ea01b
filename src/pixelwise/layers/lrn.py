"""Local response normalisation, in the three forms that go by the same numbers.

Krizhevsky, Sutskever and Hinton 2012, section 3.3: ``b = a / (k + alpha * sum of a^2 over n near maps) ** beta``, where
k = 2, n = 5, alpha = 1e-4, beta = 0.75. Sources disagree on what alpha and k are:

=========== ================ === ==============================================================
convention  factor on the    k   where it stands
            sum of squares
=========== ================ === ==============================================================
author      alpha / n        2   cuda-convnet2, the first author's code, which trained the network
paper       alpha            2   the formula as printed
caffe       alpha / n        1   Caffe's default, which its AlexNet and GoogLeNet rely on
=========== ================ === ==============================================================
"""

from typing import Final, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from pixelwise.errors import SpecError

LRNConvention = Literal["author", "paper", "caffe"]
LRN_CONVENTIONS: Final[tuple[LRNConvention, ...]] = get_args(LRNConvention)


class Constants(NamedTuple):
    """The numbers of the formula: x / (k + factor * sum of x^2 over ``size`` maps) ** beta."""

    size: int
    factor: float
    beta: float
    k: float


class LocalResponseNorm(nn.Module):
    """Divide every value by a power of the energy of its neighbours in the maps before and behind. No weights.

    Args:
        size: n, how many neighbouring maps count, the map itself in their middle; beyond the first and last map are
            zeros.
        alpha: weight of the squares, in the sense of ``convention``.
        beta: the power.
        convention: what alpha and k mean, see the table of this module.

    Raises:
        SpecError: a size that has no middle, or an unknown convention.

    """

    def __init__(
        self, size: int = 5, *, alpha: float = 1e-4, beta: float = 0.75, convention: LRNConvention = "author"
    ) -> None:
        super().__init__()
        if size < 1 or size % 2 == 0:
            raise SpecError(f"local response normalisation over {size} maps", expected="an odd number", do="Correct it")
        if convention not in LRN_CONVENTIONS:
            raise SpecError(
                f"local response normalisation by the convention {convention!r}",
                expected=f"one of {', '.join(LRN_CONVENTIONS)}",
                do="Correct the name",
            )
        self.convention = convention
        self.constants = Constants(
            size=size,
            factor=alpha if convention == "paper" else alpha / size,
            beta=beta,
            k=1.0 if convention == "caffe" else 2.0,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (N, C, H, W) over its channels; the shape stays."""
        normalised: Tensor = _Normalise.apply(x, self.constants)  # type: ignore[no-untyped-call] # PyTorch has no types
        return normalised

    def extra_repr(self) -> str:
        """Return what the layer prints of itself."""
        size, factor, beta, k = self.constants
        return f"{size}, factor={factor:g}, beta={beta:g}, k={k:g}"


class _Context(FunctionCtx):
    saved_tensors: tuple[Tensor, Tensor]
    constants: Constants


class _Normalise(torch.autograd.Function):
    """The formula and its derivative: shifted sums instead of a pooling over volumes, and two saved tensors.

    With s = k + factor * W(x^2), W the sum over the window: y = x s^-beta, and
    dL/dx = g s^-beta - 2 factor beta x W(g x s^(-beta-1)). Low precisions are summed in single precision.
    """

    @staticmethod
    def forward(ctx: _Context, x: Tensor, constants: Constants) -> Tensor:
        wide = _widened(x)
        scale = _window_sum(wide.square(), constants.size).mul_(constants.factor).add_(constants.k)
        ctx.save_for_backward(x, scale)
        ctx.constants = constants
        return scale.pow(-constants.beta).mul_(wide).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor, None]:
        (x, scale), (size, factor, beta, _) = ctx.saved_tensors, ctx.constants
        direct = scale.pow(-beta).mul_(_widened(gradient))
        wide = _widened(x)
        across = _window_sum((direct * wide).div_(scale), size).mul_(wide)
        return direct.sub_(across, alpha=2 * factor * beta).to(x.dtype), None


def _widened(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _window_sum(x: Tensor, size: int) -> Tensor:
    """Sum (N, C, H, W) over ``size`` neighbouring channels around each."""
    total = x.clone()
    for shift in range(1, size // 2 + 1):
        total[:, shift:] += x[:, :-shift]
        total[:, :-shift] += x[:, shift:]
    return total
