"""The recipes of the segmentation canon against the papers' printed numbers, and each through a short run."""

import pytest

from pixelwise.data.augment import Augment
from pixelwise.losses import LossSettings, make_loss
from pixelwise.training.recipes import make_recipe


def test_enet_of_davidtvs_divides_its_rate_every_hundred_epochs() -> None:
    recipe = make_recipe("enet_davidtvs")
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate, recipe.weight_decay) == (300, 10, 5e-4, 2e-4)
    assert [round(300 * milestone) for milestone in recipe.milestones] == [100, 200]
    assert (recipe.schedule, recipe.factors, recipe.augment) == ("step", (0.1, 0.01), "none")


def test_segnet() -> None:
    recipe = make_recipe("segnet")
    assert (recipe.optimiser, recipe.learning_rate, recipe.momentum, recipe.batch_size) == ("sgd", 0.1, 0.9, 12)


def test_pspnet() -> None:
    recipe = make_recipe("pspnet")
    assert (recipe.optimiser, recipe.learning_rate, recipe.momentum, recipe.weight_decay) == ("sgd", 0.01, 0.9, 1e-4)
    assert (recipe.batch_size * recipe.accumulate, recipe.schedule, recipe.auxiliary_weight) == (16, "polynomial", 0.4)
    assert recipe.epochs is not None
    assert recipe.epochs * 20_210 / 16 == pytest.approx(150_000, rel=0.005)
    augment = Augment.named(recipe.augment)
    assert (augment.flip_horizontal, augment.scale, augment.rotate_degrees) == (0.5, (0.5, 2.0), 10)


def test_vnet() -> None:
    recipe = make_recipe("vnet")
    assert (recipe.optimiser, recipe.learning_rate, recipe.momentum, recipe.weight_decay) == ("sgd", 1e-4, 0.99, 5e-4)
    assert recipe.epochs is not None
    steps = recipe.epochs * 50 / recipe.batch_size
    assert (steps, recipe.milestones[0] * steps) == pytest.approx((30_000, 25_000))
    assert recipe.factors == (0.1,)
    make_loss(recipe.loss, LossSettings(num_outputs=2, ignore_index=255))


def test_unet3d() -> None:
    recipe = make_recipe("unet3d")
    assert (recipe.optimiser, recipe.momentum, recipe.batch_size, recipe.loss) == ("sgd", 0.99, 1, "ce")
