"""The recipe of GoogLeNet."""

from pixelwise.training.recipe import Recipe


def googlenet() -> Recipe:
    """Return GoogLeNet's recipe (Szegedy et al., arXiv 1409.4842, section 6).

    SGD with momentum 0.9, rate multiplied by 0.96 every 8 epochs, Polyak averaging of the weights, auxiliary losses
    with weight 0.3; windows of 8 to 100 % of the area and aspects of 3/4 to 4/3. *Deviations*: one process instead of
    many that step without waiting for each other. The average forgets exponentially, as in the authors' later code.
    The paper prints neither rate nor batch nor length nor L2: 0.01, 32 pictures, 250 epochs (10,000,000 steps) and
    0.0002 are those of Caffe's GoogLeNet. Colours are not distorted.
    """
    return Recipe(
        epochs=250,
        batch_size=32,
        optimiser="sgd",
        learning_rate=0.01,
        weight_decay=2e-4,
        schedule="exponential",
        decay_epochs=8.0,
        decay_factor=0.96,
        ema_decay=0.9999,
        auxiliary_weight=0.3,
        augment="imagenet",
        size=(224, 224),
        resize="crop",
    )
