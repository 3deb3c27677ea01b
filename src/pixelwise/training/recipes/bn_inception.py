"""The recipes of BN-Inception: GoogLeNet's pace, and five and thirty times as fast."""

import dataclasses

from pixelwise.training.recipe import Recipe


def bn_inception() -> Recipe:
    """Return the recipe of BN-Baseline (Ioffe and Szegedy, arXiv 1502.03167, section 4.2): Inception's own.

    SGD with momentum, batches of 32, rate 0.0015; 13,300,000 steps (332 epochs) to the accuracy that Inception reaches
    in 31,000,000. *Deviations*: the paper prints neither momentum nor decay of the rate nor L2: 0.9 and 0.96 every 8
    epochs are GoogLeNet's, 0.0002 and the average of the weights those of its recipe here. The paper's BN-Baseline
    still has the dropout and the local response normalisation of Inception; ``bn_inception`` has neither.
    """
    return Recipe(
        epochs=332,
        batch_size=32,
        optimiser="sgd",
        learning_rate=0.0015,
        weight_decay=2e-4,
        schedule="exponential",
        decay_epochs=8.0,
        decay_factor=0.96,
        ema_decay=0.9999,
        augment="imagenet",
        size=(224, 224),
        resize="crop",
    )


def bn_inception_x5() -> Recipe:
    """Return BN-x5 (section 4.2.1): rate 0.0075, decaying six times as fast, a fifth of the L2 penalty.

    2,100,000 steps (52 epochs) to the accuracy of :func:`bn_inception`. *Deviations*: as there. Section 4.2.1 also
    reduces photometric distortions, of which ``augment=imagenet`` has none, and shuffles more thoroughly than its
    authors did before; here every epoch has an order of its own anyway.
    """
    return dataclasses.replace(
        bn_inception(), epochs=52, learning_rate=0.0075, weight_decay=2e-4 / 5, decay_epochs=8.0 / 6
    )


def bn_inception_x30() -> Recipe:
    """Return BN-x30: as :func:`bn_inception_x5` from a rate of 0.045, 6,000,000 steps (150 epochs) to 74.8 %."""
    return dataclasses.replace(bn_inception_x5(), epochs=150, learning_rate=0.045)
