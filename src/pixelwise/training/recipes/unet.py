"""The recipe of U-Net."""

from pixelwise.training.recipe import Recipe


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
