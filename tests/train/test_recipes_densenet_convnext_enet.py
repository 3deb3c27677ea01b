"""The numbers that DenseNet's, ConvNeXt's and ENet's papers print for their training."""

import pytest

from pixelwise.training.recipes import make_recipe


def test_densenet_on_cifar() -> None:
    recipe = make_recipe("densenet_cifar")
    assert (recipe.epochs, recipe.batch_size * recipe.accumulate, recipe.optimiser) == (300, 64, "nesterov")
    assert (recipe.learning_rate, recipe.momentum, recipe.weight_decay) == (0.1, 0.9, 1e-4)
    assert recipe.epochs is not None
    assert [milestone * recipe.epochs for milestone in recipe.milestones] == [150, 225]
    assert [factor * recipe.learning_rate for factor in recipe.factors] == pytest.approx([0.01, 0.001])


def test_densenet_on_imagenet() -> None:
    recipe = make_recipe("densenet_imagenet")
    assert (recipe.epochs, recipe.batch_size * recipe.accumulate, recipe.optimiser) == (90, 256, "nesterov")
    assert recipe.epochs is not None
    assert [milestone * recipe.epochs for milestone in recipe.milestones] == pytest.approx([30, 60])
    assert (recipe.size, recipe.augment, recipe.weight_decay) == ((224, 224), "imagenet", 1e-4)


def test_convnext() -> None:
    recipe = make_recipe("convnext")
    assert (recipe.epochs, recipe.batch_size * recipe.accumulate, recipe.optimiser) == (300, 4096, "adamw")
    assert (recipe.learning_rate, recipe.momentum, recipe.weight_decay) == (4e-3, 0.9, 0.05)
    assert (recipe.label_smoothing, recipe.ema_decay, recipe.schedule) == (0.1, 0.9999, "cosine")
    assert recipe.warmup_steps == 20 * -(-1_281_167 // 4096)


def test_enet() -> None:
    recipe = make_recipe("enet")
    assert (recipe.epochs, recipe.batch_size, recipe.optimiser) == (300, 10, "adamw")
    assert (recipe.learning_rate, recipe.weight_decay, recipe.schedule) == (5e-4, 2e-4, "constant")
    assert recipe.augment == "scenes"  # never upside down
