"""A manifest in a few lines of text."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.names import SPLITS, counted

if TYPE_CHECKING:
    from pixelwise.data.manifest import Manifest

_CLASSES_SHOWN: Final = 12


def description(manifest: "Manifest") -> str:
    """Say in a few lines what was found and how it is read."""
    height, width = manifest.columns["height"], manifest.columns["width"]
    classes = "1 class" if len(manifest.classes) == 1 else f"{len(manifest.classes)} classes"
    images = f"{counted(len(manifest), 'image')} {manifest.form.aim} {classes}"
    lines = [f"{manifest.layout}: {images}, {_extent(height, width)}."]
    counts = np.bincount(manifest.columns["split"], minlength=len(SPLITS))
    names = ("in no split", *SPLITS[1:])
    lines.append("Splits: " + ", ".join(f"{names[k]} {counts[k]:,}" for k in (1, 2, 3, 0) if counts[k]) + ".")
    per_class = manifest.images_per_class()
    shown = [f"{name} ({number:,})" for name, number in zip(manifest.classes, per_class.tolist(), strict=True)]
    rest = len(shown) - _CLASSES_SHOWN
    more = f" and {rest} more classes" if rest > 0 else ""
    lines.append(f"Images per class: {', '.join(shown[:_CLASSES_SHOWN])}{more}.")
    if manifest.mask_reading:
        lines.append(f"Masks are read as {manifest.mask_reading.kind}.")
    if manifest.skipped:
        entries = "1 entry" if len(manifest.skipped) == 1 else f"{len(manifest.skipped):,} entries"
        lines.append(f"Left out: {entries}, first {manifest.skipped[0][0]} ({manifest.skipped[0][1]}).")
    return "\n".join([*lines, *manifest.notes])


def _extent(height: NDArray[Any], width: NDArray[Any]) -> str:
    if not len(height):
        return "no pixels"
    low, high = (int(height.min()), int(width.min())), (int(height.max()), int(width.max()))
    smallest = f"{low[0]} x {low[1]} px"
    return smallest if low == high else f"{smallest} to {high[0]} x {high[1]} px"
