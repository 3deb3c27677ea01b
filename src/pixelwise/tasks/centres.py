"""From the outputs of a detecting network to boxes.

Source: Zhou, Wang and Krähenbühl, "Objects as Points", 2019, section 4 ("From points to bounding boxes"): a centre is a
pixel that is at least as probable as its eight neighbours, which takes the place of suppressing boxes that overlap.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelwise.losses import split_outputs
from pixelwise.tasks.base import at_least_float32

MOST_OBJECTS = 100
"""Detections of one picture, the most probable ones; as many as COCO counts of each class."""
LEAST_PROBABILITY = 0.01
"""Of a detection: less probable ones are not even ranked."""


def read_outputs(logits: Tensor, num_classes: int) -> Tensor:
    """Return probabilities of centres, height and width in pixels, row and column of the centre within its pixel.

    Args:
        logits: (N, K + 4, h, w), see :data:`pixelwise.losses.CENTRE_OUTPUTS`.
        num_classes: K.

    Returns:
        (N, K + 4, h, w), at least float32.

    """
    heat, sides, offsets = split_outputs(at_least_float32(logits), num_classes)
    return torch.cat([heat.sigmoid(), sides.exp(), offsets], dim=1)


def find_objects(answers: Tensor, num_classes: int) -> Tensor:
    """Read the boxes out of one picture's answers.

    Args:
        answers: (K + 4, h, w), see :func:`read_outputs`.
        num_classes: K.

    Returns:
        (n, 6) class, probability, x_min, y_min, x_max, y_max in pixels of the map, the most probable first; n is at
        most :data:`MOST_OBJECTS`.

    """
    heat, width = answers[:num_classes], answers.shape[-1]
    peaks = torch.where(heat == F.max_pool2d(heat[None], 3, stride=1, padding=1)[0], heat, 0.0)
    probability, place = peaks.flatten().topk(min(MOST_OBJECTS, peaks.numel()))
    kept = probability >= LEAST_PROBABILITY
    probability, place = probability[kept], place[kept]
    label, pixel = place // heat[0].numel(), place % heat[0].numel()
    along, across, down, right = answers[num_classes:].flatten(1)[:, pixel]
    y, x = pixel // width + down, pixel % width + right
    edges = [x - across / 2, y - along / 2, x + across / 2, y + along / 2]
    return torch.stack([label.to(heat.dtype), probability, *edges], dim=1)
