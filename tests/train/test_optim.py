"""Optimisers, their state on file, and the moving average."""

import pytest
import torch
from torch import nn

from pixelwise.training.ema import MovingAverage
from pixelwise.training.optim import load_optimiser_tensors, make_optimiser, optimiser_tensors, set_rate
from pixelwise.training.recipe import Recipe


def _network(*, is_normalised: bool = True) -> nn.Module:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3) if is_normalised else nn.Tanh()  # before it a bias has a gradient of nothing but noise
    network = nn.Sequential(nn.Conv2d(2, 3, 3), norm, nn.Flatten(), nn.Linear(3 * 16, 4))
    return network.to(memory_format=torch.channels_last)


def _steps(network: nn.Module, optimiser: torch.optim.Optimizer, number: int, seed: int = 1) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(number):
        loss = network(torch.randn(5, 2, 6, 6, generator=generator)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adamw"])
def test_the_fused_step_is_the_plain_one(name):
    recipe = Recipe(optimiser=name, learning_rate=0.05, momentum=0.8, weight_decay=0.01)
    ours, theirs = _network(is_normalised=False), _network(is_normalised=False)
    fused = make_optimiser(recipe, ours)
    if name == "adamw":
        decayed = [p for p in theirs.parameters() if p.ndim > 1]
        spared = [p for p in theirs.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 0.01}, {"params": spared, "weight_decay": 0.0}]
        plain = torch.optim.AdamW(groups, lr=0.05, betas=(0.8, 0.999), foreach=False, fused=False)
    else:
        plain = torch.optim.SGD(
            theirs.parameters(), lr=0.05, momentum=0.8, nesterov=name == "nesterov", weight_decay=0.01, foreach=False
        )
    assert all(group["fused"] for group in fused.param_groups)
    _steps(ours, fused, 4)
    _steps(theirs, plain, 4)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_state_goes_through_a_contiguous_file_to_the_same_bits(name):
    recipe = Recipe(optimiser=name, learning_rate=0.05)
    network = _network()
    optimiser = make_optimiser(recipe, network)
    _steps(network, optimiser, 3)
    on_file = {key: value.detach().clone().contiguous() for key, value in optimiser_tensors(optimiser, network).items()}
    weights = {key: value.clone() for key, value in network.state_dict().items()}
    _steps(network, optimiser, 3, seed=2)

    again = _network()
    again.load_state_dict(weights)
    other = make_optimiser(recipe, again)
    load_optimiser_tensors(other, again, on_file.items())
    _steps(again, other, 3, seed=2)
    for mine, theirs in zip(again.parameters(), network.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    kernel = again[0].weight
    moment = next(value for key, value in other.state[kernel].items() if value.shape == kernel.shape)
    assert moment.stride() == kernel.stride()  # the fused kernels walk both by address


def test_a_rate_is_set_in_every_group():
    optimiser = make_optimiser(Recipe(), _network())
    assert len(optimiser.param_groups) == 2
    set_rate(optimiser, 0.125)
    assert [group["lr"] for group in optimiser.param_groups] == [0.125, 0.125]


def test_the_moving_average_follows_its_formula():
    network = _network().train()
    average = MovingAverage(network, 0.9)
    expected = {key: value.clone().double() for key, value in network.state_dict().items()}
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    for step in range(1, 30):
        _steps(network, optimiser, 1, seed=step)
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        for key, value in network.state_dict().items():
            if value.is_floating_point():
                expected[key] = decay * expected[key] + (1 - decay) * value.double()
            else:
                expected[key] = value.clone().double()
    for key, value in average.network.state_dict().items():
        torch.testing.assert_close(value.double(), expected[key], rtol=1e-4, atol=1e-6)
    assert not any(parameter.requires_grad for parameter in average.network.parameters())
    assert not average.network.training
