"""The recipe of VGG."""

from pixelwise.training.recipe import Recipe


def vgg() -> Recipe:
    """Return VGG's recipe (Simonyan and Zisserman, arXiv 1409.1556, section 3.1): SGD, momentum 0.9, decay 0.0005.

    Batches of 256, rate 0.01 divided by ten three times, 74 epochs (370,000 steps), 224-pixel crops. *Deviations*: the
    paper divides "when the validation set accuracy stopped improving"; here after each quarter of the run. Windows of
    random area and aspect (GoogLeNet's) instead of crops of a picture whose short side is 256, 384 or drawn from 256 to
    512 (scale jittering), and no shift of colours. Batches of 32 accumulated eight times, which is the same without
    batch normalisation.
    """
    return Recipe(
        epochs=74,
        batch_size=32,
        accumulate=8,
        optimiser="sgd",
        learning_rate=0.01,
        weight_decay=5e-4,
        schedule="step",
        milestones=(0.25, 0.5, 0.75),
        factors=(0.1, 0.01, 0.001),
        augment="imagenet",
        size=(224, 224),
        resize="crop",
    )
