"""The recipe of ConvNeXt."""

from pixelwise.training.recipe import Recipe

WARM_UP_EPOCHS, STEPS_OF_AN_EPOCH = 20, 313
"""Of 4,096 pictures each, for the 1,281,167 pictures of ImageNet-1k."""


def convnext() -> Recipe:
    """Return ConvNeXt's recipe for ImageNet-1k (Liu et al., arXiv 2201.03545, appendix A.1, table 5): 300 epochs.

    AdamW with rate 0.004, betas 0.9 and 0.999, decay 0.05 on matrices and filters only, batches of 4,096 (64 at a time:
    the network normalises each picture by itself), 20 epochs of linear rise, a half cosine, label smoothing 0.1, and
    averaged weights, 0.9999. The rate of stochastic depth belongs to the network. *Deviations*: windows of random area
    and aspect, and flips; without RandAugment, mixup, cutmix and random erasing. The rise is given in steps, 20 epochs
    of ImageNet-1k: set ``warmup_steps`` for other data. The rate falls to 0, the authors' to 0.000001.
    """
    return Recipe(
        epochs=300,
        batch_size=64,
        accumulate=64,
        optimiser="adamw",
        learning_rate=4e-3,
        weight_decay=0.05,
        schedule="cosine",
        warmup_steps=WARM_UP_EPOCHS * STEPS_OF_AN_EPOCH,
        ema_decay=0.9999,
        label_smoothing=0.1,
        augment="imagenet",
        size=(224, 224),
        resize="crop",
    )
