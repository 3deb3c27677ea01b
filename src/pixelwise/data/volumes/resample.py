"""Volumes brought to another spacing: linear along an axis that gains voxels, averages along one that loses some.

Old and new voxels fill the same box: voxel i of m new ones has its centre at (i + 1/2) n / m - 1/2 of the n old ones.
Labels take the voxel that their centre lies in. Each axis is one small matrix.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.volumes.volume import Spacing

Size = tuple[int, int, int]


def size_at(size: tuple[int, ...], have: Spacing, want: Spacing) -> Size:
    """Return the size of a volume after it is brought from one spacing to another: at least one voxel a side."""
    depth, height, width = (max(1, round(side * old / new)) for side, old, new in zip(size, have, want, strict=True))
    return depth, height, width


def resize_volume(volume: NDArray[Any], size: Size) -> NDArray[np.float32]:
    """Bring (D, H, W, C) to another size as float32; the values themselves where it has that size."""
    for axis, side in enumerate(size):
        if volume.shape[axis] != side:
            weights = axis_weights(volume.shape[axis], side)
            volume = np.moveaxis(np.tensordot(weights, volume, (1, axis)), 0, axis)
    return np.ascontiguousarray(volume, dtype=np.float32)


def resize_labels(labels: NDArray[Any], size: Size) -> NDArray[Any]:
    """Bring labels (D, H, W) to another size by the nearest voxel."""
    places = [
        np.minimum(((np.arange(side) + 0.5) * length / side).astype(np.intp), length - 1)
        for side, length in zip(size, labels.shape, strict=True)
    ]
    return labels[np.ix_(*places)]


@lru_cache(maxsize=64)
def axis_weights(length: int, side: int) -> NDArray[np.float32]:
    """Weights of ``length`` old voxels for each of ``side`` new ones: (side, length), each row summing to 1."""
    weights = np.zeros((side, length))
    if side >= length:
        places = np.clip((np.arange(side) + 0.5) * length / side - 0.5, 0, length - 1)
        below = np.minimum(places.astype(np.intp), max(length - 2, 0))
        every = np.arange(side)
        weights[every, below] = 1 - (places - below)
        weights[every, np.minimum(below + 1, length - 1)] += places - below
    else:
        edges = np.arange(side + 1) * (length / side)
        for row in range(side):
            voxels = np.arange(length)
            weights[row] = np.clip(np.minimum(edges[row + 1], voxels + 1) - np.maximum(edges[row], voxels), 0, None)
        weights /= weights.sum(axis=1, keepdims=True)
    narrow = weights.astype(np.float32)
    narrow.setflags(write=False)
    return narrow
