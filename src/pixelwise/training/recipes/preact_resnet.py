"""The recipes of the pre-activation residual networks."""

from pixelwise.training.recipe import Recipe


def preact_resnet_cifar() -> Recipe:
    """Return the CIFAR recipe of ResNet-v2 (He et al., arXiv 1603.05027, appendix): 64,000 steps of 128 pictures.

    SGD with momentum 0.9, decay 0.0001; rate 0.01 for the first 400 steps, then 0.1, divided by ten after 32,000 and
    48,000; padding by 4, random crop and flip. Batches of 64 accumulated twice, as two GPUs had them. The 1001 layers'
    4.62 % came from ``accumulate=1``.
    """
    return Recipe(
        epochs=164,
        batch_size=64,
        accumulate=2,
        optimiser="sgd",
        learning_rate=0.1,
        weight_decay=1e-4,
        schedule="step",
        milestones=(0.0, 400 / 64_000, 0.5, 0.75),
        factors=(0.1, 1.0, 0.1, 0.01),
        augment="cifar",
    )


def preact_resnet_imagenet() -> Recipe:
    """Return the ImageNet recipe of ResNet-v2 (appendix): 90 epochs, batches of 256, rate 0.1, divided at 30 and 60.

    SGD with momentum 0.9, decay 0.0001, no warm-up, 224-pixel crops. Batches of 32 accumulated eight times, as eight
    GPUs had them. *Deviations*: windows of random area and aspect (GoogLeNet's), with which the paper's best result was
    trained, instead of crops of pictures whose short side was drawn from 256 to 480.
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
