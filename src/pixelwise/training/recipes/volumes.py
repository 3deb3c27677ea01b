"""The recipes of networks for volumes."""

from pixelwise.training.recipe import Recipe

_VNET_STEPS, _VNET_BATCH, _VNET_VOLUMES = 30_000, 2, 50
_VNET_CHANGE = 25_000


def vnet() -> Recipe:
    """Return V-Net's recipe (Milletari et al., arXiv 1606.04797, sections 3 to 5): the Dice loss, SGD, momentum 0.99.

    Batches of 2, rate 0.0001 divided by ten after 25,000 of about 30,000 steps: 1,200 epochs of 50 volumes. The decay
    of 0.0005 is the released solver's. *Deviations*: the Dice loss is the mean over all classes instead of the
    foreground's, and has one voxel added above and below; biases learn and decay as other weights; deformation,
    rotation and grey values are those of the augmentation "volumes" instead of B-splines of 15 voxels and histograms
    matched to another scan's.
    """
    return Recipe(
        epochs=_VNET_STEPS * _VNET_BATCH // _VNET_VOLUMES,
        batch_size=_VNET_BATCH,
        optimiser="sgd",
        learning_rate=1e-4,
        momentum=0.99,
        weight_decay=5e-4,
        schedule="step",
        milestones=(_VNET_CHANGE / _VNET_STEPS,),
        factors=(0.1,),
        loss="squared_dice",
        augment="volumes",
    )


def unet3d() -> Recipe:
    """Return 3-D U-Net's recipe (Çiçek et al., arXiv 1606.06650, sections 2.2 and 3): SGD, one tile at a time.

    Weighted cross-entropy of the softmax; tiles are rotated, scaled, deformed and changed in grey value. *Deviations*:
    the paper prints neither rate nor momentum nor the classes' weights; 0.001 and 0.99 are those of the recipe "unet",
    ``class_weights="balanced"`` in the request weighs the classes. It takes 70,000 steps, here their number is open.
    Tiles are mirrored as well, by the augmentation "cells3d".
    """
    return Recipe(
        epochs=None,
        batch_size=1,
        optimiser="sgd",
        learning_rate=1e-3,
        momentum=0.99,
        schedule="constant",
        loss="ce",
        augment="cells3d",
    )
