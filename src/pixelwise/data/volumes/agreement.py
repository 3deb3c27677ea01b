"""Whether a volume and its labels lie in the same place: same voxels, same spacing, same matrix."""

from typing import Final, Protocol

import numpy as np

from pixelwise.data.volumes.volume import show_size, show_spacing, spacing_of

_SHARE: Final = 1e-3
"""Of a spacing by which two may differ: headers hold single-precision numbers, some rounded by hand."""
_MATRIX_SHARE: Final = 0.05
"""Of a voxel by which two corners of the same volume may lie apart."""


class Placed(Protocol):
    """What is known of a volume's file."""

    @property
    def depth(self) -> int:
        """Slices."""

    @property
    def height(self) -> int:
        """Rows."""

    @property
    def width(self) -> int:
        """Columns."""

    @property
    def affine(self) -> tuple[float, ...]:
        """Where it lies; empty where that is not known."""


def disagreement(image: Placed, labels: Placed) -> str:
    """Say in what a label volume differs from its volume; "" where they agree.

    A file that does not tell its spacing contradicts nothing.
    """
    sizes = [(one.depth, one.height, one.width) for one in (image, labels)]
    if sizes[0] != sizes[1]:
        return f"a label volume of {show_size(sizes[1])} voxels for a volume of {show_size(sizes[0])}"
    spacings = [spacing_of(one.affine) for one in (image, labels)]
    if spacings[0] is None or spacings[1] is None:
        return ""
    if not np.allclose(spacings[0], spacings[1], rtol=_SHARE, atol=0):
        return (
            f"a label volume with the spacing {show_spacing(spacings[1])} for a volume with {show_spacing(spacings[0])}"
        )
    apart = _largest_distance(image.affine, labels.affine, sizes[0])
    if apart > _MATRIX_SHARE * min(spacings[0]):
        return f"a label volume that lies up to {apart:.3g} mm beside its volume (other matrix, or other axes)"
    return ""


def _largest_distance(one: tuple[float, ...], other: tuple[float, ...], size: tuple[int, int, int]) -> float:
    """Millimetres between the places of the same corner, at most."""
    depth, height, width = size
    corners = np.array([(x, y, z, 1) for x in (0, width) for y in (0, height) for z in (0, depth)], np.float64)
    apart = corners @ (np.array(one).reshape(3, 4) - np.array(other).reshape(3, 4)).T
    return float(np.linalg.norm(apart, axis=1).max())
