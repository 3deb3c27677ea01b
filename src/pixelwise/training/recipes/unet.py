"""The recipes of U-Net."""

from dataclasses import replace

from pixelwise.training.recipe import Recipe


def unet() -> Recipe:
    """Return U-Net's recipe (Ronneberger et al., arXiv 1505.04597, section 3): SGD, momentum 0.99, batches of one.

    "We favor large input tiles over a large batch size": whole pictures up to 512 x 512, of larger ones random crops.
    He's initialisation and the dropout at the end of the contracting path are the network's (``unet``).

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


def unet_cells() -> Recipe:
    """Return the same for touching objects: with the weight map of equation 2, and classes that balance each picture.

    *Deviation*: the weighted costs are divided by the sum of the weights, where the paper's equation 1 adds them up: so
    the rate means the same for pictures of any size.
    """
    return replace(unet(), separate="weights")
