"""The recipes of LeCun et al. 1998."""

from pixelwise.training.recipe import Recipe


def lenet() -> Recipe:
    """Return LeNet-5's twenty passes (LeCun et al., "Gradient-based learning", 1998, section III.B).

    The paper's global rate per pass: 0.0005 for two, 0.0002 for three, 0.0001 for three, 0.00005 for four, 0.00001 for
    the rest, one example at a time, without momentum or decay. *Deviations*: the paper divides each weight's rate by
    its second derivative plus 0.02 (stochastic diagonal Levenberg-Marquardt); here plain SGD, with 0.0005 / 0.02 =
    0.025 as the first rate and the paper's ratios after it. Cross-entropy instead of the RBF outputs' criterion.
    """
    return Recipe(
        epochs=20,
        batch_size=1,
        optimiser="sgd",
        learning_rate=0.025,
        momentum=0.0,
        schedule="step",
        milestones=(0.0, 0.1, 0.25, 0.4, 0.6),
        factors=(1.0, 0.4, 0.2, 0.1, 0.02),
        augment="none",
    )


def mlp() -> Recipe:
    """Return the plain SGD that the 1998 paper's fully connected baselines share with LeNet-5 (section III.C).

    *Deviations*: the paper gives no rates for these networks; batches of 64 with momentum 0.9 and a constant rate of
    0.05 stand for "twenty passes of back-propagation".
    """
    return Recipe(
        epochs=20,
        batch_size=64,
        optimiser="sgd",
        learning_rate=0.05,
        schedule="constant",
        augment="none",
    )
