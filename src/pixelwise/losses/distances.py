"""Distances of pixels and voxels from the border of a region, for losses that weigh errors by them."""

import cv2
import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

_PICTURE = 2


def signed_distances(masks: Tensor) -> Tensor:
    """Return how far each position lies from the region's border: more than 0 outside, less than 0 inside.

    The border runs halfway between positions inside and outside, so that the nearest of both have 0.5 and -0.5. An
    empty or full region has no border; its distances are 0.

    Args:
        masks: (N, K, H, W) or (N, K, D, H, W) bool.

    Returns:
        float32 of the same shape and device, in pixels.

    """
    inside = masks.detach().cpu().numpy()
    distances = np.zeros(inside.shape, np.float32)
    for place in np.ndindex(inside.shape[:2]):
        region = inside[place]
        if region.any() and not region.all():
            distances[place] = np.where(region, 0.5 - _to_nearest(region), _to_nearest(~region) - 0.5)
    return torch.from_numpy(distances).to(masks.device)


def _to_nearest(
    region: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]",
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """Return the Euclidean distance of each position to the nearest one that is not in the region."""
    if region.ndim == _PICTURE:
        distances = cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    else:
        distances = ndimage.distance_transform_edt(region)
    return np.asarray(distances, np.float32)
