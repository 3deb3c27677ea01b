"""Augmentation of volumes: magnitudes in one frozen row, one fused warp, then the values.

Every draw has its own place in the sample's random stream (:mod:`pixelwise.data.draws`), so that changing one magnitude
leaves the other draws as they were. Rotations are rotations in space: where voxels are not cubes, the map from voxels
to millimetres is heeded.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.photometric import Photometric
from pixelwise.data.volumes.volume import Spacing
from pixelwise.data.volumes.warp import VolumeWarp
from pixelwise.errors import RecipeError, UsageError, suggest

_UNIFORMS: Final = 18
"""Numbers drawn for every sample. Append only: the order decides every stream."""
_FLIPS, _TURNS, _SCALE, _SHIFTS, _PLACES, _GAMMA, _CONTRAST, _BRIGHTNESS, _NOISE = (
    slice(0, 3), slice(3, 6), 6, slice(7, 10), slice(10, 13), 13, 14, 15, 16,
)  # fmt: skip

_TINY: Final = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeAugment:
    """How far each property of a volume may be changed. The defaults change nothing.

    Lengths are in voxels of the result; axes are depth, height, width. Draws are uniform unless said otherwise.

    Raises:
        RecipeError: an impossible magnitude.

    """

    flip: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Probability of a mirror image along each axis."""
    rotate_degrees: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Rotation about each axis by at most this much either way."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Smallest and largest magnification, uniform in the logarithm; 2 shows things twice as large."""
    shift_voxels: int = 0
    """Whole voxels by which the volume moves at most, along each axis."""
    elastic_voxels: float = 0.0
    """Standard deviation of the control points' displacements, Gaussian along each axis."""
    elastic_cells: int = 2
    """Cells of the B-spline along each side."""
    brightness: float = 0.0
    """Share of the value range that is added or taken away at most."""
    contrast: float = 0.0
    """Factor 1 - contrast to 1 + contrast on the distance from the mean."""
    gamma: float = 1.0
    """Exponent 1 / gamma to gamma, uniform in the logarithm."""
    noise: float = 0.0
    """Largest standard deviation of Gaussian noise, as a share of the value range."""

    def __post_init__(self) -> None:
        _require(all(0 <= share <= 1 for share in self.flip), "flip", self.flip, "probabilities from 0 to 1")
        fits = all(0 <= angle <= 180 for angle in self.rotate_degrees)
        _require(fits, "rotate_degrees", self.rotate_degrees, "0 to 180")
        _require(0 < self.scale[0] <= self.scale[1] < math.inf, "scale", self.scale, "two positive numbers, in order")
        for name in ("shift_voxels", "elastic_voxels", "brightness", "noise"):
            value = getattr(self, name)
            _require(0 <= value < math.inf, name, value, "a number that is not negative")
        _require(self.elastic_cells >= 1, "elastic_cells", self.elastic_cells, "at least 1")
        _require(0 <= self.contrast < 1, "contrast", self.contrast, "at least 0 and less than 1")
        _require(1 <= self.gamma < math.inf, "gamma", self.gamma, "at least 1")

    @classmethod
    def named(cls, name: str) -> "VolumeAugment":
        """Return one of the named augmentations of volumes.

        Raises:
            UsageError: unknown name, with the nearest known ones.

        """
        if name not in VOLUME_AUGMENTATIONS:
            raise UsageError(
                f"Unknown augmentation of volumes {name!r}",
                expected="the name of an augmentation",
                do=suggest(name, VOLUME_AUGMENTATIONS),
            )
        return VOLUME_AUGMENTATIONS[name]

    def draw(
        self,
        size: tuple[int, ...],
        output: tuple[int, int, int],
        rng: np.random.Generator,
        *,
        context: tuple[int, ...] = (0, 0, 0),
        spacing: Spacing = (1.0, 1.0, 1.0),
        towards: tuple[int, ...] | None = None,
    ) -> tuple[VolumeWarp, Photometric]:
        """Draw one transform.

        Args:
            size: of the volume.
            output: size of the result: a patch at a random place where it is smaller, surroundings where larger.
            rng: the sample's own generator.
            context: voxels at each side of the result that a network with valid convolutions consumes: the place is
                drawn so that what remains inside covers the volume up to its ends.
            spacing: of the voxels, in any unit.
            towards: a voxel that a patch shows at its middle, before elastic displacements; towards the volume's end
                the patch stays within it, as far as the voxel stays within the patch.

        Returns:
            The warp, and the change of values.

        """
        uniform = rng.random(_UNIFORMS)
        signs = np.where(uniform[_FLIPS] < self.flip, -1.0, 1.0)
        angles = np.deg2rad((2 * uniform[_TURNS] - 1) * self.rotate_degrees)
        magnification = self.scale[0] * (self.scale[1] / self.scale[0]) ** uniform[_SCALE]
        to_mm = np.array(spacing)
        matrix = signs[:, None] * (_rotation(angles) * to_mm / to_mm[:, None]) / magnification
        shifts = np.floor(uniform[_SHIFTS] * (2 * self.shift_voxels + 1)) - self.shift_voxels
        middle, centre = ((np.array(sides) - 1) / 2 for sides in (output, size))
        canvas = np.maximum(np.array(size) + 2 * np.array(context), output)
        first, room = middle - (canvas - size) // 2, canvas - output
        seen = first + np.floor(uniform[_PLACES] * (room + 1))
        if towards is not None:
            wanted = np.floor(centre + signs * (towards - centre) - shifts - middle) + middle
            inwards = np.clip(wanted, first, first + room) - wanted
            beside = np.abs(np.linalg.solve(matrix, signs * inwards))  # how far from the middle the voxel comes to lie
            reach = np.maximum(middle - context, 0)
            seen = wanted + inwards * min(1.0, float(np.min(reach / np.maximum(beside, _TINY))))
        # What the result's middle shows, seen from the volume's middle, is mirrored like everything else.
        origin = centre + signs * (seen + shifts - centre) - matrix @ middle
        lattice = None
        if self.elastic_voxels:
            nodes = self.elastic_cells + 3
            lattice = rng.standard_normal((nodes, nodes, nodes, 3)) * self.elastic_voxels
        warp = VolumeWarp(size=output, matrix=matrix, origin=tuple(origin.tolist()), lattice=lattice)
        return warp, Photometric(
            gamma=float((1 / self.gamma) * self.gamma ** (2 * uniform[_GAMMA])),
            contrast=float(1 + self.contrast * (2 * uniform[_CONTRAST] - 1)),
            brightness=float(self.brightness * (2 * uniform[_BRIGHTNESS] - 1)),
            noise=float(self.noise * uniform[_NOISE]),
        )


def change_values(
    image: NDArray[np.float32], change: Photometric, span: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Apply gamma, contrast, brightness and noise to (D, H, W, C); ``span``: values of black and white."""
    slices = image.reshape(-1, *image.shape[2:])
    return change.apply(slices, span, rng).reshape(image.shape)


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotate about the depth, then the height, then the width axis: (3, 3); exactly the identity for no angle."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        if angle:
            one, other = (place for place in range(3) if place != axis)
            turn = np.eye(3)
            turn[one, one] = turn[other, other] = math.cos(angle)
            turn[one, other], turn[other, one] = -math.sin(angle), math.sin(angle)
            matrix = turn @ matrix
    return matrix


def _require(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise RecipeError(f"Augmentation of volumes: {name}={value}", expected=expected, do="Correct the value")


_BODIES = VolumeAugment(
    flip=(0.0, 0.0, 0.5),
    rotate_degrees=(15, 15, 15),
    scale=(0.85, 1.18),
    elastic_voxels=2.5,
    brightness=0.1,
    contrast=0.15,
    gamma=1.3,
    noise=0.03,
)
"""Bodies are much alike left and right; up and down, front and back are not."""

VOLUME_AUGMENTATIONS: dict[str, VolumeAugment] = {
    "none": VolumeAugment(),
    "volumes": _BODIES,
    # Cells in a dish or in an embryo have no preferred direction.
    "cells3d": replace(_BODIES, flip=(0.5, 0.5, 0.5), rotate_degrees=(180, 15, 15)),
}
"""The named augmentations of volumes, mildest first."""
