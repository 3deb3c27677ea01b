"""Optimisers from a recipe, and their state by parameter names."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from pixelwise.training.recipe import Recipe
from pixelwise.training.rmsprop import RMSProp

_ADAM_SECOND_BETA = 0.999
_FUSED_DEVICES = frozenset({"cpu", "cuda", "mps"})


def make_optimiser(recipe: Recipe, network: nn.Module) -> Optimizer:
    """Return the recipe's optimiser over a network that already lies on its device.

    SGD decays every parameter, as the papers do; AdamW and RMSProp spare biases and normalisation (one-dimensional
    parameters).
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    is_fused = all(parameter.device.type in _FUSED_DEVICES for parameter in parameters)
    rate, momentum = recipe.learning_rate, recipe.momentum
    if recipe.optimiser in ("sgd", "nesterov"):
        return SGD(
            parameters,
            lr=rate,
            momentum=momentum,
            nesterov=recipe.optimiser == "nesterov",
            weight_decay=recipe.weight_decay,
            fused=is_fused,
        )
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimiser == "rmsprop":
        return RMSProp(groups, lr=rate, momentum=momentum, squared_decay=recipe.squared_decay, epsilon=recipe.epsilon)
    return AdamW(groups, lr=rate, betas=(momentum, _ADAM_SECOND_BETA), fused=is_fused)


def set_rate(optimiser: Optimizer, rate: float) -> None:
    """Set the learning rate of every group."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def optimiser_tensors(optimiser: Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """Return the optimiser's state by ``PARAMETER/STATE`` (such as ``conv1.weight/momentum_buffer``)."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {
        f"{names[id(parameter)]}/{key}": value
        for parameter, state in optimiser.state.items()
        for key, value in state.items()
        if isinstance(value, Tensor)
    }


def load_optimiser_tensors(optimiser: Optimizer, network: nn.Module, tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Put back what :func:`optimiser_tensors` gave.

    Moments get their parameter's own memory layout: the fused kernels walk both by address, and a file knows no layout.
    """
    parameters = dict(network.named_parameters())
    for path, value in tensors:
        name, _, key = path.rpartition("/")
        parameter = parameters[name]
        optimiser.state[parameter][key] = like_parameter(value, parameter)


@torch.no_grad()
def like_parameter(value: Tensor, parameter: Tensor) -> Tensor:
    """Return ``value`` on the parameter's device and, where the shapes agree, in its memory layout."""
    if value.shape != parameter.shape or value.ndim == 0:
        return value.to(parameter.device)
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
