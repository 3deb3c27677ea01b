"""The recipes of pre-activation and wide residual networks, in the steps and rates that their papers print."""

import pytest

from pixelwise.data.augment import Augment
from pixelwise.training.recipe import Recipe
from pixelwise.training.recipes import make_recipe


def rates_by_epoch(recipe: Recipe) -> dict[int, float]:
    assert recipe.epochs is not None
    places = [round(milestone * recipe.epochs) for milestone in recipe.milestones]
    return dict(zip(places, (recipe.learning_rate * factor for factor in recipe.factors), strict=True))


def test_preactivation_cifar_warms_up_for_400_of_64_000_steps() -> None:
    recipe = make_recipe("preact_resnet_cifar")
    assert recipe.batch_size * recipe.accumulate == 128
    assert recipe.epochs is not None
    assert recipe.epochs * 50_000 / 128 == pytest.approx(64_000, rel=0.003)
    assert [milestone * 64_000 for milestone in recipe.milestones] == pytest.approx([0, 400, 32_000, 48_000])
    assert [recipe.learning_rate * factor for factor in recipe.factors] == pytest.approx([0.01, 0.1, 0.01, 0.001])
    assert (recipe.optimiser, recipe.momentum, recipe.weight_decay) == ("sgd", 0.9, 1e-4)


@pytest.mark.parametrize("name", ["preact_resnet_imagenet", "wide_resnet_imagenet"])
def test_imagenet_takes_90_epochs_of_256(name: str) -> None:
    recipe = make_recipe(name)
    assert recipe.batch_size * recipe.accumulate == 256
    assert (recipe.epochs, recipe.learning_rate, recipe.weight_decay) == (90, 0.1, 1e-4)
    assert rates_by_epoch(recipe) == pytest.approx({30: 0.01, 60: 0.001})
    assert (recipe.size, recipe.augment) == ((224, 224), "imagenet")


def test_wide_cifar_takes_a_fifth_thrice() -> None:
    recipe = make_recipe("wide_resnet_cifar")
    assert rates_by_epoch(recipe) == pytest.approx({60: 0.02, 120: 0.004, 160: 0.0008})
    assert (recipe.optimiser, recipe.momentum, recipe.weight_decay) == ("nesterov", 0.9, 5e-4)
    assert (recipe.epochs, recipe.batch_size) == (200, 128)
    augment = Augment.named(recipe.augment)
    assert (augment.shift_px, augment.flip_horizontal, augment.border) == (4, 0.5, "mirror")


def test_wide_svhn_is_not_augmented() -> None:
    recipe = make_recipe("wide_resnet_svhn")
    assert rates_by_epoch(recipe) == pytest.approx({80: 0.001, 120: 0.0001})
    assert (recipe.epochs, recipe.learning_rate, recipe.augment) == (160, 0.01, "none")
