"""Soft clDice: how much of each skeleton lies in the other's region, for vessels, roads and other nets of lines.

Source: Shit et al., "clDice: a novel topology-preserving loss function for tubular structure segmentation", 2021,
section 3, algorithms 1 (soft skeleton) and 2 (soft clDice). With skeletons S of probabilities p and of truth g::

    precision = (sum S_p g + s) / (sum S_p + s),   sensitivity = (sum S_g p + s) / (sum S_g + s)
    loss = 1 - 2 precision sensitivity / (precision + sensitivity)

with the smoothing s of one pixel, for each class over the whole batch. The skeleton is what opening takes away from a
region that is eroded again and again; erosion and opening are minima and maxima over neighbours. The paper's loss is a
sum with Dice, ``0.5*dice+0.5*cldice``.

Class 0 is background and has no term, unless class weights say otherwise: they replace (0, 1, ...). Ignored positions
belong to no region.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelwise.losses.base import UnmappedLoss, class_logits, class_mean, one_hot
from pixelwise.losses.parameters import Range

SMOOTHING_PX = 1.0
_MAXIMUM: Final = {2: F.max_pool2d, 3: F.max_pool3d}


@dataclass(frozen=True)
class ClDice(UnmappedLoss):
    """Weighted mean over the classes of 1 - soft clDice, pooled over the batch.

    Attributes:
        iterations: erosions of the soft skeleton: at least the largest radius of the structures, in pixels.

    """

    heeds: ClassVar[frozenset[str]] = frozenset({"class_weights"})

    iterations: Annotated[int, Range(1)] = 3

    def of_batch(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the cost; see :class:`~pixelwise.losses.base.Loss`."""
        probabilities = class_logits(logits).softmax(1)
        classes = probabilities.shape[1]
        counted = (target != self.settings.ignore_index).unsqueeze(1)
        said = torch.where(counted, probabilities, 0.0)
        truth = one_hot(target, classes).to(said.dtype)
        precision = _share_within(soft_skeleton(said, self.iterations), truth)
        sensitivity = _share_within(soft_skeleton(truth, self.iterations), said)
        terms = 1 - 2 * precision * sensitivity / (precision + sensitivity)
        return class_mean(terms, self.settings.class_weights or (0.0, *[1.0] * (classes - 1)))


def soft_skeleton(regions: Tensor, iterations: int) -> Tensor:
    """Return the skeletons of regions (N, K, H, W) or (N, K, D, H, W) of values from 0 to 1, in the same shape."""
    skeleton = (regions - _open(regions)).relu()
    for _ in range(iterations):
        regions = _erode(regions)
        ridge = (regions - _open(regions)).relu()
        skeleton = skeleton + (ridge - skeleton * ridge).relu()
    return skeleton


def _share_within(skeleton: Tensor, region: Tensor) -> Tensor:
    """Return the share of each class's skeleton that lies in its region, (K,)."""
    everywhere = [axis for axis in range(skeleton.ndim) if axis != 1]
    return ((skeleton * region).sum(everywhere) + SMOOTHING_PX) / (skeleton.sum(everywhere) + SMOOTHING_PX)


def _open(regions: Tensor) -> Tensor:
    """Erode, then take the maximum over 3 x 3 (x 3) neighbours."""
    axes = regions.ndim - 2
    return _MAXIMUM[axes](_erode(regions), (3,) * axes, stride=1, padding=(1,) * axes)


def _erode(regions: Tensor) -> Tensor:
    """Take the minimum over the neighbours along each axis: a cross."""
    axes = regions.ndim - 2
    lines = (tuple(3 if axis == along else 1 for axis in range(axes)) for along in range(axes))
    minima = [-_MAXIMUM[axes](-regions, line, stride=1, padding=tuple(side // 2 for side in line)) for line in lines]
    return torch.stack(minima).amin(0)
