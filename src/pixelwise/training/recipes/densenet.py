"""The recipes of the densely connected networks."""

from pixelwise.training.recipe import Recipe


def densenet_cifar() -> Recipe:
    """Return DenseNet's CIFAR recipe (Huang et al., arXiv 1608.06993, section 4.2): 300 epochs, batches of 64.

    SGD with Nesterov momentum 0.9, decay 0.0001, rate 0.1, divided by ten at half and three quarters of the epochs;
    padding by 4, random crop and flip. The paper's results without augmentation have ``augment=none`` and the network's
    ``dropout=0.2``; those on SVHN ``epochs=40`` besides.
    """
    return Recipe(
        epochs=300,
        batch_size=64,
        optimiser="nesterov",
        learning_rate=0.1,
        weight_decay=1e-4,
        schedule="step",
        milestones=(0.5, 0.75),
        factors=(0.1, 0.01),
        augment="cifar",
    )


def densenet_imagenet() -> Recipe:
    """Return DenseNet's ImageNet recipe (section 4.2): 90 epochs, batches of 256, rate divided by ten at 30 and 60.

    Otherwise as :func:`densenet_cifar`, on windows of 224 pixels. *Deviations*: the authors' program changes
    brightness, contrast, saturation and the colours' principal components as well; here windows of random area and
    aspect, and flips. Batches of 32 accumulated eight times, the per-GPU batch of eight-GPU training. DenseNet-161 had
    batches of 128 and 100 epochs: ``accumulate=4`` and ``epochs=100``, with ``milestones=0.3,0.6``.
    """
    return Recipe(
        epochs=90,
        batch_size=32,
        accumulate=8,
        optimiser="nesterov",
        learning_rate=0.1,
        weight_decay=1e-4,
        schedule="step",
        milestones=(1 / 3, 2 / 3),
        factors=(0.1, 0.01),
        augment="imagenet",
        size=(224, 224),
        resize="crop",
    )
