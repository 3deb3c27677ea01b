"""The recipes of DeepLab-v3."""

import dataclasses

from pixelwise.training.recipe import Recipe


def deeplabv3() -> Recipe:
    """Return DeepLab-v3's recipe (Chen et al., arXiv 1706.05587, section 4.1): 30,000 steps at output stride 16.

    SGD, batches of 16 crops of 513 x 513, rate 0.007 falling as (1 - t)^0.9, scales from 0.5 to 2 and mirror images;
    46 epochs of 10,582 pictures. *Deviations*: momentum 0.9 and decay 0.0001, which the paper does not print, are
    those of the released code. Batches of 8 accumulated twice, whose statistics the batch normalisation sees.
    """
    return Recipe(
        epochs=46,
        batch_size=8,
        accumulate=2,
        optimiser="sgd",
        learning_rate=0.007,
        weight_decay=1e-4,
        schedule="polynomial",
        augment="scenes",
        crop=(513, 513),
    )


def deeplabv3_os8() -> Recipe:
    """Return :func:`deeplabv3` for the second 30,000 steps, at output stride 8 from the first's weights: rate 0.001.

    *Deviations*: the paper freezes batch normalisation in this phase; here it goes on learning.
    """
    return dataclasses.replace(deeplabv3(), learning_rate=0.001)
