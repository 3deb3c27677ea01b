"""Smoothing probabilities along the picture's edges.

The guided filter: He, Sun and Tang, "Guided Image Filtering", 2013, equations 5, 6 and 8, with the grey picture as the
guide. Within each window the result is a linear function of the picture, so that outlines move to edges that the
picture shows, and where it is flat the probabilities are averaged. It serves what a dense conditional random field
serves, at the cost of a few box filters, whatever the radius.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelwise.predict.postprocess.steps import FieldStep, require


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedFilter(FieldStep):
    """Smooth probabilities along the edges of the picture.

    Attributes:
        radius: of the windows in pixels: (2 radius + 1) squared.
        epsilon: variance of the guide, whose values are scaled to 0 to 1 by those of its type, below which a window
            counts as flat.

    """

    name: ClassVar[str] = "guided_filter"

    radius: int = 4
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        """Refuse windows of one pixel and divisions by 0."""
        require(self.radius >= 1, self, "radius", "at least 1 pixel")
        require(self.epsilon > 0, self, "epsilon", "more than 0")

    @property
    def reach_px(self) -> int:
        """Two windows: that of the coefficients, and that of their mean."""
        return 2 * self.radius

    def apply(self, values: NDArray[np.float32], picture: NDArray[Any]) -> NDArray[np.float32]:
        """Return the smoothed values (C, H, W), 0 to 1; sums over the classes stay what they are but for rounding."""
        guide = _grey(picture)
        mean_guide = self._mean(guide)
        variance = self._mean(guide * guide) - mean_guide**2
        smooth = np.empty_like(values)
        for plane, probability in enumerate(values):
            mean = self._mean(probability.astype(np.float64))
            slope = (self._mean(guide * probability) - mean_guide * mean) / (variance + self.epsilon)
            offset = mean - slope * mean_guide
            smooth[plane] = self._mean(slope) * guide + self._mean(offset)
        return np.clip(smooth, 0, 1)

    def _mean(self, plane: NDArray[np.float64]) -> NDArray[np.float64]:
        side = 2 * self.radius + 1
        return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT_101))


def _grey(picture: NDArray[Any]) -> NDArray[np.float64]:
    """Mean of the channels, scaled to 0 to 1 by the range of the type; real numbers by the picture's own range."""
    grey = picture.astype(np.float64)
    grey = grey if grey.ndim == 2 else grey.mean(2)
    if picture.dtype.kind == "u":
        return grey / float(np.iinfo(picture.dtype).max)
    low, high = float(grey.min()), float(grey.max())
    return (grey - low) / (high - low) if high > low else np.zeros_like(grey)
