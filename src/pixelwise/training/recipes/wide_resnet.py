"""The recipes of the wide residual networks."""

from pixelwise.training.recipe import Recipe


def wide_resnet_cifar() -> Recipe:
    """Return the CIFAR recipe of wide ResNets (Zagoruyko and Komodakis, arXiv 1605.07146, section 3): 200 epochs.

    Batches of 128, SGD with Nesterov momentum 0.9, decay 0.0005, rate 0.1, times 0.2 after 60, 120 and 160 epochs;
    flips and crops of pictures with 4 mirrored pixels on each side, normalised by mean and deviation. Dropout is a
    column of the network: ``dropout=0.3`` is the paper's.
    """
    return Recipe(
        epochs=200,
        batch_size=128,
        optimiser="nesterov",
        learning_rate=0.1,
        weight_decay=5e-4,
        schedule="step",
        milestones=(0.3, 0.6, 0.8),
        factors=(0.2, 0.04, 0.008),
        augment="cifar_mirrored",
    )


def wide_resnet_svhn() -> Recipe:
    """Return the recipe for street-view house numbers (section 3): 160 epochs of 128, nothing augmented.

    Nesterov momentum 0.9, decay 0.0005, rate 0.01, divided by ten after 80 and 120 epochs; in the network
    ``dropout=0.4``.
    """
    return Recipe(
        epochs=160,
        batch_size=128,
        optimiser="nesterov",
        learning_rate=0.01,
        weight_decay=5e-4,
        schedule="step",
        milestones=(0.5, 0.75),
        factors=(0.1, 0.01),
        augment="none",
    )


def wide_resnet_imagenet() -> Recipe:
    """Return the recipe of torchvision's first ImageNet weights: 90 epochs of batches of 256, rate 0.1.

    SGD with momentum 0.9, decay 0.0001, the rate divided by ten every 30 epochs; windows of random area and aspect of
    224 pixels, flips. Batches of 32 accumulated eight times, as eight GPUs had them. *Deviations*: the paper gives no
    recipe of its own for ImageNet; its code trains by fb.resnet.torch's, of the same rates and epochs.
    """
    return Recipe(
        epochs=90,
        batch_size=32,
        accumulate=8,
        optimiser="sgd",
        learning_rate=0.1,
        weight_decay=1e-4,
        schedule="step",
        milestones=(1 / 3, 2 / 3),
        factors=(0.1, 0.01),
        augment="imagenet",
        size=(224, 224),
        resize="crop",
    )
