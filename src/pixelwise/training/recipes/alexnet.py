"""The recipes of AlexNet, in two towers and in one column."""

import dataclasses

from pixelwise.training.recipe import Recipe


def alexnet() -> Recipe:
    """Return AlexNet's recipe (Krizhevsky et al. 2012, section 5): SGD, momentum 0.9, decay 0.0005, batches of 128.

    Rate 0.01, divided by ten three times; about 90 epochs. *Deviations*: the paper divides "when the validation error
    rate stopped improving"; here after two, four and six ninths, as Caffe's reproduction does (every 100,000 of 450,000
    steps). Windows of random area and aspect instead of 224-pixel crops of 256 x 256 pictures, and no shift of colours
    along their principal components. Pictures are resized to the network's own size, 227 or 224.
    """
    return Recipe(
        epochs=90,
        batch_size=128,
        optimiser="sgd",
        learning_rate=0.01,
        weight_decay=5e-4,
        schedule="step",
        milestones=(2 / 9, 4 / 9, 6 / 9),
        factors=(0.1, 0.01, 0.001),
        augment="imagenet",
        resize="crop",
    )


def alexnet_owt() -> Recipe:
    """Return the recipe for one column (Krizhevsky, arXiv 1404.5997, section 5): as :func:`alexnet`, for 90 epochs.

    The rate is multiplied by 250^(-1/3) after 25, 50 and 75 % of them. *Deviations*: softmax and cross-entropy instead
    of 1,000 independent logistic units; windows of random area and aspect instead of crops.
    """
    factor = 250 ** (-1 / 3)
    return dataclasses.replace(alexnet(), milestones=(0.25, 0.5, 0.75), factors=(factor, factor**2, factor**3))
