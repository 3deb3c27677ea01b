"""RMSProp in TensorFlow's form against its formulas in double precision, and its state through a file."""

import numpy as np
import pytest
import torch
from torch import nn

from pixelwise.training.optim import load_optimiser_tensors, make_optimiser, optimiser_tensors, set_rate
from pixelwise.training.recipe import Recipe
from pixelwise.training.rmsprop import RMSProp


def _by_hand(weights, gradients, *, rates, momentum, squared_decay, epsilon, decay):
    """One element at a time, as tf.train.RMSPropOptimizer documents it."""
    weights, mean_square, moment = weights.astype(np.float64), np.ones(weights.shape), np.zeros(weights.shape)
    for step, rate in enumerate(rates):
        for index in np.ndindex(weights.shape):
            gradient = gradients[step][index] + decay * weights[index]
            mean_square[index] = squared_decay * mean_square[index] + (1 - squared_decay) * gradient**2
            moment[index] = momentum * moment[index] + rate * gradient / np.sqrt(mean_square[index] + epsilon)
            weights[index] -= moment[index]
    return weights


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("epsilon", [1.0, 1e-8])
@pytest.mark.parametrize("decay", [0.0, 0.02])
def test_steps_follow_the_formula(momentum, epsilon, decay):
    rng = np.random.default_rng(0)
    first = {"wide": rng.normal(size=(3, 2, 2, 2)), "flat": rng.normal(size=5)}
    gradients = [{key: rng.normal(size=value.shape) * 3 for key, value in first.items()} for _ in range(6)]
    rates = [0.1, 0.1, 0.05, 0.05, 0.02, 0.02]  # a rate that falls tells where it stands in the momentum
    weights = {key: torch.tensor(value, dtype=torch.float32, requires_grad=True) for key, value in first.items()}
    wide = weights["wide"].data.to(memory_format=torch.channels_last)
    weights["wide"].data = wide
    optimiser = RMSProp(
        [{"params": [weight]} for weight in weights.values()],
        lr=1.0, momentum=momentum, squared_decay=0.8, epsilon=epsilon, weight_decay=decay,
    )  # fmt: skip
    for rate, gradient in zip(rates, gradients, strict=True):
        for key, weight in weights.items():
            weight.grad = torch.tensor(gradient[key], dtype=torch.float32)
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.step()
    for key, weight in weights.items():
        expected = _by_hand(
            first[key], [gradient[key] for gradient in gradients],
            rates=rates, momentum=momentum, squared_decay=0.8, epsilon=epsilon, decay=decay,
        )  # fmt: skip
        np.testing.assert_allclose(weight.detach(), expected, rtol=2e-5, atol=2e-6)
    kept = optimiser.state[weights["wide"]]["mean_square"]
    assert (kept.stride(), kept.dtype) == (weights["wide"].stride(), torch.float32)


def test_pytorchs_own_is_another_optimiser():
    ours, theirs = (torch.ones(3, requires_grad=True) for _ in range(2))
    mine = RMSProp([ours], lr=0.1, momentum=0.9, squared_decay=0.9, epsilon=1.0)
    other = torch.optim.RMSprop([theirs], lr=0.1, alpha=0.9, eps=1.0, momentum=0.9)
    for weight, optimiser in ((ours, mine), (theirs, other)):
        weight.grad = torch.full((3,), 2.0)
        optimiser.step()
    assert float((ours.detach() - 1).mean()) == pytest.approx(-0.1 * 2 / np.sqrt(0.9 + 0.4 + 1), rel=1e-5)
    assert float((theirs.detach() - 1).mean()) == pytest.approx(-0.1 * 2 / (np.sqrt(0.4) + 1), rel=1e-5)


def _network():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(3 * 16, 4))
    return network.to(memory_format=torch.channels_last)


def _steps(network, optimiser, number, seed):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(number):
        loss = network(torch.randn(5, 2, 6, 6, generator=generator)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def test_a_recipe_gives_its_settings_and_spares_biases_the_decay():
    recipe = Recipe(optimiser="rmsprop", momentum=0.8, squared_decay=0.7, epsilon=1.0, weight_decay=4e-5)
    optimiser = make_optimiser(recipe, _network())
    assert isinstance(optimiser, RMSProp)
    assert [group["weight_decay"] for group in optimiser.param_groups] == [4e-5, 0.0]
    for group in optimiser.param_groups:
        assert (group["momentum"], group["squared_decay"], group["epsilon"]) == (0.8, 0.7, 1.0)
    assert all((p.ndim > 1) == bool(group["weight_decay"]) for group in optimiser.param_groups for p in group["params"])
    set_rate(optimiser, 0.25)
    assert [group["lr"] for group in optimiser.param_groups] == [0.25, 0.25]


def test_state_goes_through_a_contiguous_file_to_the_same_bits():
    recipe = Recipe(optimiser="rmsprop", learning_rate=0.05, epsilon=1.0, weight_decay=0.01)
    network = _network()
    optimiser = make_optimiser(recipe, network)
    _steps(network, optimiser, 3, seed=1)
    on_file = {key: value.detach().clone().contiguous() for key, value in optimiser_tensors(optimiser, network).items()}
    assert {key.rpartition("/")[2] for key in on_file} == {"mean_square", "momentum"}
    weights = {key: value.clone() for key, value in network.state_dict().items()}
    _steps(network, optimiser, 3, seed=2)

    again = _network()
    again.load_state_dict(weights)
    other = make_optimiser(recipe, again)
    load_optimiser_tensors(other, again, on_file.items())
    _steps(again, other, 3, seed=2)
    for mine, theirs in zip(again.parameters(), network.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_weights_without_a_gradient_stay():
    still, moved = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    optimiser = RMSProp(
        [{"params": [still]}, {"params": [moved]}], lr=0.1, momentum=0.9, squared_decay=0.9, epsilon=1.0,
        weight_decay=0.5,
    )  # fmt: skip
    moved.grad = torch.ones(2)
    optimiser.step()
    assert torch.equal(still, torch.ones(2))
    assert (moved < 1).all()
    assert len(optimiser.state) == 1
