"""The recipes by name: functions that return a :class:`~pixelwise.training.recipe.Recipe`.

Each paper's own recipe says what it takes from the paper and, under *Deviations*, what it does not.
"""

import dataclasses
from collections.abc import Callable

from pixelwise.errors import RecipeError, suggest
from pixelwise.training.recipe import Recipe


def quick() -> Recipe:
    """Return a sensible start for any data and network: AdamW, one cycle, clipped gradients, about 1,000 steps."""
    return Recipe(
        batch_size=32,
        optimiser="adamw",
        learning_rate=2e-3,
        weight_decay=0.01,
        schedule="one_cycle",
        clip_norm=1.0,
    )


def one_epoch() -> Recipe:
    """Return a single pass over small pictures that gets the most out of it: Nesterov SGD, small batches, one cycle.

    Batches of 16 take many steps, label smoothing and weight decay keep them steady; ``benchmarks/headline_lenet.py``
    measures it.
    """
    return Recipe(
        epochs=1,
        batch_size=16,
        optimiser="nesterov",
        learning_rate=0.03,
        weight_decay=5e-4,
        schedule="one_cycle",
        label_smoothing=0.05,
        augment="none",
    )


def lenet() -> Recipe:
    """Return LeNet-5's twenty passes (LeCun et al., "Gradient-based learning", 1998, section III.B).

    The paper's global rate per pass: 0.0005 for two, 0.0002 for three, 0.0001 for three, 0.00005 for four, 0.00001 for
    the rest, one example at a time, without momentum or decay. *Deviations*: the paper divides each weight's rate by
    its second derivative plus 0.02 (stochastic diagonal Levenberg-Marquardt); here plain SGD, with 0.0005 / 0.02 =
    0.025 as the first rate and the paper's ratios after it. Cross-entropy instead of the RBF outputs' criterion.
    """
    return Recipe(
        epochs=20,
        batch_size=1,
        optimiser="sgd",
        learning_rate=0.025,
        momentum=0.0,
        schedule="step",
        milestones=(0.0, 0.1, 0.25, 0.4, 0.6),
        factors=(1.0, 0.4, 0.2, 0.1, 0.02),
        augment="none",
    )


def mlp() -> Recipe:
    """Return the plain SGD that the 1998 paper's fully connected baselines share with LeNet-5 (section III.C).

    *Deviations*: the paper gives no rates for these networks; batches of 64 with momentum 0.9 and a constant rate of
    0.05 stand for "twenty passes of back-propagation".
    """
    return Recipe(
        epochs=20,
        batch_size=64,
        optimiser="sgd",
        learning_rate=0.05,
        schedule="constant",
        augment="none",
    )


def resnet_imagenet() -> Recipe:
    """Return ResNet's ImageNet recipe (He et al., arXiv 1512.03385, section 3.4).

    SGD with momentum 0.9, decay 0.0001, batches of 256, rate 0.1 divided by ten twice, 600,000 steps (120 epochs),
    224-pixel crops. *Deviations*: the paper divides "when the error plateaus"; here at one third and two thirds, where
    the published curves fall. Windows of random area and aspect (GoogLeNet's) instead of crops of pictures whose
    short side was drawn from 256 to 480. Batches of 32 accumulated eight times, which is the
    per-GPU batch whose statistics the batch normalisation saw in eight-GPU training.
    """
    return Recipe(
        epochs=120,
        batch_size=32,
        accumulate=8,
        optimiser="sgd",
        learning_rate=0.1,
        weight_decay=1e-4,
        schedule="step",
        milestones=(1 / 3, 2 / 3),
        factors=(0.1, 0.01),
        augment="imagenet",
        size=(224, 224),
        resize="crop",
    )


def resnet_cifar() -> Recipe:
    """Return ResNet's CIFAR-10 recipe (He et al., section 4.2): 64,000 steps of 128 pictures, 164 epochs of 50,000.

    SGD with momentum 0.9, decay 0.0001, rate 0.1, divided by ten after 32,000 and 48,000 steps; padding by 4, random
    crop and flip.
    """
    return Recipe(
        epochs=164,
        batch_size=128,
        optimiser="sgd",
        learning_rate=0.1,
        weight_decay=1e-4,
        schedule="step",
        milestones=(0.5, 0.75),
        factors=(0.1, 0.01),
        augment="cifar",
    )


def resnet110_cifar() -> Recipe:
    """Return :func:`resnet_cifar` with the warm-up for 110 layers (section 4.2): rate 0.01 for the first 400 steps.

    *Deviations*: the paper warms up "until the training error is below 80 % (about 400 iterations)"; here for 400 of
    64,000 steps.
    """
    return dataclasses.replace(resnet_cifar(), milestones=(0.0, 400 / 64_000, 0.5, 0.75), factors=(0.1, 1.0, 0.1, 0.01))


def unet() -> Recipe:
    """Return U-Net's recipe (Ronneberger et al., arXiv 1505.04597, section 3): SGD, momentum 0.99, batches of one.

    *Deviations*: the paper prints neither rate nor number of steps; 0.001 and a constant schedule are the rate and
    policy of common re-implementations. Shift, rotation, elastic deformation and grey-value changes are those of the
    augmentation "unet".
    """
    return Recipe(
        epochs=None,
        batch_size=1,
        optimiser="sgd",
        learning_rate=1e-3,
        momentum=0.99,
        schedule="constant",
        augment="unet",
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "quick": quick,
    "one_epoch": one_epoch,
    "lenet": lenet,
    "mlp": mlp,
    "resnet_imagenet": resnet_imagenet,
    "resnet_cifar": resnet_cifar,
    "resnet110_cifar": resnet110_cifar,
    "unet": unet,
}


def make_recipe(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        RecipeError: there is none (with near misses).

    """
    if name not in RECIPES:
        raise RecipeError(f"{name!r} is not a recipe", expected="the name of a recipe", do=suggest(name, RECIPES))
    return RECIPES[name]()
