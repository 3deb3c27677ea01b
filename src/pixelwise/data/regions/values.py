"""From the numbers of an array file to pixels, by the rules of :mod:`pixelwise.data.images`; and its axes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.regions.base import Region
from pixelwise.errors import ImageError

MAX_CHUNK_BYTES = 1 << 28
"""Larger blocks, which can only be unpacked whole, are refused."""

_EXACT_IN_FLOAT32 = 1 << 24
_MOST_CHANNELS = 4
"""Of three axes without names, a last one of at most so many is that of the channels."""
_KNOWN = {"z": "z", "y": "y", "x": "x", "c": "c", "channel": "c", "s": "c"}


def pixel_type(dtype: "np.dtype[Any]", name: str) -> "np.dtype[Any]":
    """Return the type that an array file's values are read as: uint8, uint16 or float32.

    Raises:
        ImageError: they are no numbers.

    """
    if dtype.kind not in "buif":
        raise ImageError(
            f"{name} holds {dtype} values",
            expected="booleans, whole numbers of 8 to 64 bits, or real ones of 16, 32 or 64",
            do="Convert it, for instance with numpy: array.astype('float32')",
        )
    if dtype.kind == "b" or (dtype.itemsize == 1 and dtype.kind == "u"):
        return np.dtype(np.uint8)
    return np.dtype(np.uint16 if dtype.kind == "u" and dtype.itemsize == 2 else np.float32)


def as_pixels(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Return values of an array file as uint8, uint16 or float32; booleans become 0 and 255.

    Raises:
        ImageError: whole numbers that float32 cannot hold exactly.

    """
    wanted = pixel_type(values.dtype, name)
    if values.dtype.kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    if wanted == np.float32 and values.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        if max(-low, high) > _EXACT_IN_FLOAT32:
            raise ImageError(
                f"{name} holds {values.dtype} values {low} to {high}",
                expected="values within +-16,777,216 (2^24), where float32 is exact",
                do="Subtract an offset or divide by a factor, and save it anew",
            )
    with np.errstate(over="ignore"):  # an overflow becomes an infinity, which is refused with its count
        return np.ascontiguousarray(values, dtype=wanted)


class Axes:
    """Which axis of an array is which: z, y, x of space, c of channels, or an axis of length 1 that is left out.

    Args:
        names: one for each axis; empty where the file does not name them.
        shape: of the array.
        dimensions: 2 for a picture, 3 for a volume, None for what the axes say.
        name: for messages.

    Raises:
        ImageError: the axes do not form a picture or a volume, or another one than was asked for.

    """

    def __init__(self, names: tuple[str, ...], shape: tuple[int, ...], dimensions: int | None, name: str) -> None:
        if not names:
            names = _guessed(shape, dimensions)
        letters = [_KNOWN.get(axis.lower(), "") for axis in names]
        unknown = [axis for axis, letter, n in zip(names, letters, shape, strict=False) if not letter and n > 1]
        if (
            unknown
            or len(names) != len(shape)
            or {"y", "x"} - set(letters)
            or any(letters.count(one) > 1 for one in "zyxc")
        ):
            raise ImageError(
                f"{name} has the axes {', '.join(names) or 'of no known order'} and the shape {shape}",
                expected="y and x, and at most z (planes) and c (channels) besides",
                do="Save each time point or series as a file of its own",
            )
        self._place = {letter: axis for axis, letter in enumerate(letters) if letter}
        sizes = {letter: shape[axis] for letter, axis in self._place.items()}
        is_volume = dimensions == 3 if dimensions is not None else sizes.get("z", 1) > 1
        if not is_volume and sizes.get("z", 1) > 1:
            raise ImageError(
                f"{name} is a volume of {sizes['z']} planes",
                expected="one picture",
                do="Save each plane as a file of its own, or use a model for volumes",
            )
        self.space = "zyx" if is_volume else "yx"
        self.shape = (*(sizes.get(axis, 1) for axis in self.space), sizes.get("c", 1))
        self._rank = len(shape)

    def of_space(self, per_axis: tuple[int, ...]) -> tuple[int, ...]:
        """Pick what belongs to the axes of space (1 where there is none) from one number for each axis of the array."""
        return tuple(per_axis[self._place[axis]] if axis in self._place else 1 for axis in self.space)

    def of_space_or_none(self, per_axis: tuple[float, ...] | None) -> tuple[float, ...] | None:
        """Pick likewise where all are known, that is above 0."""
        if per_axis is None or any(axis not in self._place for axis in self.space):
            return None
        picked = tuple(per_axis[self._place[axis]] for axis in self.space)
        return picked if min(picked) > 0 else None

    def index(self, region: Region) -> tuple[int | slice, ...]:
        """Return the index of a region in the array."""
        spans = dict(zip(self.space, region, strict=True))
        index: list[int | slice] = [0] * self._rank
        for letter, axis in self._place.items():
            if letter == "c":
                index[axis] = slice(None)
            elif letter in spans:
                index[axis] = slice(*spans[letter])
        return tuple(index)

    def arrange(self, values: NDArray[Any]) -> NDArray[Any]:
        """Bring what an array gave for :meth:`index` into the order of space and channels, channels last."""
        kept = sorted((axis, letter) for letter, axis in self._place.items() if letter == "c" or letter in self.space)
        letters = [letter for _, letter in kept]
        wanted = [letter for letter in (*self.space, "c") if letter in letters]
        ordered = values.transpose([letters.index(letter) for letter in wanted])
        for place, letter in enumerate((*self.space, "c")):
            if letter not in letters:
                ordered = np.expand_dims(ordered, place)
        return ordered


def _guessed(shape: tuple[int, ...], dimensions: int | None) -> tuple[str, ...]:
    """Name the axes of an array that does not: (H, W), (H, W, C), (D, H, W) or (D, H, W, C)."""
    if len(shape) == 3:
        has_channels = shape[-1] <= _MOST_CHANNELS if dimensions is None else dimensions == 2
        return ("y", "x", "c") if has_channels else ("z", "y", "x")
    return {2: ("y", "x"), 4: ("z", "y", "x", "c")}.get(len(shape), ())
