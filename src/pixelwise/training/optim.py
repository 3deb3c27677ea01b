"""Optimisers from a recipe, and their state by parameter names."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from pixelwise.specs import Network
from pixelwise.training.parts import parameters_of_stages
from pixelwise.training.recipe import Recipe
from pixelwise.training.rmsprop import RMSProp
from pixelwise.training.schedule import rate_factor

_ADAM_SECOND_BETA = 0.999
_FUSED_DEVICES = frozenset({"cpu", "cuda", "mps"})


def make_optimiser(recipe: Recipe, network: Network) -> Optimizer:
    """Return the recipe's optimiser over a network that already lies on its device.

    SGD decays every parameter, as the papers do; AdamW and RMSProp spare biases and normalisation (one-dimensional
    parameters). Parameters without a gradient, such as those of frozen stages, are passed over by every optimiser.
    """
    groups = _groups(recipe, network)
    is_fused = all(p.device.type in _FUSED_DEVICES for group in groups for p in group["params"])
    rate, momentum = recipe.learning_rate, recipe.momentum
    if recipe.optimiser == "rmsprop":
        return RMSProp(groups, lr=rate, momentum=momentum, squared_decay=recipe.squared_decay, epsilon=recipe.epsilon)
    if recipe.optimiser == "adamw":
        return AdamW(groups, lr=rate, betas=(momentum, _ADAM_SECOND_BETA), fused=is_fused)
    return SGD(groups, lr=rate, momentum=momentum, nesterov=recipe.optimiser == "nesterov", fused=is_fused)


def _groups(recipe: Recipe, network: Network) -> list[dict[str, Any]]:
    """Return groups of parameters with one ``weight_decay`` and one ``rate_factor`` each.

    Parameters that begin to learn at different times are in different groups: PyTorch's fused SGD takes none in which
    only some have a momentum.
    """
    is_one = recipe.rate_decay == 1 and recipe.unfreeze_epochs is None
    parts = [list(network.parameters())] if is_one else parameters_of_stages(network)
    groups = []
    for stages_below_head, part in enumerate(reversed(parts)):
        factor, decay = recipe.rate_decay**stages_below_head, recipe.weight_decay
        if recipe.optimiser in ("sgd", "nesterov"):
            groups.append({"params": part, "weight_decay": decay, "rate_factor": factor})
            continue
        wide, flat = [p for p in part if p.ndim > 1], [p for p in part if p.ndim <= 1]
        groups.append({"params": wide, "weight_decay": decay, "rate_factor": factor})
        groups.append({"params": flat, "weight_decay": 0.0, "rate_factor": factor})
    return [group for group in groups if group["params"]]


def rate_at(recipe: Recipe, step: int, *, steps: int, epoch_steps: int) -> float:
    """Return the learning rate of the head after ``step`` of ``steps`` optimiser steps, ``epoch_steps`` an epoch."""
    return recipe.learning_rate * rate_factor(
        recipe.schedule,
        step,
        steps,
        warmup_steps=recipe.warmup_steps,
        milestones=recipe.milestones,
        factors=recipe.factors,
        decay_steps=(recipe.decay_epochs or math.inf) * epoch_steps,
        decay_factor=recipe.decay_factor or 1.0,
    )


def set_rate(optimiser: Optimizer, rate: float) -> None:
    """Set the learning rate of every group: ``rate`` for the head, less for the stages where the recipe says so."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["rate_factor"]


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
