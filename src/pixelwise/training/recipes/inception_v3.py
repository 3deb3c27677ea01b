"""The recipe of Inception-v3."""

from pixelwise.training.recipe import Recipe


def inception_v3() -> Recipe:
    """Return Inception-v3's recipe (Szegedy et al., arXiv 1512.00567, sections 7 and 8).

    RMSProp with decay 0.9 and epsilon 1.0, rate 0.045 multiplied by 0.94 every two epochs, batches of 32, 100 epochs,
    gradients clipped at 2.0, label smoothing of 0.1, evaluation of a moving average of the weights. *Deviations*: one
    process instead of 50 that step without waiting for each other. The decay of the average (0.9999), the L2 penalty
    (0.00004) and the weight of the auxiliary head (0.4) are those of the released code, as the paper does not print
    them; GoogLeNet's heads had 0.3. The released code also gives RMSProp a momentum of 0.9; the paper has none.
    """
    return Recipe(
        epochs=100,
        batch_size=32,
        optimiser="rmsprop",
        learning_rate=0.045,
        momentum=0.0,
        squared_decay=0.9,
        epsilon=1.0,
        weight_decay=4e-5,
        schedule="exponential",
        decay_epochs=2.0,
        decay_factor=0.94,
        clip_norm=2.0,
        ema_decay=0.9999,
        label_smoothing=0.1,
        auxiliary_weight=0.4,
        augment="imagenet",
        size=(299, 299),
        resize="crop",
    )
