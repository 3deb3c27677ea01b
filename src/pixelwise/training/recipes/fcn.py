"""The recipes of the fully convolutional networks."""

import dataclasses

from pixelwise.training.recipe import Recipe

_PIXELS = 500 * 375
"""Of a usual picture of PASCAL VOC: the published networks sum the loss over pixels, here it is their mean."""


def fcn() -> Recipe:
    """Return FCN's recipe (Long et al., arXiv 1411.4038, section 4.3): SGD, momentum 0.9, batches of 20, rate 0.0001.

    Decay 0.0005, constant rate, whole pictures, nothing augmented ("no noticeable improvement"), 175 epochs. The rate
    is that of VGG-16: 0.001 for AlexNet, 0.00005 for GoogLeNet. *Deviations*: biases learn at the rate of the other
    weights, where the paper doubles it. One picture twenty times, which is the same without batch normalisation.
    """
    return Recipe(
        epochs=175,
        batch_size=1,
        accumulate=20,
        optimiser="sgd",
        learning_rate=1e-4,
        weight_decay=5e-4,
        schedule="constant",
        augment="none",
    )


def fcn_heavy() -> Recipe:
    """Return the recipe of the published FCN-32s, "heavy" learning (Shelhamer et al., arXiv 1605.06211, section 4.1).

    One picture a step, momentum 0.99, decay 0.0005, 100,000 steps (12 epochs of 8,498 pictures). *Deviations*: the rate
    of 1e-10 is that of a loss summed over pixels; for the mean over pixels it is multiplied by the 187,500 pixels of a
    usual picture. Biases learn and decay as the other weights, where the published ones learn twice as fast and do not
    decay.
    """
    return Recipe(
        epochs=12,
        batch_size=1,
        optimiser="sgd",
        learning_rate=1e-10 * _PIXELS,
        momentum=0.99,
        weight_decay=5e-4,
        schedule="constant",
        augment="none",
    )


def fcn_heavy_16s() -> Recipe:
    """Return :func:`fcn_heavy` for FCN-16s, which starts from the weights of FCN-32s: a hundredth of the rate."""
    return dataclasses.replace(fcn_heavy(), learning_rate=1e-12 * _PIXELS)


def fcn_heavy_8s() -> Recipe:
    """Return :func:`fcn_heavy` for FCN-8s, which starts from the weights of FCN-16s: a hundredth of its rate."""
    return dataclasses.replace(fcn_heavy(), learning_rate=1e-14 * _PIXELS)
