"""The recipe of ENet."""

from pixelwise.training.recipe import Recipe


def enet() -> Recipe:
    """Return ENet's recipe (Paszke et al., arXiv 1606.02147, section 5.2): Adam, rate 0.0005, decay 0.0002, 300 epochs.

    Batches of 10 at a constant rate. *Deviations*: the paper trains for segmentation, the encoder before the whole, and
    weights the classes; nothing is published of the training of a classifier. AdamW, whose decay is not divided by the
    running size of the gradients, as that of the paper's Adam is.
    """
    return Recipe(
        epochs=300,
        batch_size=10,
        optimiser="adamw",
        learning_rate=5e-4,
        weight_decay=2e-4,
        schedule="constant",
    )
