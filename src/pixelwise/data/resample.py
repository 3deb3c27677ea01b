"""Resampling on one grid convention, for images and label maps.

A pixel is a square whose centre has whole coordinates: pixel (i, j) covers [i - 1/2, i + 1/2) x [j - 1/2, j + 1/2),
and a picture of height H covers [-1/2, H - 1/2). Changing the height from H to h therefore samples pixel i of the
result at (i + 1/2) H / h - 1/2 (the half-pixel convention). Images and label maps follow the same formula, so they
stay aligned; ``align_corners`` and OpenCV's plain nearest neighbour do not follow it and are used nowhere.

Images are (H, W, C) of uint8, uint16 or float32, with any number of channels: OpenCV takes at most four at a time.
"""

import math
import threading
from collections.abc import Callable
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelwise.data.masks import IGNORE

Border = Literal["mirror", "fill"]
"""What lies outside a picture: its mirror image about the outermost pixel's centre, or one declared value."""

_BORDER_MODES: dict[Border, int] = {"mirror": cv2.BORDER_REFLECT_101, "fill": cv2.BORDER_CONSTANT}

SIDE_LIMIT_PX = 32_766
"""Longest side that OpenCV's remap takes, of the source as of the result."""

_AT_ONCE = 4

_SCRATCH_LIMIT_BYTES = 64 << 20


class _Scratch(threading.local):
    """Memory of one thread that lasts from call to call: fresh pages would cost more than the interpolation."""

    def __init__(self) -> None:
        self._kept: dict[str, NDArray[np.uint8]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return an array with arbitrary content, valid until ``name`` is asked for again."""
        size_bytes = math.prod(shape) * dtype.itemsize
        if size_bytes > _SCRATCH_LIMIT_BYTES:
            return np.empty(shape, dtype)
        if name not in self._kept or self._kept[name].nbytes < size_bytes:
            self._kept[name] = np.empty(size_bytes, np.uint8)
        return self._kept[name][:size_bytes].view(dtype).reshape(shape)


_SCRATCH = _Scratch()


def resize_image(image: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Resize (H, W, C) to (height, width, C): area averages along a side that shrinks, linear along one that grows."""
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return image
    shrunk = (min(rows, height), min(columns, width))
    if shrunk != (rows, columns):
        image = _by_channels(image, lambda part: _resize(part, shrunk, cv2.INTER_AREA))
    if shrunk != (height, width):
        image = _by_channels(image, lambda part: _resize(part, (height, width), cv2.INTER_LINEAR))
    return image


def resize_linear(image: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Resize (H, W, C) to (height, width, C) linearly along both sides, whether they grow or shrink."""
    return _by_channels(image, lambda part: _resize(part, (height, width), cv2.INTER_LINEAR))


def resize_label_map(label_map: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Resize (H, W) to (height, width) by the nearest pixel, of any integer or boolean type; no value is invented."""
    rows, columns = label_map.shape
    if (rows, columns) == (height, width):
        return label_map
    return label_map[_nearest(rows, height)][:, _nearest(columns, width)]


def reduce_image(image: NDArray[Any], factors: tuple[int, int]) -> NDArray[Any]:
    """Average blocks of ``factors`` rows x columns; the image is a whole number of them high and wide."""
    height, width = image.shape[0] // factors[0], image.shape[1] // factors[1]
    return _by_channels(image, lambda part: _resize(part, (height, width), cv2.INTER_AREA))


def sample_image(
    image: NDArray[Any],
    rows: NDArray[np.float32],
    columns: NDArray[np.float32],
    *,
    border: Border = "mirror",
    fill: tuple[float, ...] = (),
) -> NDArray[Any]:
    """Interpolate (H, W, C) linearly at the positions (rows, columns), each (h, w): the result is (h, w, C).

    Args:
        image: uint8, uint16 or float32; at most ``SIDE_LIMIT_PX`` along each side.
        rows: row coordinate of every sample; it may lie outside.
        columns: column coordinate of every sample.
        border: what lies outside.
        fill: the value of each channel outside, for ``border="fill"``.

    """
    height, width = rows.shape
    parts = []
    for first in range(0, image.shape[2], _AT_ONCE):
        part = _channels(image, first)
        outside = fill[first : first + _AT_ONCE] if border == "fill" else ()
        parts.append(_sample_part(part, rows, columns, _BORDER_MODES[border], outside).reshape(height, width, -1))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def _sample_part(
    part: NDArray[Any], rows: NDArray[np.float32], columns: NDArray[np.float32], mode: int, fill: tuple[float, ...]
) -> NDArray[Any]:
    """Interpolate at most four channels."""
    channels = part.shape[2]
    outside = (*fill, *(0.0,) * (_AT_ONCE - len(fill)))
    if channels in (1, _AT_ONCE):
        return cv2.remap(part, columns, rows, cv2.INTER_LINEAR, borderMode=mode, borderValue=outside)
    # OpenCV is twice as fast with four channels as with three, and rounds positions to 1/32 px with two.
    result = _SCRATCH.array("result", (*rows.shape, _AT_ONCE), part.dtype)
    wide = _to_four(part)
    cv2.remap(wide, columns, rows, cv2.INTER_LINEAR, dst=result, borderMode=mode, borderValue=outside)
    return _from_four(result, channels)


def sample_label_map(
    label_map: NDArray[np.uint8],
    rows: NDArray[np.float32],
    columns: NDArray[np.float32],
    *,
    border: Border = "mirror",
) -> NDArray[np.uint8]:
    """Take the nearest pixel of (H, W) at the positions (rows, columns); outside is mirrored or ignored (255)."""
    mode, outside = _BORDER_MODES[border], (float(IGNORE),)
    taken = cv2.remap(label_map, columns, rows, cv2.INTER_NEAREST, borderMode=mode, borderValue=outside)
    return taken.astype(np.uint8, copy=False)


def _nearest(source: int, target: int) -> NDArray[np.intp]:
    """Index of the source pixel that holds each target pixel's centre, floor((i + 1/2) source / target), exactly."""
    return (2 * np.arange(target) + 1) * source // (2 * target)


def _resize(part: NDArray[Any], size: tuple[int, int], interpolation: int) -> NDArray[Any]:
    return cv2.resize(part, (size[1], size[0]), interpolation=interpolation).reshape(*size, part.shape[2])


def _by_channels(image: NDArray[Any], operation: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
    if image.shape[2] <= _AT_ONCE:
        return operation(image)
    firsts = range(0, image.shape[2], _AT_ONCE)
    return np.concatenate([operation(_channels(image, first)) for first in firsts], axis=2)


def _channels(image: NDArray[Any], first: int) -> NDArray[Any]:
    if image.shape[2] <= _AT_ONCE:
        return image
    return np.ascontiguousarray(image[:, :, first : first + _AT_ONCE])


def _to_four(part: NDArray[Any]) -> NDArray[Any]:
    wide = _SCRATCH.array("source", (*part.shape[:2], _AT_ONCE), part.dtype)
    if part.shape[2] == 3:
        cv2.cvtColor(part, cv2.COLOR_RGB2RGBA, dst=wide)
    else:
        wide[:, :, :2] = wide[:, :, 2:] = part
    return wide


def _from_four(part: NDArray[Any], channels: int) -> NDArray[Any]:
    return cv2.cvtColor(part, cv2.COLOR_RGBA2RGB) if channels == 3 else np.ascontiguousarray(part[:, :, :channels])
