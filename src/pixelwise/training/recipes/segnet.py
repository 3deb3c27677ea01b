"""The recipe of SegNet."""

from pixelwise.training.recipe import Recipe


def segnet() -> Recipe:
    """Return SegNet's recipe (Badrinarayanan et al., arXiv 1511.00561, section 3.2): SGD, rate 0.1, batches of 12.

    Momentum 0.9 at a constant rate, nothing augmented. *Deviations*: the paper trains "until the training loss
    converges" and picks the best on the validation set, here the number of epochs is open; its median frequency
    balancing divides by frequencies in the pictures that show a class, ``class_weights="balanced"`` by those in all;
    pictures have no local contrast normalisation.
    """
    return Recipe(
        epochs=None,
        batch_size=12,
        optimiser="sgd",
        learning_rate=0.1,
        momentum=0.9,
        schedule="constant",
        augment="none",
    )
