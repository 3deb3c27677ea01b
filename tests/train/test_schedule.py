"""Schedules against closed forms written out here, and against PyTorch's own schedulers."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.training.schedule import rate_factor


def test_constant_is_one_everywhere():
    assert [rate_factor("constant", step, 10) for step in range(10)] == [1.0] * 10


def test_cosine_is_half_of_one_plus_cosine():
    for step in range(40):
        assert rate_factor("cosine", step, 40) == pytest.approx(0.5 * (1 + math.cos(math.pi * step / 40)))
    assert rate_factor("cosine", 20, 40) == pytest.approx(0.5)


def test_polynomial_is_what_remains_to_the_power_of_point_nine():
    for step in (0, 7, 29):
        assert rate_factor("polynomial", step, 30) == pytest.approx((1 - step / 30) ** 0.9)


def test_steps_change_exactly_at_their_milestones():
    factors = [rate_factor("step", step, 64_000, milestones=(0.5, 0.75), factors=(0.1, 0.01)) for step in
               (0, 31_999, 32_000, 47_999, 48_000, 63_999)]  # fmt: skip
    assert factors == [1.0, 1.0, 0.1, 0.1, 0.01, 0.01]


@pytest.mark.parametrize("total", [10, 30, 90, 600])
def test_a_third_falls_on_its_step_in_spite_of_rounding(total):
    at = [rate_factor("step", step, total, milestones=(1 / 3, 2 / 3), factors=(0.1, 0.01)) for step in range(total)]
    first, second = math.ceil(total / 3), math.ceil(2 * total / 3)
    assert at == [1.0] * first + [0.1] * (second - first) + [0.01] * (total - second)


@pytest.mark.parametrize(("epoch_steps", "decay_epochs"), [(10, 2), (7, 1.5), (30, 0.1), (49, 1 / 3)])
def test_exponential_falls_in_stairs_whatever_the_length_of_the_run(epoch_steps, decay_epochs):
    stairs = 1.0
    for step in range(6 * epoch_steps):
        # The change is due when the epochs so far reach another multiple of decay_epochs.
        while (round(math.log(stairs, 0.94)) + 1) * decay_epochs * epoch_steps <= step + 1e-9:
            stairs *= 0.94
        for total in (6 * epoch_steps, 1000 * epoch_steps):
            factor = rate_factor("exponential", step, total, decay_steps=decay_epochs * epoch_steps, decay_factor=0.94)
            assert factor == pytest.approx(stairs), step


def test_exponential_counts_from_the_end_of_the_warm_up():
    factors = [
        rate_factor("exponential", step, 40, warmup_steps=4, decay_steps=5, decay_factor=0.5) for step in range(16)
    ]
    assert factors == pytest.approx([0.2, 0.4, 0.6, 0.8] + [1] * 5 + [0.5] * 5 + [0.25] * 2)


@pytest.mark.parametrize("total", [2, 7, 50, 1000])
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_one_cycle_is_pytorchs(total):
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=1.0, total_steps=total, cycle_momentum=False)
    for step in range(total):
        assert rate_factor("one_cycle", step, total) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9)
        if step < total - 1:
            theirs.step()


def test_warm_up_rises_linearly_and_the_schedule_follows_on_what_remains():
    factors = [rate_factor("cosine", step, 110, warmup_steps=10) for step in range(110)]
    assert factors[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert factors[10:] == pytest.approx([rate_factor("cosine", step, 100) for step in range(100)])


@given(
    schedule=st.sampled_from(["constant", "exponential", "cosine", "polynomial", "one_cycle"]),
    total=st.integers(1, 500),
    warmup=st.integers(0, 600),
)
def test_factors_stay_between_zero_and_one(schedule, total, warmup):
    for step in range(0, total + 2, max(1, total // 17)):
        assert 0 <= rate_factor(schedule, step, total, warmup_steps=warmup, decay_steps=7.5, decay_factor=0.9) <= 1
