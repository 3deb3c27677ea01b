"""What objects as points cost: where their centres are, how large they are, and where in its pixel each centre lies.

Source: Zhou, Wang and Krähenbühl, "Objects as Points", 2019, section 3. Of each class the network draws a map of
centres. The truth is a Gaussian around each centre, the larger the object the wider (the largest of several where they
meet), and with probability p and truth g at each pixel, over all N objects of the batch (equation 1)::

    heat = -1/N sum  (1 - p)^2 log p              where g = 1
                     (1 - g)^4 p^2 log(1 - p)     elsewhere

At each centre's pixel two more outputs say where in that pixel the centre is, and two how long the sides are; both cost
the mean absolute difference (equations 2 and 3). The width of a Gaussian is that of Law and Deng, "CornerNet", 2018,
section 3.2: a third of the distance by which a box may be shifted and still overlap the true one by 0.7.

*Deviations*: the map is as fine as the trunk's logits (no stride of 4), so sub-pixel offsets matter less. Of the sides
the logarithms are compared, with the factor 1 instead of 0.1: lengths in pixels would be far from the outputs of a
fresh network, and differ by as much for a large object as for ten small ones. The initial probability of a centre,
0.1, is added to the logits here instead of being the initial bias of the last layer.
"""

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelwise.losses.base import at_least_float32

CENTRE_OUTPUTS: Final = 4
"""Outputs besides those of the classes: logarithms of height and width in pixels, row and column of the centre in its
pixel."""
NO_OBJECT: Final = -1.0
"""Class of the rows of a target that hold no box."""

_PRIOR_LOGIT: Final = math.log(0.1 / 0.9)
_OVERLAP: Final = 0.7
_SHORTEST_PX: Final = 1e-3
_LONGEST_LOG: Final = math.log(2.0**20)


class CentreLoss:
    """The sum of the losses of the map of centres, the sides and the offsets.

    Args:
        num_classes: K.

    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes

    def __call__(self, logits: Tensor, boxes: Tensor) -> Tensor:
        """Return the cost as a scalar.

        Args:
            logits: (N, K + 4, h, w), see :data:`CENTRE_OUTPUTS`.
            boxes: (N, M, 5) class, then centre x, centre y, width, height in pixels, the centre counted from the middle
                of the map; rows of negative classes hold none. Objects whose centre lies beside the map cost nothing.

        """
        logits = at_least_float32(logits)
        heat, sides, offsets = split_outputs(logits, self.num_classes)
        height, width = logits.shape[-2:]
        image, row = torch.nonzero(boxes[..., 0] > NO_OBJECT, as_tuple=True)
        label, x, y, across, along = boxes[image, row].to(logits.dtype).unbind(1)
        x, y = x + width / 2, y + height / 2
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        image, label = image[inside], label[inside].long()
        x, y, across, along = (values[inside] for values in (x, y, across, along))
        column, line = x.long(), y.long()
        truth = torch.zeros_like(heat)
        centres = zip(image.tolist(), label.tolist(), line.tolist(), column.tolist(), strict=True)
        for centre, sizes in zip(centres, torch.stack([along, across], dim=1).tolist(), strict=True):
            index, one_label, one_line, one_column = centre
            _draw(truth[index, one_label], one_line, one_column, *sizes)
        at_centres = image, slice(None), line, column
        true_sides = torch.stack([along, across], dim=1).clamp(min=_SHORTEST_PX).log()
        true_offsets = torch.stack([y - line, x - column], dim=1)
        cost = _focal(heat, truth)
        for found, wanted in ((sides, true_sides), (offsets, true_offsets)):
            cost = cost + (found[at_centres] - wanted).abs().sum()
        return cost / max(1, len(image))


def split_outputs(logits: Tensor, num_classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the logits of centres (N, K, h, w), the logarithms of sides and the offsets, each (N, 2, h, w)."""
    heat, sides, offsets = logits.split([num_classes, 2, 2], dim=1)
    return heat + _PRIOR_LOGIT, sides.clamp(max=_LONGEST_LOG), offsets


def gaussian_radius(height: float, width: float) -> float:
    """Return by how many pixels both corners of a box may be shifted so that it overlaps itself by 0.7 or more.

    The smallest over the three ways: both corners to the same side, both inwards, both outwards.
    """
    around, area, share = height + width, height * width, _OVERLAP
    shifted = _smaller_root(1.0, around, area * (1 - share) / (1 + share))
    inwards = _smaller_root(4.0, 2 * around, area * (1 - share))
    outwards = -_smaller_root(4 * share, 2 * share * around, (share - 1) * area)
    return min(shifted, inwards, outwards)


def _smaller_root(a: float, b: float, c: float) -> float:
    """The root nearest to 0 of a r^2 - b r + c."""
    root = math.sqrt(b * b - 4 * a * c)
    return (b - root) / (2 * a)


def _draw(truth: Tensor, line: int, column: int, along: float, across: float) -> None:
    """Raise a map (h, w) to a Gaussian around a pixel, which itself becomes 1."""
    sigma = max(gaussian_radius(along, across) / 3, _SHORTEST_PX)
    reach = max(1, math.ceil(3 * sigma))
    top, bottom = max(0, line - reach), min(truth.shape[0], line + reach + 1)
    left, right = max(0, column - reach), min(truth.shape[1], column + reach + 1)
    rows = torch.arange(top - line, bottom - line, device=truth.device, dtype=truth.dtype)
    columns = torch.arange(left - column, right - column, device=truth.device, dtype=truth.dtype)
    peak = torch.exp(-(rows.square()[:, None] + columns.square()) / (2 * sigma * sigma))
    here = truth[top:bottom, left:right]
    torch.maximum(here, peak, out=here)


def _focal(logits: Tensor, truth: Tensor) -> Tensor:
    """Equation 1 before it is divided by the number of objects; stable for any logits."""
    probability = logits.sigmoid()
    found = (1 - probability).square() * F.logsigmoid(logits)
    beside = (1 - truth).pow(4) * probability.square() * F.logsigmoid(-logits)
    return -torch.where(truth == 1, found, beside).sum()
