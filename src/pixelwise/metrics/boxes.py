"""How well boxes agree."""

import torch
from torch import Tensor

LOCALISED_IOU = 0.5
"""From this overlap on an object counts as found (Russakovsky et al., "ImageNet Large Scale Visual Recognition
Challenge", 2015, section 4.2)."""


def box_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Return the intersection over union of pairs of boxes, 0 to 1; 0 where both have no area.

    Args:
        boxes: (N, 4) x_min, y_min, x_max, y_max, in any unit.
        others: (N, 4) in the same unit.

    """
    low = torch.maximum(boxes[:, :2], others[:, :2])
    high = torch.minimum(boxes[:, 2:], others[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    union = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (others[:, 2:] - others[:, :2]).prod(1) - shared
    return torch.where(union > 0, shared / torch.where(union > 0, union, 1.0), 0.0)


def corners(boxes: Tensor) -> Tensor:
    """Turn (N, 4) centre x, centre y, width, height into x_min, y_min, x_max, y_max."""
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    return torch.cat([centre - half, centre + half], dim=1)
