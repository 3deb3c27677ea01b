"""Which pictures a model takes: those of the kind that it was trained on, and what can be turned into them.

A picture with three channels is turned to grey for a model of one (ITU-R 601 luma), a grey one is repeated for a model
of three, and a note says so; any other difference in channels is an error, and so are values on another scale.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.images import to_channels
from pixelwise.data.preprocess import Preprocess
from pixelwise.errors import ImageError

_TOO_FAR = 4
_EIGHT_BITS = (0.0, 255.0)
_SMALLEST_INTEGER_SPAN = 32


def admit(image: NDArray[Any], preprocess: Preprocess, name: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return a picture as the model's (H, W, C), and notes of what was done to it.

    Args:
        image: (H, W) or (H, W, C) as :func:`~pixelwise.data.images.read_image` gives it; booleans count as 0 and 255.
        preprocess: the model's.
        name: for messages.

    Raises:
        ImageError: another shape, type, number of channels or scale; NaN or infinity.

    """
    picture = _as_picture(image, name)
    converted = _with_channels(picture, preprocess.channels, name)
    _check_range(converted, preprocess.low, preprocess.high, name)
    if converted.shape[2] == picture.shape[2]:
        return converted, ()
    return converted, (f"converted from {picture.shape[2]} to {converted.shape[2]} channels",)


def _as_picture(image: NDArray[Any], name: str) -> NDArray[Any]:
    """Return an array as (H, W, C) uint8, uint16 or float32.

    Raises:
        ImageError: of another shape or type, empty, or with values that are not finite.

    """
    if image.ndim not in (2, 3) or not image.size:
        raise ImageError(
            f"{name} has the shape {image.shape}", expected="(H, W) or (H, W, C)", do="Give one picture at a time"
        )
    picture = image[:, :, None] if image.ndim == 2 else image
    if picture.dtype == np.bool_:
        return picture.astype(np.uint8) * np.uint8(255)
    if picture.dtype in (np.float64, np.float16):
        picture = picture.astype(np.float32)
    if picture.dtype not in (np.uint8, np.uint16, np.float32):
        raise ImageError(
            f"{name} holds {picture.dtype} values",
            expected="uint8, uint16 or float32, as image files hold them",
            do="Convert it, keeping the range of the training pictures",
        )
    if picture.dtype == np.float32 and not np.isfinite(picture).all():
        raise ImageError(f"{name} holds NaN or infinity", expected="finite values", do="Replace them")
    return picture


def _with_channels(picture: NDArray[Any], channels: int, name: str) -> NDArray[Any]:
    """Turn colour to grey or grey to colour; nothing else is the same picture.

    Raises:
        ImageError: another number of channels.

    """
    if picture.shape[2] == 1 and channels not in (1, 3):
        raise ImageError(
            f"{name} has 1 channel", expected=f"{channels} channels", do="Give pictures like those of training"
        )
    return to_channels(picture, channels, name)


def _check_range(picture: NDArray[Any], low: float, high: float, name: str) -> None:
    """Refuse values on another scale than the model's: 16 bits for a model of 8 bits, 0..1 for 0..255, and the reverse.

    Single hot pixels, and pictures somewhat brighter than those of training, are on the model's scale.

    Raises:
        ImageError: they are not.

    """
    span, highest = high - low, float(picture.max())
    too_wide = highest > low + _TOO_FAR * span and float(np.median(picture)) > low + _TOO_FAR * span
    if (low, high) == _EIGHT_BITS:
        too_wide = highest > 2 * high
    if picture.dtype == np.float32:
        too_narrow = 0 < highest <= 1 and span > _SMALLEST_INTEGER_SPAN
    else:
        too_narrow = np.iinfo(picture.dtype).max < low + span / _TOO_FAR
    if too_wide or too_narrow:
        raise ImageError(
            f"{name} holds {picture.dtype} values up to {highest:g}",
            expected=f"about {low:g} to {high:g}, the range of the pictures that the model was trained on",
            do="Convert it to the bit depth of the training pictures",
        )
