"""Augmentation: magnitudes in one frozen row, one fused spatial warp, then the photometric part.

An :class:`Augment` says how far each property may be changed. For every sample a transform is drawn from it, composed
into one :class:`~pixelwise.data.warp.Warp` and applied once to the image and once to the label map.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.draws import Draws, Slot
from pixelwise.data.geometry import draw_window, inverse, linear_matrix, place_crop, product, transform, turn_matrix
from pixelwise.data.photometric import Photometric
from pixelwise.data.resample import Border
from pixelwise.data.warp import Matrix, Warp
from pixelwise.data.windows import Pixels
from pixelwise.errors import DataError, MaskError, RecipeError, UsageError, suggest

_ATTEMPTS = 10
"""Draws of a window's area and aspect before the largest central window is taken, as usual for ImageNet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Augment:
    """How far each property of a picture may be changed. The defaults change nothing.

    Lengths are in pixels of the result. Draws are uniform unless said otherwise; each has its own place in the sample's
    random stream, so changing one magnitude leaves the other draws as they were.
    """

    flip_horizontal: float = 0.0
    """Probability of a mirror image, left for right."""
    flip_vertical: float = 0.0
    """Probability of a mirror image, top for bottom."""
    quarter_turns: bool = False
    """0, 90, 180 or 270 degrees, equally likely; only 0 or 180 where a turned picture would not fit the result."""
    rotate_degrees: float = 0.0
    """Rotation by at most this much either way."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Smallest and largest magnification, drawn uniformly in the logarithm; 2 shows things twice as large."""
    area: tuple[float, float] | None = None
    """Share of the picture's area that a window shows, which is then resized to the result (random resized crop)."""
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    """Smallest and largest width / height of that window, uniform in the logarithm; read only when ``area`` is set."""
    shear_degrees: float = 0.0
    """Columns lean by at most this much either way."""
    shift_px: int = 0
    """Whole pixels by which the picture moves at most, up or down and left or right."""
    elastic_px: float = 0.0
    """Standard deviation of the elastic lattice's displacements, Gaussian in each direction."""
    elastic_nodes: int = 3
    """Nodes of the elastic lattice along each side."""
    border: Border = "mirror"
    """What lies beyond the picture: its mirror image, or ("fill") the mean colour, ignored in the label map."""
    brightness: float = 0.0
    """Share of the value range that is added or taken away at most."""
    contrast: float = 0.0
    """Factor 1 - contrast to 1 + contrast on the distance from the picture's mean."""
    gamma: float = 1.0
    """Exponent 1 / gamma to gamma, uniform in the logarithm."""
    saturation: float = 0.0
    """Factor 1 - saturation to 1 + saturation on the distance from grey; three-channel pictures only."""
    blur_px: float = 0.0
    """Largest standard deviation of a Gaussian blur."""
    noise: float = 0.0
    """Largest standard deviation of Gaussian noise, as a share of the value range."""

    def __post_init__(self) -> None:
        shares = {"flip_horizontal": self.flip_horizontal, "flip_vertical": self.flip_vertical}
        for name, value in shares.items():
            _require(0 <= value <= 1, name, value, "a probability from 0 to 1")
        for name, value in (("contrast", self.contrast), ("saturation", self.saturation)):
            _require(0 <= value < 1, name, value, "at least 0 and less than 1")
        for name, value in (
            ("shift_px", self.shift_px),
            ("elastic_px", self.elastic_px),
            ("brightness", self.brightness),
            ("blur_px", self.blur_px),
            ("noise", self.noise),
        ):
            _require(0 <= value < math.inf, name, value, "a number that is not negative")
        _require(0 <= self.rotate_degrees <= 180, "rotate_degrees", self.rotate_degrees, "0 to 180")
        _require(0 <= self.shear_degrees < 60, "shear_degrees", self.shear_degrees, "at least 0 and less than 60")
        _require(self.elastic_nodes >= 2, "elastic_nodes", self.elastic_nodes, "at least 2")
        _require(1 <= self.gamma < math.inf, "gamma", self.gamma, "at least 1")
        for name, pair, most in (("scale", self.scale, math.inf), ("aspect", self.aspect, math.inf)):
            _require(0 < pair[0] <= pair[1] < most, name, pair, "two positive numbers, the smaller one first")
        if self.area is not None:
            _require(0 < self.area[0] <= self.area[1] <= 1, "area", self.area, "two shares of 0 to 1, smaller first")
        _require(self.border in ("mirror", "fill"), "border", self.border, "mirror or fill")

    @classmethod
    def named(cls, name: str) -> "Augment":
        """Return one of the named augmentations.

        Raises:
            UsageError: unknown name, with the nearest known ones.

        """
        if name not in AUGMENTATIONS:
            raise UsageError(
                f"Unknown augmentation {name!r}",
                expected="the name of an augmentation",
                do=suggest(name, AUGMENTATIONS),
            )
        return AUGMENTATIONS[name]

    @property
    def changes_nothing(self) -> bool:
        """Whether every draw leaves a picture as it is, except for a crop."""
        return self == Augment(elastic_nodes=self.elastic_nodes, aspect=self.aspect, border=self.border)

    @property
    def needs_full_resolution(self) -> bool:
        """Whether windows are cut from the picture in its own size, so that resizing it first would lose detail."""
        return self.area is not None

    def apply(
        self,
        image: NDArray[Any],
        label_map: NDArray[Any] | None,
        rng: np.random.Generator,
        output_size: tuple[int, int] | None = None,
        *,
        context: tuple[int, int] = (0, 0),
        value_range: tuple[float, float] | None = None,
        fill: tuple[float, ...] | None = None,
    ) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Draw one transform and apply it to an image and its label map.

        Args:
            image: (H, W, C), uint8, uint16 or float32. It is not written to; the result may share its memory.
            label_map: (H, W) class indices, or planes (H, W, 3) of :mod:`pixelwise.data.label_planes`, or None.
            rng: the sample's own generator.
            output_size: height and width of the result; None keeps the picture's. A smaller result is a crop at a
                random place, a larger one shows the picture's surroundings.
            context: rows and columns at each side of the result that a network with valid convolutions consumes: the
                place of the crop is drawn so that what remains inside covers the picture up to its edges.
            value_range: raw values of black and white; by default 0..255, 0..65,535 and 0..1 for the three types.
            fill: raw value of each channel beyond the picture for ``border="fill"``; black by default.

        Returns:
            The image (h, w, C) of the same type, and the label map (h, w) or None.

        Raises:
            MaskError: image and label map differ in size.
            DataError: the image is none of the three types, or has no channel axis.

        """
        drawn = self.draw(image.shape[0], image.shape[1], rng, output_size, context=context)
        return self.apply_drawn(image, label_map, drawn, rng, value_range=value_range, fill=fill)

    def apply_drawn(
        self,
        image: Pixels,
        label_map: Pixels | None,
        drawn: tuple[Warp, Photometric],
        rng: np.random.Generator,
        *,
        value_range: tuple[float, float] | None = None,
        fill: tuple[float, ...] | None = None,
    ) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Apply what :meth:`draw` gave for a picture of this size; see :meth:`apply`. Noise is drawn from ``rng``."""
        if image.ndim != 3 or image.dtype not in _RANGES:
            raise DataError(
                f"An image of shape {image.shape} and type {image.dtype}",
                expected="(height, width, channels) of uint8, uint16 or float32",
                do="Read it with pixelwise.data.images.read_image",
            )
        if label_map is not None and label_map.shape[:2] != image.shape[:2]:
            raise MaskError(
                f"A label map of {label_map.shape[0]} x {label_map.shape[1]} pixels"
                f" for an image of {image.shape[0]} x {image.shape[1]}",
                expected="the same size",
                do="Correct the pair",
            )
        black_white = value_range or _RANGES[image.dtype]
        warp, photometric = drawn
        outside = fill if fill is not None else (black_white[0],) * image.shape[2]
        seen, labels = warp.apply(image, label_map, fill=outside)
        return photometric.apply(seen, black_white, rng), labels

    def draw(
        self,
        height: int,
        width: int,
        rng: np.random.Generator,
        output_size: tuple[int, int] | None = None,
        *,
        context: tuple[int, int] = (0, 0),
        towards: tuple[int, ...] | None = None,
    ) -> tuple[Warp, Photometric]:
        """Draw the transform of a picture of ``height`` x ``width`` pixels; see :meth:`apply`.

        ``towards`` is a pixel of the picture, (row, column), that a crop shows at its centre, before elastic
        displacements; towards the picture's edge the crop stays within it, as far as the pixel stays within the crop.
        Windows that are drawn by their area are not aimed.
        """
        draws = Draws.from_generator(rng)
        output = output_size or (height, width)
        quarters = self._quarters(draws, (height, width), output)
        turn = turn_matrix(
            quarters,
            vertical=draws.chance(Slot.FLIP_Y, self.flip_vertical),
            horizontal=draws.chance(Slot.FLIP_X, self.flip_horizontal),
        )
        linear = linear_matrix(
            scale=draws.ratio(Slot.SCALE, *self.scale),
            rotate_degrees=draws.between(Slot.ROTATE, -self.rotate_degrees, self.rotate_degrees),
            shear_degrees=draws.between(Slot.SHEAR, -self.shear_degrees, self.shear_degrees),
        )
        turned = (width, height) if quarters % 2 else (height, width)
        beside = (0.0, 0.0)  # what the result's centre shows, relative to the picture's centre
        shift_y = draws.whole(Slot.SHIFT_Y, -self.shift_px, self.shift_px)
        shift_x = draws.whole(Slot.SHIFT_X, -self.shift_px, self.shift_px)
        if self.area is None:
            aim = None
            if towards is not None:
                off_centre = towards[0] - (height - 1) / 2, towards[1] - (width - 1) / 2
                row, column = transform(inverse(product(turn, linear)), *off_centre)
                aim = row + shift_y, column + shift_x
            centre, frame = place_crop(turned, output, context, draws, aim=aim)
        else:
            attempts = rng.random((_ATTEMPTS, 2)).tolist()
            top, left, rows, columns = draw_window(turned, self.area, self.aspect, attempts, draws)
            centre, frame = ((output[0] - 1) / 2, (output[1] - 1) / 2), (0, 0, *output)
            beside = (top + (rows - turned[0]) / 2, left + (columns - turned[1]) / 2)
            linear = product(((rows / output[0], 0.0), (0.0, columns / output[1])), linear)
        matrix = product(turn, linear)
        window_row, window_column = transform(turn, *beside)
        back_row, back_column = transform(matrix, centre[0] + shift_y, centre[1] + shift_x)
        warp = Warp(
            height=output[0],
            width=output[1],
            matrix=matrix,
            origin=((height - 1) / 2 + window_row - back_row, (width - 1) / 2 + window_column - back_column),
            lattice=self._lattice(matrix, rng),
            frame=frame,
            border=self.border,
        )
        return warp, self._photometric(draws)

    def _quarters(self, draws: Draws, size: tuple[int, int], output: tuple[int, int]) -> int:
        if not self.quarter_turns:
            return 0
        fits = size[0] == size[1] or max(output) <= min(size) or self.area is not None
        return draws.whole(Slot.TURN, 0, 3) if fits else 2 * draws.whole(Slot.TURN, 0, 1)

    def _lattice(self, matrix: Matrix, rng: np.random.Generator) -> NDArray[np.float64] | None:
        if self.elastic_px == 0:
            return None
        nodes = rng.standard_normal((self.elastic_nodes, self.elastic_nodes, 2)) * self.elastic_px
        return nodes @ np.array(matrix).T

    def _photometric(self, draws: Draws) -> Photometric:
        return Photometric(
            gamma=draws.ratio(Slot.GAMMA, 1 / self.gamma, self.gamma),
            contrast=draws.between(Slot.CONTRAST, 1 - self.contrast, 1 + self.contrast),
            brightness=draws.between(Slot.BRIGHTNESS, -self.brightness, self.brightness),
            saturation=draws.between(Slot.SATURATION, 1 - self.saturation, 1 + self.saturation),
            blur_px=draws.between(Slot.BLUR, 0.0, self.blur_px),
            noise=draws.between(Slot.NOISE, 0.0, self.noise),
        )


_RANGES: dict[np.dtype[Any], tuple[float, float]] = {
    np.dtype(np.uint8): (0.0, 255.0),
    np.dtype(np.uint16): (0.0, 65_535.0),
    np.dtype(np.float32): (0.0, 1.0),
}


def _require(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise RecipeError(f"Augmentation: {name}={value}", expected=expected, do="Correct the value")


AUGMENTATIONS: dict[str, Augment] = {
    "none": Augment(),
    "digits": Augment(rotate_degrees=10, scale=(0.9, 1.1), shear_degrees=8, shift_px=2, elastic_px=0.7),
    # Of a line of text, nothing may leave the picture, and a turn moves its ends most.
    "strings": Augment(rotate_degrees=1, scale=(0.85, 1.0), shear_degrees=10, shift_px=2, border="fill"),
    "objects": Augment(flip_horizontal=0.5, shift_px=2),
    # He et al. 2015 (ResNet), section 4.2: 4 px padded on each side, random 32 x 32 crop of it or of its mirror image.
    "cifar": Augment(flip_horizontal=0.5, shift_px=4, border="fill"),
    # Zagoruyko and Komodakis 2016 (wide ResNet): the same, padded with the picture's mirror image.
    "cifar_mirrored": Augment(flip_horizontal=0.5, shift_px=4),
    # Szegedy et al. 2014 (GoogLeNet), section 6; and the mirror images of AlexNet.
    "imagenet": Augment(flip_horizontal=0.5, area=(0.08, 1.0)),
    "photographs": Augment(
        flip_horizontal=0.5, rotate_degrees=10, area=(0.35, 1.0), brightness=0.1, contrast=0.2, saturation=0.3
    ),
    # Chen et al. 2017 (DeepLab-v3), section 4.1.
    "scenes": Augment(flip_horizontal=0.5, scale=(0.5, 2.0)),
    # Zhao et al. 2017 (PSPNet), section 5.1, which does not print how far pictures are blurred.
    "scenes_turned": Augment(flip_horizontal=0.5, scale=(0.5, 2.0), rotate_degrees=10, blur_px=1.0),
    "cells": Augment(
        flip_horizontal=0.5,
        flip_vertical=0.5,
        quarter_turns=True,
        rotate_degrees=45,
        scale=(0.8, 1.25),
        elastic_px=5,
        brightness=0.05,
        contrast=0.2,
        gamma=1.3,
        blur_px=1.0,
        noise=0.02,
    ),
    # Ronneberger et al. 2015, section 3.1: shift and rotation invariance, deformations and gray value variations.
    "unet": Augment(rotate_degrees=180, shift_px=20, elastic_px=10, brightness=0.1, contrast=0.2),
    # Electron micrographs of tissue have no preferred direction; flips and turns need no interpolation.
    "em": Augment(
        flip_horizontal=0.5,
        flip_vertical=0.5,
        quarter_turns=True,
        elastic_px=10,
        brightness=0.1,
        contrast=0.2,
        gamma=1.2,
        noise=0.02,
    ),
}
"""The named augmentations, mildest first."""
