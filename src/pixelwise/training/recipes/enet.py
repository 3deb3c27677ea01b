"""The recipes of ENet."""

from dataclasses import replace

from pixelwise.training.recipe import Recipe


def enet() -> Recipe:
    """Return ENet's recipe (Paszke et al., arXiv 1606.02147, section 5.2): Adam, rate 0.0005, decay 0.0002, 300 epochs.

    Batches of 10 at a constant rate; with ``class_weights="enet"`` in the request. *Deviations*: the paper trains the
    encoder first, on labels of an eighth of the size, and then the whole; here the whole is trained at once. AdamW,
    whose decay is not divided by the running size of the gradients, as that of the paper's Adam is. The paper does not
    say whether pictures are augmented: here by mirror images and scale, as street scenes allow. Nothing is published of
    the training of a classifier.
    """
    return Recipe(
        epochs=300,
        batch_size=10,
        optimiser="adamw",
        learning_rate=5e-4,
        weight_decay=2e-4,
        schedule="constant",
        augment="scenes",
    )


def enet_davidtvs() -> Recipe:
    """Return the recipe of davidtvs/PyTorch-ENet: as :func:`enet`, the rate divided by ten after 100 and 200 epochs.

    Nothing augmented; with ``class_weights="enet"`` in the request. *Deviations*: AdamW, as for :func:`enet`.
    """
    return replace(enet(), schedule="step", milestones=(1 / 3, 2 / 3), factors=(0.1, 0.01), augment="none")
