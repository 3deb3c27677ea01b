"""The recipe of PSPNet."""

from pixelwise.training.recipe import Recipe


def pspnet() -> Recipe:
    """Return PSPNet's recipe (Zhao et al., arXiv 1612.01105, section 5.1): 150,000 steps on ADE20K.

    SGD with momentum 0.9 and decay 0.0001, batches of 16, rate 0.01 falling as (1 - t)^0.9, the auxiliary loss counting
    0.4; mirror images, scales from 0.5 to 2, rotation by up to 10 degrees, blur; 119 epochs of 20,210 pictures. The
    paper calls the size of the batch important for the normalisation, so ``accumulate`` is no substitute.
    *Deviations*: crops of 473 x 473 pixels, which the paper does not print, are those of the released models; their
    heads learn ten times as fast as the trunk, here as fast.
    """
    return Recipe(
        epochs=119,
        batch_size=16,
        optimiser="sgd",
        learning_rate=0.01,
        weight_decay=1e-4,
        schedule="polynomial",
        auxiliary_weight=0.4,
        augment="scenes_turned",
        crop=(473, 473),
    )
