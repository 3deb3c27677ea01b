"""The recipes of the residual networks."""

import dataclasses

from pixelwise.training.recipe import Recipe


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
