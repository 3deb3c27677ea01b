"""RMSProp as TensorFlow 1 computes it, with which the Inception networks were trained."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class RMSProp(Optimizer):
    r"""Gradient descent with every weight's step divided by the root of its gradients' running mean square.

    For the gradient g (with :math:`\lambda w` added for a decay :math:`\lambda`), the rate :math:`\eta`, the momentum
    :math:`\mu` and :math:`s = 1, m = 0` at the start (Tieleman and Hinton, "Lecture 6.5: RMSProp", 2012, in the form of
    ``tf.train.RMSPropOptimizer``):

    .. math::
        s \leftarrow \rho s + (1 - \rho) g^2, \quad
        m \leftarrow \mu m + \eta g / \sqrt{s + \epsilon}, \quad
        w \leftarrow w - m

    PyTorch's own differs three times: its s starts at 0, its :math:`\epsilon` stands outside the root, and its rate
    multiplies m as a whole. With :math:`\epsilon = 1`, as in Szegedy et al., arXiv 1512.00567, section 8, each matters.

    Args:
        parameters: parameters, or groups of them with ``lr`` or ``weight_decay`` of their own.
        lr: the rate.
        momentum: 0 keeps no m.
        squared_decay: of the running mean.
        epsilon: added to it.
        weight_decay: of the L2 penalty.

    """

    def __init__(
        self,
        parameters: Iterable[Tensor] | Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float,
        squared_decay: float,
        epsilon: float,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "squared_decay": squared_decay,
            "epsilon": epsilon,
            "weight_decay": weight_decay,
        }
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override] # nothing here evaluates a loss again
        """Take one step for every parameter that has a gradient."""
        del closure
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._step(weights, group)

    def _step(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        if group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, weights, alpha=group["weight_decay"]))
        squares = [self._kept(weight, "mean_square", 1.0) for weight in weights]
        torch._foreach_mul_(squares, group["squared_decay"])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - group["squared_decay"])
        roots = torch._foreach_add(squares, group["epsilon"])
        torch._foreach_sqrt_(roots)
        if not group["momentum"]:
            torch._foreach_addcdiv_(weights, gradients, roots, -group["lr"])
            return
        moments = [self._kept(weight, "momentum", 0.0) for weight in weights]
        torch._foreach_mul_(moments, group["momentum"])
        torch._foreach_addcdiv_(moments, gradients, roots, group["lr"])
        torch._foreach_sub_(weights, moments)

    def _kept(self, weight: Tensor, name: str, start: float) -> Tensor:
        """Return a running value of the weight, float32 in its memory layout."""
        state = self.state[weight]
        if name not in state:
            state[name] = torch.full_like(weight, start, dtype=torch.float32)
        return state[name]
