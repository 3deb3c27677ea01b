"""Recipes for any data and network."""

from pixelwise.training.recipe import Recipe


def quick() -> Recipe:
    """Return a sensible start for any data and network: AdamW, one cycle, clipped gradients, about 1,000 steps."""
    return Recipe(
        batch_size=32,
        optimiser="adamw",
        learning_rate=2e-3,
        weight_decay=0.01,
        schedule="one_cycle",
        clip_norm=1.0,
    )


def one_epoch() -> Recipe:
    """Return a single pass over small pictures that gets the most out of it: Nesterov SGD, small batches, one cycle.

    Batches of 16 take many steps, label smoothing and weight decay keep them steady; ``benchmarks/headline_lenet.py``
    measures it.
    """
    return Recipe(
        epochs=1,
        batch_size=16,
        optimiser="nesterov",
        learning_rate=0.03,
        weight_decay=5e-4,
        schedule="one_cycle",
        label_smoothing=0.05,
        augment="none",
    )
