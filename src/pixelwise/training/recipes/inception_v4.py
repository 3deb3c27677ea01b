"""The recipes of Inception-v4 and the Inception-ResNets, which one paper gives."""

import dataclasses
from typing import Final

from pixelwise.training.recipe import Recipe

_EPOCHS: Final = 100


def inception_v4() -> Recipe:
    """Return the recipe of Inception-v4 and Inception-ResNet (Szegedy et al., arXiv 1602.07261, section 4).

    RMSProp with decay 0.9 and epsilon 1.0, rate 0.045 multiplied by 0.94 every two epochs, evaluation of a moving
    average of the weights. *Deviations*: one process instead of 20 that step without waiting for each other. The paper
    prints neither batch nor epochs nor regularisation: batches of 32, 100 epochs, label smoothing of 0.1, the L2
    penalty (0.00004) and the decay of the average (0.9999) are Inception-v3's.
    """
    return Recipe(
        epochs=_EPOCHS,
        batch_size=32,
        optimiser="rmsprop",
        learning_rate=0.045,
        momentum=0.0,
        squared_decay=0.9,
        epsilon=1.0,
        weight_decay=4e-5,
        schedule="exponential",
        decay_epochs=2.0,
        decay_factor=0.94,
        ema_decay=0.9999,
        label_smoothing=0.1,
        augment="imagenet",
        size=(299, 299),
        resize="crop",
    )


def inception_resnet_two_phase() -> Recipe:
    """Return :func:`inception_v4` with the warm-up that section 3.3 compares with scaling: one epoch at 0.00001.

    The paper takes it from He et al. 2015 and reports that with very many maps even so low a rate did not keep the
    network from dying, while scaling the residuals (``scales``) did, and never harmed. The recipe is for comparisons:
    with ``scales=1,1,1``. *Deviations*: the paper does not print how long the first phase takes. In the second the rate
    falls by 0.94 to the fifth power every ten epochs, instead of by 0.94 every two.
    """
    tenths = range(1, 10)
    return dataclasses.replace(
        inception_v4(),
        schedule="step",
        decay_epochs=None,
        decay_factor=None,
        milestones=(0.0, 1 / _EPOCHS, *(tenth / 10 for tenth in tenths)),
        factors=(1e-5 / 0.045, 1.0, *(0.94 ** (5 * tenth) for tenth in tenths)),
    )
