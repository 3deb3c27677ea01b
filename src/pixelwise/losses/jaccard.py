"""Soft Jaccard loss: one minus intersection over union of probabilities and truth.

Source: Rahman and Wang, "Optimizing Intersection-Over-Union in Deep Neural Networks for Image Segmentation", 2016,
section 3::

    IoU_c = sum p_c g_c / (sum p_c + sum g_c - sum p_c g_c)

See :mod:`~pixelwise.losses.overlap` for the smoothing.
"""

from dataclasses import dataclass

from pixelwise.losses.overlap import OverlapLoss


@dataclass(frozen=True)
class SoftJaccard(OverlapLoss):
    """One minus the soft Jaccard index."""

    @property
    def factors(self) -> tuple[float, float, float]:
        """What is right, over that and all errors."""
        return 1, 1, 1
