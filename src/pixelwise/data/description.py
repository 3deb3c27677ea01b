"""A manifest in a few lines of text."""

from typing import TYPE_CHECKING, Final

import numpy as np

from pixelwise.data.names import SPLITS, counted
from pixelwise.data.volumes.volume import show_spacing

if TYPE_CHECKING:
    from pixelwise.data.manifest import Manifest

_CLASSES_SHOWN: Final = 12


def description(manifest: "Manifest") -> str:
    """Say in a few lines what was found and how it is read."""
    classes = "1 class" if len(manifest.classes) == 1 else f"{len(manifest.classes)} classes"
    noun = manifest.form.sample
    images = f"{counted(len(manifest), noun)} {manifest.form.aim} {classes}"
    lines = [f"{manifest.layout}: {images}, {_extent(manifest)}."]
    counts = np.bincount(manifest.columns["split"], minlength=len(SPLITS))
    names = ("in no split", *SPLITS[1:])
    lines.append("Splits: " + ", ".join(f"{names[k]} {counts[k]:,}" for k in (1, 2, 3, 0) if counts[k]) + ".")
    per_class = manifest.images_per_class()
    shown = [f"{name} ({number:,})" for name, number in zip(manifest.classes, per_class.tolist(), strict=True)]
    rest = len(shown) - _CLASSES_SHOWN
    more = f" and {rest} more classes" if rest > 0 else ""
    lines.append(f"{noun.capitalize()}s per class: {', '.join(shown[:_CLASSES_SHOWN])}{more}.")
    if manifest.mask_reading:
        lines.append(f"Masks are read as {manifest.mask_reading.kind}.")
    if manifest.skipped:
        entries = "1 entry" if len(manifest.skipped) == 1 else f"{len(manifest.skipped):,} entries"
        lines.append(f"Left out: {entries}, first {manifest.skipped[0][0]} ({manifest.skipped[0][1]}).")
    return "\n".join([*lines, *manifest.notes])


def _extent(manifest: "Manifest") -> str:
    if not len(manifest):
        return "no pixels"
    sizes = manifest.sizes()
    low, high = (" x ".join(map(str, side.tolist())) for side in (sizes.min(axis=0), sizes.max(axis=0)))
    if manifest.form.dimensions == 2:
        return f"{low} px" if low == high else f"{low} px to {high} px"
    spacings = {manifest.spacing(index) for index in range(len(manifest))}
    first = spacings.pop()
    apart = "unequal spacings" if spacings else "unknown spacing" if first is None else f"{show_spacing(first)} apart"
    return f"{low} voxels, {apart}" if low == high else f"{low} to {high} voxels, {apart}"
