"""Running mean, standard deviation and value range of the pixels of many pictures."""

from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelwise.errors import DataError, ImageError, UsageError

RangePolicy = Literal["auto", "dtype", "measured", "percentile"]

PERCENTILES = (0.5, 99.5)
"""Per cent of the measured pixels below black and below white, for the policy ``percentile``."""

_DTYPE_RANGES = {"uint8": (0.0, 255.0), "uint16": (0.0, 65_535.0), "float32": (0.0, 1.0)}
_FLOAT_PIXELS = 4_096  # per picture, kept for percentiles of floats


class Moments:
    """Running count, mean and squared deviations per channel, and what the range policy needs.

    Pictures are merged by the pairwise update of Chan, Golub and LeVeque (1979), which loses no digits to a large mean.

    Raises:
        UsageError: no such range policy.

    """

    def __init__(self, channels: int, policy: RangePolicy | tuple[float, float]) -> None:
        if not isinstance(policy, tuple) and policy not in get_args(RangePolicy):
            raise UsageError(
                f"Unknown value range {policy!r}",
                expected=f"{', '.join(get_args(RangePolicy))} or two numbers",
                do="Choose one of them",
            )
        self.mean = np.zeros(channels)
        """Mean per channel in raw units."""
        self._policy = policy
        self._dtype: np.dtype[Any] | None = None
        self._count = 0
        self._squares = np.zeros(channels)
        self._low, self._high = np.inf, -np.inf
        self._histogram = np.zeros(1 << 16, np.int64)
        self._floats: list[NDArray[Any]] = []

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation per channel in raw units."""
        return np.sqrt(self._squares / self._count)

    def add(self, image: NDArray[Any], name: str) -> None:
        """Take the pixels of one picture (H, W, C) into account.

        Raises:
            DataError: of another type than the ones before.
            ImageError: NaN or infinity in it.

        """
        self._dtype = self._dtype or image.dtype
        if image.dtype != self._dtype:
            raise DataError(
                f"{name} has values of type {image.dtype}, others {self._dtype}",
                expected="one type in the whole data set",
                do="Convert the pictures to one type",
            )
        low, high = float(image.min()), float(image.max())
        if not np.isfinite(low + high):
            raise ImageError(f"{name} holds NaN or infinity", expected="finite values", do="Correct or remove it")
        self._low, self._high = min(self._low, low), max(self._high, high)
        count = image.shape[0] * image.shape[1]
        mean, deviation = _mean_and_deviation(image)
        apart, total = mean - self.mean, self._count + count
        self._squares += deviation**2 * count + apart**2 * (self._count * count / total)
        self.mean = self.mean + apart * (count / total)
        self._count = total
        if self._policy == "percentile":
            self._keep_values(image.ravel())

    def value_range(self) -> tuple[float, float]:
        """Raw values that become 0 and 1 under the policy."""
        if isinstance(self._policy, tuple):
            return self._policy
        dtype = str(self._dtype)
        if self._policy == "dtype" or (self._policy == "auto" and dtype == "uint8"):
            return _DTYPE_RANGES[dtype]
        if self._policy != "percentile":
            return (self._low if dtype == "float32" else 0.0), self._high
        if self._floats:
            low, high = np.percentile(np.concatenate(self._floats), PERCENTILES)
        else:
            reached = np.cumsum(self._histogram) / self._histogram.sum()
            low, high = (np.searchsorted(reached, percent / 100) for percent in PERCENTILES)
        return float(low), float(high)

    def _keep_values(self, values: NDArray[Any]) -> None:
        if values.dtype.kind == "u":
            self._histogram += np.bincount(values, minlength=len(self._histogram))
        else:
            self._floats.append(values[:: max(values.size // _FLOAT_PIXELS, 1)])


def _mean_and_deviation(image: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel of (H, W, C), in double precision."""
    if image.shape[2] <= 4:
        mean, deviation = cv2.meanStdDev(image)
        return np.asarray(mean[:, 0], np.float64), np.asarray(deviation[:, 0], np.float64)
    wide = image.reshape(-1, image.shape[2]).astype(np.float64)
    return wide.mean(axis=0), wide.std(axis=0)
