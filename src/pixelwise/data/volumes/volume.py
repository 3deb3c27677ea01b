"""A volume as the package holds it, and where it lies in space.

Axes are (D, H, W, C): slices, rows, columns, channels; for NIfTI files, whatever their own order is, these run from
inferior to superior, from posterior to anterior and from left to right. Lengths are in millimetres.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Spacing = tuple[float, float, float]
"""Distance of neighbouring voxels in mm, along depth, height and width."""

MAX_VOXELS = 2**28
"""Volumes that declare more values are refused before decoding."""

MOST_CHANNELS = 16
"""A fourth axis of a NIfTI file with more entries is a series in time, not channels."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where a volume lies.

    Attributes:
        affine: of a NIfTI file, the upper three rows of the matrix from (column, row, slice) to mm, row by row (12
            numbers); of other files that know their spacing, a diagonal; empty where nothing is known.
        header: of a NIfTI file, its own header; empty for other files.

    """

    affine: tuple[float, ...] = ()
    header: bytes = b""

    @classmethod
    def of_spacing(cls, spacing: Spacing | None) -> "Geometry":
        """Describe a volume of which nothing but the spacing is known, or not even that."""
        if spacing is None:
            return cls()
        depth, height, width = spacing
        return cls((width, 0.0, 0.0, 0.0, 0.0, height, 0.0, 0.0, 0.0, 0.0, depth, 0.0))

    @property
    def spacing(self) -> Spacing | None:
        """Millimetres between voxels along depth, height and width; None where they are not known."""
        return spacing_of(self.affine)


NOWHERE: Final = Geometry()
"""The geometry of a volume of which nothing is known."""


@dataclass(frozen=True, slots=True)
class VolumeInfo:
    """What a header declares: sizes in voxels, the type that values are read as, and the geometry."""

    depth: int
    height: int
    width: int
    channels: int
    format: str
    geometry: Geometry
    dtype: str = "float32"

    @property
    def size(self) -> tuple[int, int, int]:
        """Depth, height and width."""
        return self.depth, self.height, self.width


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Voxels (D, H, W, C) float32, and their geometry."""

    voxels: NDArray[Any]
    geometry: Geometry = NOWHERE

    def spacing_or_one(self) -> Spacing:
        """Millimetres between voxels; 1 in every direction where they are not known."""
        return self.geometry.spacing or (1.0, 1.0, 1.0)


def spacing_of(affine: tuple[float, ...]) -> Spacing | None:
    """Return the lengths of the columns of a 3 x 4 matrix, last first; None for none."""
    if not affine:
        return None
    lengths = np.linalg.norm(np.array(affine).reshape(3, 4)[:, :3], axis=0)
    width, height, depth = (round(float(length), 6) for length in lengths)
    return depth, height, width


def show_size(size: tuple[int, ...]) -> str:
    """Write sizes in voxels or pixels: ``35 x 51 x 35``."""
    return " x ".join(map(str, size))


def show_spacing(spacing: Spacing) -> str:
    """Write a spacing: ``1 x 0.5 x 0.5 mm``."""
    return " x ".join(f"{length:g}" for length in spacing) + " mm"
