"""The recipes of network in network, and of its form with batch normalisation."""

from pixelwise.training.recipe import Recipe


def nin_cifar() -> Recipe:
    """Return NIN's CIFAR-10 recipe (Lin et al., arXiv 1312.4400, section 4.1, and the authors' Caffe model).

    SGD with momentum 0.9, decay 0.0001, batches of 128, rate 0.1, divided by ten after 100,000 of 120,000 steps;
    translations and flips, as for the paper's 8.81 % error. *Deviations*: the paper divides twice, by hand. Pictures
    are normalised by mean and standard deviation instead of contrast normalisation and ZCA whitening. The last layer
    learns as fast as the others, not ten times slower; its biases start at 1 instead.
    """
    return Recipe(
        epochs=307,
        batch_size=128,
        optimiser="sgd",
        learning_rate=0.1,
        weight_decay=1e-4,
        schedule="step",
        milestones=(100 / 120,),
        factors=(0.1,),
        augment="cifar",
    )


def nin_imagenet() -> Recipe:
    """Return the recipe of the authors' Caffe model for ImageNet: 450,000 steps of 64 pictures, 22 epochs.

    SGD with momentum 0.9, decay 0.0005, rate 0.01, divided by ten every 200,000 steps. *Deviations*: windows of random
    area and aspect instead of random crops of 256 x 256 pixels.
    """
    return Recipe(
        epochs=22,
        batch_size=64,
        optimiser="sgd",
        learning_rate=0.01,
        weight_decay=5e-4,
        schedule="step",
        milestones=(200 / 450, 400 / 450),
        factors=(0.1, 0.01),
        augment="imagenet",
        size=(224, 224),
        resize="crop",
    )


def bn_nin_cifar() -> Recipe:
    """Return the recipe of szagoruyko/cifar.torch: SGD, batches of 128, rate 1 halved every 25 of 300 epochs.

    Momentum 0.9, decay 0.0005. *Deviations*: pictures are shifted as well as flipped, and normalised by mean and
    standard deviation in red, green, blue instead of brightness and colour, the brightness by its neighbourhood.
    """
    return Recipe(
        epochs=300,
        batch_size=128,
        optimiser="sgd",
        learning_rate=1.0,
        weight_decay=5e-4,
        schedule="exponential",
        decay_epochs=25.0,
        decay_factor=0.5,
        augment="cifar",
    )


def bn_nin_imagenet() -> Recipe:
    """Return the recipe of soumith/imagenet-multiGPU.torch, ``ninbn``: 30 epochs, rates 0.1, 0.01, 0.001, 0.0001.

    SGD with momentum 0.9, decay 0.0005, batches of 128; the rate changes after 9, 19 and 25 epochs. *Deviations*: the
    decay stays, instead of ending with epoch 19; windows of random area and aspect instead of random crops.
    """
    return Recipe(
        epochs=30,
        batch_size=128,
        optimiser="sgd",
        learning_rate=0.1,
        weight_decay=5e-4,
        schedule="step",
        milestones=(9 / 30, 19 / 30, 25 / 30),
        factors=(0.1, 0.01, 0.001),
        augment="imagenet",
        size=(224, 224),
        resize="crop",
    )
