"""Thumbnails that live inside the page: small, within a byte limit, as data addresses."""

import base64
import io
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixelwise.data.masks import IGNORE
from pixelwise.predict.overlay import display_rgb, draw_overlay
from pixelwise.predict.palette import IGNORED, background_class

SIDE_PX = 384
"""Longest side of a thumbnail: the widest place for one in the page, at the density of most screens."""
COARSE_PX = 64
"""Pictures of at most this longest side are kept exactly (PNG) and shown enlarged with square pixels."""
MISSED = (180, 71, 45)
"""Colour of a pixel whose class was not found."""
INVENTED = (79, 143, 224)
"""Colour of a background pixel that was given a class."""
_QUALITIES = (82, 68, 50, 32)
_SMALLEST_PX = 24


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture ready for ``<img>``: its address holds all of it."""

    uri: str
    width: int
    height: int
    coarse: bool
    """Few pixels: to be enlarged without smoothing."""


def thumbnail(rgb: NDArray[np.uint8], limit_bytes: int) -> Thumbnail:
    """Encode an RGB picture (H, W, 3) so that its address has at most ``limit_bytes`` characters.

    Quality falls first, then size. Below 24 pixels nothing is gained any more, and the picture is given as it is.
    """
    picture = shrink(rgb, SIDE_PX)
    coarse = max(picture.shape[:2]) <= COARSE_PX
    if coarse:
        address = _address(picture, "PNG", {"optimize": True})
        if len(address) <= limit_bytes:
            return Thumbnail(address, picture.shape[1], picture.shape[0], coarse)
    while True:
        for quality in _QUALITIES:
            address = _address(picture, "WEBP", {"quality": quality, "method": 4})
            if len(address) <= limit_bytes:
                return Thumbnail(address, picture.shape[1], picture.shape[0], coarse)
        side = max(picture.shape[:2])
        if side <= _SMALLEST_PX:
            return Thumbnail(address, picture.shape[1], picture.shape[0], coarse)
        picture = shrink(picture, max(int(side * 0.7), _SMALLEST_PX))


def shrink(rgb: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """Reduce a picture (H, W, 3) by area averaging until no side is longer than ``side_px``; never enlarge it."""
    height, width = rgb.shape[:2]
    scale = side_px / max(height, width)
    if scale >= 1:
        return rgb
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def fit(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring a picture (H, W, 3) near the thumbnail's size: shrunk, or each pixel repeated so that contours are fine."""
    factor = SIDE_PX // max(rgb.shape[:2])
    return shrink(rgb, SIDE_PX) if factor < 2 else rgb.repeat(factor, axis=0).repeat(factor, axis=1)


def overlay(image: NDArray[Any], label_map: NDArray[np.uint8], classes: tuple[str, ...]) -> NDArray[np.uint8]:
    """Draw a label map (H, W) over its picture at thumbnail size, so that contours are as thick for all pictures."""
    small = fit(display_rgb(image))
    size = (small.shape[1], small.shape[0])
    labels = cv2.resize(label_map, size, interpolation=cv2.INTER_NEAREST)
    return draw_overlay(small, np.asarray(labels, dtype=np.uint8), classes)


def error_map(
    image: NDArray[Any], truth: NDArray[np.uint8], prediction: NDArray[np.uint8], classes: tuple[str, ...]
) -> NDArray[np.uint8]:
    """Paint the wrong pixels over a faded grey picture, at thumbnail size.

    The shares of wrong pixels are averaged when the picture is made smaller, so thin errors fade but never vanish.

    Args:
        image: (H, W, C), any type that ``display_rgb`` takes.
        truth: (H, W) class indices; 255 counts neither way and is grey.
        prediction: (H, W) class indices; 255 where the model's resize policy left a pixel out: grey, too.
        classes: names, which decide whether there is a background class.

    Returns:
        RGB uint8: :data:`INVENTED` where the truth is background, :data:`MISSED` at every other error.

    """
    small = fit(display_rgb(image))
    size = (small.shape[1], small.shape[0])
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)[:, :, None]
    canvas = np.repeat(grey * 0.4 + 60, 3, axis=2)
    counted = (truth != IGNORE) & (prediction != IGNORE)
    wrong = counted & (truth != prediction)
    background = background_class(classes)
    invented = wrong & (truth == background) if background is not None else np.zeros_like(wrong)
    for mask, colour in ((~counted, IGNORED), (wrong & ~invented, MISSED), (invented, INVENTED)):
        share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)[:, :, None]
        canvas = canvas * (1 - share) + np.array(colour, dtype=np.float32) * share
    return canvas.round().astype(np.uint8)


def _address(rgb: NDArray[np.uint8], kind: str, options: dict[str, Any]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format=kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
