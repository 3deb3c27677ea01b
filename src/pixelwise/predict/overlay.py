"""Pictures that people look at: any image as 8-bit RGB, and label maps or boxes drawn over it, with a legend."""

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pixelwise.data.masks import IGNORE
from pixelwise.errors import ImageError
from pixelwise.predict.palette import IGNORED, background_class, class_colours

Caption = tuple[str, tuple[int, int, int]]
"""A text and the colour of its swatch."""

_TINT = 0.35
_SHADED_PX = 64
_SHADE = (24, 24, 24)
_LEGEND_MIN_WIDTH_PX = 256


def display_rgb(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a picture (H, W) or (H, W, C) of any of our types as RGB uint8 (H, W, 3).

    8-bit values stay as they are; wider ones are stretched, all channels alike, from their 0.5th to their 99.5th
    percentile. Of more than four channels the first three are shown; of two, the first.
    """
    pixels = image[:, :, None] if image.ndim == 2 else image
    pixels = pixels[:, :, : 3 if pixels.shape[2] >= 3 else 1]
    if pixels.dtype != np.uint8:
        low, high = np.percentile(pixels, (0.5, 99.5))
        scale = 255 / (high - low) if high > low else 0.0
        scaled = (pixels.astype(np.float32) - low) * scale
        pixels = np.clip(scaled, 0, 255, out=scaled).round().astype(np.uint8)
    return np.ascontiguousarray(pixels) if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)


def draw_overlay(image: NDArray[Any], label_map: NDArray[np.uint8], classes: Sequence[str]) -> NDArray[np.uint8]:
    """Tint each class's pixels with its colour and draw its contour; the background class is left as it is.

    Args:
        image: (H, W) or (H, W, C), any type that :func:`display_rgb` takes.
        label_map: (H, W) class indices; 255 is hatched in grey, as no class at all.
        classes: names, in the order of the indices; they decide which class is the background.

    Returns:
        RGB uint8 (H, W, 3).

    Raises:
        ImageError: picture and label map differ in size.

    """
    if image.shape[:2] != label_map.shape:
        raise ImageError(
            f"The picture has {image.shape[0]} x {image.shape[1]} pixels and the label map "
            f"{label_map.shape[0]} x {label_map.shape[1]}",
            expected="the same size (height x width)",
            do="Give the picture that was predicted",
        )
    rgb = display_rgb(image)
    colours = np.tile(np.array(IGNORED, dtype=np.uint8), (256, 1))
    colours[: len(classes)] = class_colours(classes)
    painted = colours[label_map]
    background = background_class(classes)
    foreground = np.ones(label_map.shape, dtype=bool) if background is None else label_map != background
    tinted = cv2.addWeighted(rgb, 1 - _TINT, painted, _TINT, 0)
    result = np.where(foreground[:, :, None], tinted, rgb)
    hatched = (label_map == IGNORE) & (np.add.outer(*map(np.arange, label_map.shape)) % 8 < 2)
    result[hatched] = IGNORED
    contour = _borders(label_map) & foreground
    result[contour] = painted[contour]
    return np.ascontiguousarray(result, dtype=np.uint8)


def with_legend(overlay: NDArray[np.uint8], label_map: NDArray[np.uint8], classes: Sequence[str]) -> NDArray[np.uint8]:
    """Put a legend below an overlay: each class that occurs, its colour and its share of the picture.

    See :func:`with_captions`.
    """
    return with_captions(overlay, legend_of(np.bincount(label_map.ravel(), minlength=256).tolist(), classes))


def legend_of(counts: Sequence[int], classes: Sequence[str]) -> list[Caption]:
    """Return the captions of each class that occurs, with its share, from the pixels of each label.

    Args:
        counts: of the labels 0, 1, ...; the classes, and whatever comes after them; the 256th is that of no class.
        classes: names, in the order of the labels.

    """
    colours, total = class_colours(classes), sum(counts)
    entries: list[Caption] = [
        (f"{name}  {_percent(counts[index] / total)}", _rgb(colours[index]))
        for index, name in enumerate(classes)
        if counts[index]
    ]
    if len(counts) > IGNORE and counts[IGNORE]:
        entries.append((f"no class  {_percent(counts[IGNORE] / total)}", IGNORED))
    return entries


def with_captions(overlay: NDArray[np.uint8], entries: Sequence[Caption]) -> NDArray[np.uint8]:
    """Put texts with swatches of their colours below an overlay (H, W, 3).

    A picture narrower than 256 pixels is enlarged by a whole factor first, so that the texts can be read. A text wider
    than the picture goes on in further lines.
    """
    factor = -(-_LEGEND_MIN_WIDTH_PX // overlay.shape[1])
    picture = np.kron(overlay, np.ones((factor, factor, 1), dtype=np.uint8))
    width = picture.shape[1]
    size = int(np.clip(width / 45, 11, 40))
    font = _font(size)
    line, swatch, x_start = size + size // 2, size, size // 2
    x = x_start
    indent = swatch + size // 3
    spots: list[tuple[int, int, str, tuple[int, int, int] | None]] = []
    row = 0
    for text, colour in entries:
        first, *others = _wrap(text, font, width - 2 * x_start - indent)
        needed = indent + math.ceil(font.getlength(first)) + size
        if x > x_start and (others or x + needed - size > width):
            x, row = x_start, row + 1
        spots.append((x, row * line + size // 2, first, colour))
        x += needed
        for more in others:
            row += 1
            spots.append((x_start, row * line + size // 2, more, None))
            x = width
    strip = Image.new("RGB", (width, (row + 1) * line + size // 2), (24, 24, 24))
    draw = ImageDraw.Draw(strip)
    for left, top, text, shade in spots:
        if shade is not None:
            draw.rectangle((left, top, left + swatch - 1, top + swatch - 1), fill=shade, outline=(200, 200, 200))
        draw.text((left + indent, top + swatch // 2), text, font=font, fill=(240, 240, 240), anchor="lm")
    return np.concatenate([picture, np.asarray(strip)])


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Break a text into lines of at most ``width`` pixels: at spaces, and within a word only where it is wider."""
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if font.getlength(joined) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def draw_box(
    rgb: NDArray[np.uint8],
    box: tuple[float, float, float, float],
    colour: tuple[int, int, int],
    line_px: int | None = None,
) -> NDArray[np.uint8]:
    """Draw a box over an RGB picture (H, W, 3): a line of the colour just inside its edges, a dark one around it.

    Args:
        rgb: the picture; it is not written to.
        box: x_min, y_min, x_max, y_max in pixels.
        colour: of the line, RGB.
        line_px: how thick each line is; None suits the picture's own size.

    """
    height, width = rgb.shape[:2]
    line = line_px or max(1, round(min(height, width) / 250))
    drawn = Image.fromarray(rgb)
    draw = ImageDraw.Draw(drawn)
    left, right = (min(max(round(edge), 0), width) for edge in (box[0], box[2]))
    top, bottom = (min(max(round(edge), 0), height) for edge in (box[1], box[3]))
    corners = (min(left, width - 1), min(top, height - 1), max(right - 1, left), max(bottom - 1, top))
    edge = (corners[0] - line, corners[1] - line, corners[2] + line, corners[3] + line)
    if min(height, width) > _SHADED_PX:  # on smaller pictures it would hide what it frames
        draw.rectangle(edge, outline=_SHADE, width=line)
    draw.rectangle(corners, outline=colour, width=line)
    return np.asarray(drawn)


def _borders(label_map: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels within the contour's width of another label."""
    width = max(1, round(min(label_map.shape) / 500))
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * width + 1, 2 * width + 1))
    return np.asarray(cv2.morphologyEx(label_map, cv2.MORPH_GRADIENT, kernel) > 0)


def _rgb(colour: NDArray[np.uint8]) -> tuple[int, int, int]:
    return int(colour[0]), int(colour[1]), int(colour[2])


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "< 0.1%"


@functools.cache
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size_px)
