"""What mask files store, before any meaning is given to it: reading, counting, describing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.images import MAX_PIXELS, read_stored
from pixelwise.data.names import show_path
from pixelwise.data.object_folders import is_object_folder, read_object_folder
from pixelwise.errors import MaskError

_SHOWN_VALUES = 8


def read_mask_raw(path: Path, *, frame: int | None = None, max_pixels: int = MAX_PIXELS) -> NDArray[Any]:
    """Read a mask's values as stored, upright.

    A folder of masks, one for each object, gives numbered objects. Palette pictures give their indices, bilevel ones 0
    and 1, shallow grey ones their unstretched values.

    Returns:
        (H, W) integers, or (H, W, 3) uint8 for colours.

    Raises:
        MaskError: a lossy format (JPEG, lossy WebP), inks, several measured channels, transparency in use, or real
            numbers that are not whole.
        ImageError: the file itself cannot be read.

    """
    return read_mask_values(path, frame=frame, max_pixels=max_pixels)[0]


def read_mask_values(
    path: Path, *, frame: int | None = None, max_pixels: int = MAX_PIXELS
) -> tuple[NDArray[Any], bool]:
    """Read a mask as `read_mask_raw`, and say whether it stores a palette."""
    name = show_path(str(path))
    if is_object_folder(path):
        return read_object_folder(path, max_pixels=max_pixels), False
    header, values = read_stored(path, frame=frame, max_pixels=max_pixels)
    if header.mode in ("LA", "RGBA"):
        values = _without_alpha(values, name)
    return as_mask(values, header.mode, name), header.mode == "P"


def as_mask(values: NDArray[Any], mode: str, name: str) -> NDArray[Any]:
    """Return what a file of this mode stores, (H, W, S), as a mask: (H, W) integers, or (H, W, 3) uint8 for colours.

    Raises:
        MaskError: inks, several measured channels, or real numbers that are not whole.

    """
    channels = values.shape[2]
    if channels == 1:
        return whole_numbers(values[..., 0], name)
    if mode not in ("RGB", "RGBA") or channels != 3 or values.dtype != np.uint8:
        raise MaskError(
            f"{name} stores {channels} channels of {values.dtype} ({mode})",
            expected="one channel of class values, or 8-bit red, green, blue",
            do="Save the mask as an 8-bit grey, palette or RGB PNG, or one of numbered objects with 16 or 32 bits",
        )
    return values


def as_grey(values: NDArray[Any], kind: str, name: str) -> NDArray[Any]:
    """Return (H, W) values; a colour picture that is grey throughout counts as grey.

    Raises:
        MaskError: it holds colours.

    """
    if values.ndim == 2:
        return values
    if not is_grey(values):
        raise MaskError(
            f"{name} is in colours",
            expected=f"single values (kind {kind})",
            do="Choose the kind rgb (--mask-kind rgb), with a colour for each class in class_dict.csv",
        )
    return values[..., 0]


def is_grey(values: NDArray[Any]) -> bool:
    """Whether the red, green and blue of an (H, W, 3) mask are equal everywhere."""
    return bool((values[..., 0] == values[..., 1]).all() and (values[..., 0] == values[..., 2]).all())


def colour_codes(values: NDArray[Any]) -> NDArray[np.int64]:
    """Pack (H, W, 3) colours, or (H, W) greys, into (H, W) integers 0xRRGGBB."""
    if values.ndim == 2:
        return values.astype(np.int64) * 0x010101
    wide = values.astype(np.int64)
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


def count_values(values: NDArray[Any]) -> dict[int, int]:
    """Count each stored value, or each packed colour, in ascending order."""
    if values.ndim == 3:
        values = colour_codes(values)
    if values.dtype.kind == "u" and values.dtype.itemsize <= 2:
        counts = np.bincount(values.ravel())
        found = np.flatnonzero(counts)
        return {int(value): int(counts[value]) for value in found}
    found, numbers = np.unique(values, return_counts=True)
    return {int(value): int(number) for value, number in zip(found, numbers, strict=True)}


def describe_counts(counts: Mapping[int, int], *, colours: bool = False) -> str:
    """Write values with their counts, the most frequent first: ``7 (120 px), 9 (3 px) and 2 more``."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{_colour(value) if colours else value} ({number:,} px)" for value, number in ordered[:_SHOWN_VALUES]]
    rest = len(ordered) - len(shown)
    return ", ".join(shown) + (f" and {rest:,} more" if rest else "")


def _colour(code: int) -> str:
    return f"({code >> 16}, {code >> 8 & 255}, {code & 255})"


def whole_numbers(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Return real numbers that are all whole as int64, and integers as they are.

    Raises:
        MaskError: some are not whole.

    """
    if values.dtype.kind != "f":
        return values
    whole = np.isfinite(values) & (np.abs(values) < 2**53)
    whole &= np.where(whole, values, 0.5) % 1 == 0
    if not whole.all():
        raise MaskError(
            f"{name} holds {int((~whole).sum()):,} values that are not whole numbers",
            expected="class values or object numbers",
            do="Save the mask with whole numbers; a probability map needs a threshold first",
        )
    return values.astype(np.int64)


def _without_alpha(values: NDArray[Any], name: str) -> NDArray[Any]:
    alpha = values[..., -1]
    top = np.iinfo(values.dtype).max
    clear = int((alpha != top).sum())
    if clear:
        raise MaskError(
            f"{name} has {clear:,} pixels that are not opaque",
            expected="a mask without transparency",
            do="Save it without an alpha channel, with a value of its own for what was transparent",
        )
    return values[..., :-1]
