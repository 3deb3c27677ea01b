"""Factors for classes in the loss, from how often the training data show them.

============ =============================== =======================================================================
rule         factor of a class               source
============ =============================== =======================================================================
``balanced`` total / (classes x its count)   inverse to the share; each class costs alike; the mean over all is 1
``enet``     1 / ln(1.02 + its share)        Paszke et al. 2016 (arXiv:1606.02147), section 5.2: from 1.4 for a class
                                             that is everywhere to 50 for one that is nowhere
============ =============================== =======================================================================
"""

from collections.abc import Callable
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from pixelwise.errors import DataError

WeightRule = Literal["balanced", "enet"]

OFFSET: Final = 1.02
"""ENet's c: keeps the logarithm away from 0, and so the factors below 51."""


def balanced(counts: NDArray[Any], classes: tuple[str, ...], what: str) -> tuple[float, ...]:
    """Return factors inverse to the counts (K,), whose mean over everything counted is 1.

    Args:
        counts: of each class.
        classes: their names.
        what: was counted, for messages: ``pictures``, ``pixels``.

    Raises:
        DataError: a count is 0.

    """
    if (counts == 0).any():
        missing = classes[int(np.argmin(counts))]
        raise DataError(f"The class {missing!r} has no training {what}", do="Add some, or leave the class out")
    return tuple(float(weight) for weight in counts.sum() / (len(counts) * counts))


def enet(counts: NDArray[Any], classes: tuple[str, ...], what: str) -> tuple[float, ...]:
    """Return ENet's factors for counts (K,); a class that is nowhere has one too.

    Raises:
        DataError: nothing was counted at all.

    """
    if not counts.any():
        raise DataError(f"None of {', '.join(classes)} has training {what}", do="Check the masks")
    return tuple(float(weight) for weight in 1 / np.log(OFFSET + counts / counts.sum()))


RULES: Final[dict[WeightRule, Callable[[NDArray[Any], tuple[str, ...], str], tuple[float, ...]]]] = {
    "balanced": balanced,
    "enet": enet,
}
