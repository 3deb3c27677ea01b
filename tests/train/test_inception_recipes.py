"""The rates of the Inception papers, epoch by epoch."""

import pytest

from pixelwise.training.recipe import Recipe
from pixelwise.training.recipes import make_recipe
from pixelwise.training.schedule import rate_factor

STEPS = 50
"""Of an epoch."""


def rate(recipe: Recipe, epoch: float) -> float:
    assert recipe.epochs is not None
    factor = rate_factor(
        recipe.schedule,
        round(epoch * STEPS),
        recipe.epochs * STEPS,
        milestones=recipe.milestones,
        factors=recipe.factors,
        decay_steps=(recipe.decay_epochs or 1) * STEPS,
        decay_factor=recipe.decay_factor or 1,
    )
    return recipe.learning_rate * factor


@pytest.mark.parametrize("name", ["inception_v3", "inception_v4"])
def test_rate_falls_by_six_per_cent_every_two_epochs(name: str) -> None:
    recipe = make_recipe(name)
    expected = {0: 0.045, 1.98: 0.045, 2: 0.0423, 3.9: 0.0423, 4: 0.039762, 98: 0.045 * 0.94**49}
    assert {epoch: rate(recipe, epoch) for epoch in expected} == pytest.approx(expected)
    assert (recipe.optimiser, recipe.squared_decay, recipe.epsilon, recipe.momentum) == ("rmsprop", 0.9, 1.0, 0)
    assert (recipe.label_smoothing, recipe.ema_decay, recipe.weight_decay) == (0.1, 0.9999, 4e-5)


def test_only_inception_v3_clips_and_trains_an_auxiliary_head() -> None:
    assert (make_recipe("inception_v3").clip_norm, make_recipe("inception_v3").auxiliary_weight) == (2.0, 0.4)
    assert make_recipe("inception_v4").clip_norm is None


def test_two_phases_meet_the_usual_rate_every_ten_epochs() -> None:
    recipe, usual = make_recipe("inception_resnet_two_phase"), make_recipe("inception_v4")
    assert [rate(recipe, epoch) for epoch in (0, 0.5, 0.98)] == pytest.approx([1e-5] * 3)
    assert [rate(recipe, epoch) for epoch in (1, 5, 9.98)] == pytest.approx([0.045] * 3)
    assert [rate(recipe, epoch) for epoch in range(10, 100, 10)] == pytest.approx(
        [rate(usual, epoch) for epoch in range(10, 100, 10)]
    )
