"""Random draws as pure functions of (seed, epoch, index).

Philox is a counter-based generator (Salmon, Moraes, Dror, Shaw 2011): key and counter say where in its sequence a
stream begins, so every sample of every epoch has its own stream without any state being carried along. It does not
matter which process draws, in which order, or what was drawn before: hence the same batches for any number of workers
and after a resume.
"""

from enum import IntEnum, auto
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pixelwise.errors import UsageError

_ORDER, _SAMPLE, _PLACE, _PICTURE = 1, 2, 3, 4


def check_seed(seed: int) -> None:
    """Refuse a seed that has no stream of its own.

    Raises:
        UsageError: it is negative or has more than 64 bits.

    """
    if not 0 <= seed < 1 << 64:
        raise UsageError(f"seed={seed}", expected="a whole number from 0 to 2**64 - 1", do="Choose another seed")


def sample_generator(seed: int, epoch: int, index: int, patch: int = 0) -> np.random.Generator:
    """Return the generator that belongs to one sample, or one of its patches, in one epoch of one run."""
    return _generator(seed, _SAMPLE, epoch, index, patch)


def place_generator(seed: int, epoch: int, index: int, patch: int) -> np.random.Generator:
    """Return the generator for where a patch lies, apart from what is done to it."""
    return _generator(seed, _PLACE, epoch, index, patch)


def picture_generator(seed: int, index: int) -> np.random.Generator:
    """Return the generator for what is drawn of a picture once in a run."""
    return _generator(seed, _PICTURE, 0, index)


def epoch_order(n: int, *, seed: int, epoch: int, shuffle: bool) -> NDArray[np.int64]:
    """Return the order in which an epoch visits ``n`` samples: a permutation of 0 .. n - 1, or plainly counted."""
    if not shuffle:
        return np.arange(n, dtype=np.int64)
    return _generator(seed, _ORDER, epoch, 0).permutation(n)


def _generator(seed: int, purpose: int, epoch: int, index: int, patch: int = 0) -> np.random.Generator:
    check_seed(seed)
    key = np.array([seed, purpose], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=np.array([0, patch, epoch, index], np.uint64)))


class Slot(IntEnum):
    """The place of each quantity among a sample's uniform draws. Append only: the order decides every stream."""

    FLIP_X = 0
    FLIP_Y = auto()
    TURN = auto()
    ROTATE = auto()
    SCALE = auto()
    SHEAR = auto()
    SHIFT_Y = auto()
    SHIFT_X = auto()
    CROP_Y = auto()
    CROP_X = auto()
    GAMMA = auto()
    CONTRAST = auto()
    BRIGHTNESS = auto()
    SATURATION = auto()
    BLUR = auto()
    NOISE = auto()


class Draws:
    """One uniform number in [0, 1) for each slot, and the distributions made of them."""

    def __init__(self, uniform: list[float]) -> None:
        self._uniform = uniform

    @classmethod
    def from_generator(cls, rng: np.random.Generator) -> Self:
        """Draw them all at once, whether they will be used or not."""
        return cls(rng.random(len(Slot)).tolist())

    def chance(self, slot: Slot, probability: float) -> bool:
        """Return true with this probability."""
        return self._uniform[slot] < probability

    def whole(self, slot: Slot, first: int, last: int) -> int:
        """Return a whole number from ``first`` to ``last``, both included."""
        return first + int(self._uniform[slot] * (last - first + 1))

    def between(self, slot: Slot, low: float, high: float) -> float:
        """Return a number between two bounds."""
        return low + (high - low) * self._uniform[slot]

    def ratio(self, slot: Slot, low: float, high: float) -> float:
        """Return a positive number whose logarithm is uniform between those of the bounds; exact if they are equal."""
        return low * (high / low) ** self._uniform[slot]
