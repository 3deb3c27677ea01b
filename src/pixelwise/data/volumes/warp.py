r"""One spatial transform of a volume, an affine map and an elastic lattice fused, applied to image and labels at once.

Output voxel (i, j, k) samples the volume at

.. math:: s = o + M (i, j, k)^T + \sum_{a,b,c} B_a(i)\, B_b(j)\, B_c(k)\, L_{abc}

with an affine part (3 x 3 matrix M, origin o) and, where there is one, an elastic part: displacements L of the control
points of a uniform cubic B-spline over n x n x n cells, of which there are (n + 3) along each side, as Milletari,
Navab and Ahmadi 2016 (V-Net, arXiv 1606.04797, section 4) deform volumes with n = 2. The basis is separable, so that
the field is three small matrix products. Coordinates count voxels; centres are whole numbers; beyond its outermost
centres the volume continues as its mirror image.

The image is interpolated linearly, labels take the nearest voxel: both at the same positions.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VolumeWarp:
    """Where every output voxel samples the volume; see the module's formula."""

    size: tuple[int, int, int]
    """Depth, height and width of the result."""
    matrix: NDArray[np.float64]
    """M, (3, 3): source place per output place."""
    origin: Triple
    """o: source place of output voxel (0, 0, 0), before the elastic part."""
    lattice: NDArray[np.float64] | None = None
    """L, (n + 3, n + 3, n + 3, 3): displacements in source voxels; its n cells span the output."""

    @property
    def moves_nothing(self) -> bool:
        """Whether it only cuts out a window of whole voxels."""
        whole = all(value == round(value) for value in self.origin)
        return self.lattice is None and whole and bool((self.matrix == np.eye(3)).all())

    def positions(self) -> NDArray[np.float32]:
        """Source places (3, depth, height, width): s of the formula."""
        places = np.empty((3, *self.size), np.float32)
        axes = [np.arange(side, dtype=np.float64) for side in self.size]
        for row, target in enumerate(places):
            down, across, along = (self.matrix[row, axis] * steps for axis, steps in enumerate(axes))
            plane = self.origin[row] + down[:, None, None] + across[None, :, None]
            np.add(plane, along[None, None, :], out=target, casting="same_kind")
        if self.lattice is not None:
            cells = len(self.lattice) - 3
            deep, high, wide = (spline_weights(side, cells).astype(np.float32) for side in self.size)
            field = np.tensordot(wide, self.lattice.astype(np.float32), (1, 2))  # (W, a, b, 3)
            field = np.tensordot(high, field, (1, 2))  # (H, W, a, 3)
            field = np.tensordot(deep, field, (1, 2))  # (D, H, W, 3)
            places += field.transpose(3, 0, 1, 2)
        return places

    def apply(
        self, image: NDArray[np.float32], label_map: NDArray[np.uint8] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]:
        """Sample an image (D, H, W, C) linearly, and labels (D, H, W) by the nearest voxel, at the same places."""
        if self.moves_nothing:
            rows = [
                mirrored(int(start) + np.arange(side), length)
                for start, side, length in zip(self.origin, self.size, image.shape, strict=False)
            ]
            window = np.ix_(*rows)
            return image[window], None if label_map is None else label_map[window]
        places = self.positions()
        for axis, length in zip(places, image.shape, strict=False):
            fold(axis, length)
        sampled = np.stack([_linear(image[..., channel], places) for channel in range(image.shape[3])], axis=-1)
        if label_map is None:
            return sampled, None
        nearest = [np.rint(axis).astype(np.intp) for axis in places]
        return sampled, label_map[nearest[0], nearest[1], nearest[2]]


def mirrored(indices: NDArray[Any], length: int) -> NDArray[np.intp]:
    """Fold whole places into 0 .. length - 1 by reflection about the centres of the first and the last voxel."""
    places = indices.astype(np.float64)
    fold(places, length)
    return places.astype(np.intp)


def fold(places: NDArray[Any], length: int) -> None:
    """Fold places into 0 .. length - 1, in place, by reflection about the outermost centres."""
    last = length - 1
    if last == 0:
        places[...] = 0
        return
    low, high = places.min(initial=0), places.max(initial=0)
    if low >= 0 and high <= last:
        return
    np.abs(places, out=places)
    if high > last or -low > last:
        np.mod(places, 2 * last, out=places)
        np.minimum(places, 2 * last - places, out=places)


@lru_cache(maxsize=64)
def spline_weights(length: int, cells: int) -> NDArray[np.float64]:
    """Cubic B-spline weights of ``cells`` + 3 control points for ``length`` places from the first cell to the last.

    Returns:
        (length, cells + 3); each row sums to 1.

    """
    places = np.arange(length, dtype=np.float64) * (cells / max(length - 1, 1))
    first = np.minimum(places.astype(np.intp), cells - 1)
    t = places - first
    basis = (
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    )
    weights = np.zeros((length, cells + 3))
    every = np.arange(length)
    for offset, values in enumerate(basis):
        weights[every, first + offset] = values
    weights.setflags(write=False)
    return weights


def _linear(image: NDArray[np.float32], places: NDArray[np.float32]) -> NDArray[np.float32]:
    """Interpolate (D, H, W) at places (3, ...) that lie inside: eight neighbours, taken row by row."""
    _, height, width = image.shape
    below = np.floor(places)
    shares = places - below
    low = below.astype(np.intp)
    high = [np.minimum(axis + 1, length - 1) for axis, length in zip(low, image.shape, strict=True)]
    flat = np.ascontiguousarray(image).ravel()
    slices = [axis * (height * width) for axis in (low[0], high[0])]
    rows = [axis * width for axis in (low[1], high[1])]
    planes = []
    for start in slices:
        lines = []
        for row in rows:
            corner = start + row
            left = flat[corner + low[2]]
            lines.append(left + (flat[corner + high[2]] - left) * shares[2])
        planes.append(lines[0] + (lines[1] - lines[0]) * shares[1])
    mixed: NDArray[np.float32] = planes[0] + (planes[1] - planes[0]) * shares[0]
    return mixed
