"""How masks are meant, judged by what they store, with a sentence that explains the judgement.

A guess is a proposal to be shown before training; whoever knows better says so. In order:

1. any mask in colours: ``rgb``, whose table of classes nobody can guess;
2. nothing but 0 and 255: ``binary255``; 255 beside other small values is "ignored" instead;
3. palette pictures: ``palette``;
4. values beyond 255, or objects numbered 1 to n that are each in one piece: ``instance``;
5. few values far apart (0, 128, 255): grey shades as class colours, ``rgb`` with that table;
6. else ``index``.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pixelwise.data.mask_reading import COLOUR_FILE, IGNORE, MAX_CLASSES, MaskKind, MaskReading
from pixelwise.data.mask_values import count_values, describe_counts, is_grey
from pixelwise.errors import MaskError

_LOOKED_AT_CLOSELY = 16  # masks whose objects are traced
_MANY_OBJECTS = 12
_SOME_OBJECTS = 6
_DIFFERENT_COUNTS = 3
_FEW_SHADES = 32
_SHADES_SHOWN = 16
_SHADE_GAP = 10
_WHOLE_SHARE = 0.95
_MOST_KEPT = 1 << 16  # distinct values or colours remembered; more are no classes

Colours = tuple[tuple[int, int, int], ...]


class MaskSurvey:
    """What a set of masks stores, gathered one mask at a time, and the reading that fits it.

    Attributes:
        num_masks: how many were added.
        pixels: pixels of each stored value; of each packed colour 0xRRGGBB when ``coloured`` masks are among them.
        masks: number of masks that hold each value.
        coloured: number of masks in colours.
        palettes: number of masks that store a palette.

    """

    def __init__(self) -> None:
        self.num_masks = 0
        self.coloured = 0
        self.palettes = 0
        self.pixels: dict[int, int] = {}
        self.masks: dict[int, int] = {}
        self._colour_pixels: dict[int, int] = {}
        self._objects: list[tuple[int, int, bool]] = []  # values, values in one piece, numbered 1 to n

    def add(self, values: NDArray[Any], *, palette: bool = False, in_space: bool = False) -> None:
        """Take in one mask's stored values: (H, W) or (H, W, 3), or with ``in_space`` (D, H, W)."""
        self.num_masks += 1
        self.palettes += palette
        if values.ndim == 3 and not in_space and is_grey(values):
            values = values[..., 0]
        if values.ndim == 3 and not in_space:
            self.coloured += 1
            _add_counts(self._colour_pixels, count_values(values))
            return
        counts = count_values(values.reshape(-1, values.shape[-1]))
        _add_counts(self.pixels, counts)
        _add_counts(self.masks, dict.fromkeys(counts, 1))
        if len(self._objects) < _LOOKED_AT_CLOSELY and any(counts):
            self._objects.append(_trace(values, [value for value in counts if value > 0]))

    @property
    def colours(self) -> dict[int, int]:
        """Pixels of each packed colour 0xRRGGBB; a grey v of a grey mask counts as (v, v, v)."""
        merged = dict(self._colour_pixels)
        _add_counts(merged, {value * 0x010101: number for value, number in self.pixels.items() if 0 <= value <= 255})
        return merged

    def reading(
        self,
        *,
        kind: MaskKind | None = None,
        num_classes: int | None = None,
        colours: Colours = (),
        ignore: int | None = IGNORE,
    ) -> tuple[MaskReading, str]:
        """Return the reading that fits, and a sentence that says why.

        Args:
            kind: the kind, where it is known.
            num_classes: the number of classes, where it is known (class names); else as many as the values need.
            colours: the colour table, where there is one; it makes the kind ``rgb``. Without one, the masks' own shades
                of grey are it.
            ignore: the value to be ignored in ``index`` and ``palette`` masks.

        Raises:
            MaskError: colours without a table, more than 255 classes, no mask, or options that contradict each other.

        """
        if not self.num_masks:
            raise MaskError("There is no mask to look at", expected="at least one mask", do="Check the masks' folder")
        if colours and kind in (None, "rgb"):
            return MaskReading("rgb", num_classes or len(colours), None, colours), "A colour table was given."
        if self.coloured and kind in (None, "rgb"):
            raise self._table_missing()
        given = f"Read as {kind}, as asked for. " if kind else ""
        found, why = (kind, "") if kind else self._kind()
        if found in ("binary255", "instance"):
            return MaskReading(found, num_classes or 2, None), given + why
        if found == "rgb":
            shades: Colours = tuple((value, value, value) for value in sorted(self.pixels) if 0 <= value <= 255)
            taken = _listed([grey for grey, *_ in shades])
            why = why or f"No colours are given for classes: {taken} are taken for them, in this order."
            return MaskReading("rgb", num_classes or len(shades), None, shades), given + why
        return self._index_reading(found, given + why, num_classes, ignore)

    def _kind(self) -> tuple[MaskKind, str]:
        values = sorted(self.pixels)
        if set(values) <= {0, 255} and 255 in values:
            return "binary255", "The masks hold only 0 and 255: 0 is background, 255 is foreground."
        if self.palettes == self.num_masks and values[-1] <= 255:
            return (
                "palette",
                "The masks are palette pictures: each palette index is a class, its colour does not count.",
            )
        if values[-1] > 255:
            return "instance", (
                f"The masks hold values up to {values[-1]:,}, too many for classes: they number objects. "
                "0 is background, every object is foreground."
            )
        if self._numbers_objects():
            return "instance", (
                "The masks number objects (each value is one connected piece): 0 is background, every object is "
                "foreground. If the values are classes, choose the kind index (--mask-kind index)."
            )
        if 2 <= len(values) <= _FEW_SHADES and min(b - a for a, b in pairwise(values)) >= _SHADE_GAP:
            shades = ", ".join(map(str, values))
            return "rgb", f"The masks hold the shades {shades}: each is a class, in this order; none is ignored."
        return "index", "The masks hold class indices."

    def _numbers_objects(self) -> bool:
        traced = [entry for entry in self._objects if entry[0]]
        values = sum(entry[0] for entry in traced)
        if not values or sum(entry[1] for entry in traced) < _WHOLE_SHARE * values:
            return False
        most = max(entry[0] for entry in traced)
        # Classes such as three organs may also lie in one piece each: only more numbers than that tell objects.
        counted = all(entry[2] for entry in traced) and len({entry[0] for entry in traced}) >= _DIFFERENT_COUNTS
        return most > _MANY_OBJECTS or (most >= _SOME_OBJECTS and counted)

    def _index_reading(
        self, kind: MaskKind, why: str, num_classes: int | None, ignore: int | None
    ) -> tuple[MaskReading, str]:
        values = sorted(self.pixels)
        if ignore == IGNORE and values and values[0] == -1 and 255 not in values:
            ignore = -1
        classes = [value for value in values if value != ignore and value >= 0]
        needed = classes[-1] + 1 if classes else 1
        if num_classes is None and needed > MAX_CLASSES:
            raise MaskError(
                f"The masks hold values up to {classes[-1]:,}",
                expected=f"class indices up to {MAX_CLASSES - 1}",
                do="Choose the kind instance (--mask-kind instance) if the values number objects, or correct the masks",
            )
        beyond = f", but only {num_classes} classes are named" if num_classes and needed > num_classes else ""
        notes = [why.strip(), f"They run from {classes[0] if classes else 0} to {needed - 1}{beyond}."]
        if ignore in self.pixels:
            notes.append(f"{ignore} is ignored.")
        if classes and classes[0] > 0:
            notes.append(f"No pixel is 0: the classes may be numbered from {classes[0]} instead of 0.")
        return MaskReading(kind, num_classes or needed, ignore), " ".join(note for note in notes if note)

    def _table_missing(self) -> MaskError:
        found = self.colours
        if len(found) > MAX_CLASSES:
            return MaskError(
                f"{self.coloured:,} of {self.num_masks:,} masks are in colours, {len(found):,} or more different ones",
                expected="one colour per class, at most 255",
                do="Check that these are masks, saved without smoothing and without loss",
            )
        return MaskError(
            f"{self.coloured:,} of {self.num_masks:,} masks are in colours: {describe_counts(found, colours=True)}",
            expected="a colour table: one red, green, blue per class",
            do=COLOUR_FILE,
        )


def guess_mask_kind(masks: Iterable[NDArray[Any]], *, palette: bool = False) -> tuple[MaskReading, str]:
    """Judge a sample of masks' stored values; see `MaskSurvey.reading`.

    Raises:
        MaskError: colours without a table, or no mask.

    """
    survey = MaskSurvey()
    for values in masks:
        survey.add(values, palette=palette)
    return survey.reading()


def _add_counts(total: dict[int, int], more: dict[int, int]) -> None:
    for value, number in more.items():
        if value in total or len(total) < _MOST_KEPT:
            total[value] = total.get(value, 0) + number


def _listed(shades: list[int]) -> str:
    named = list(map(str, shades))
    more = len(named) - _SHADES_SHOWN
    return f"the shades {', '.join(named[:_SHADES_SHOWN])}" + (f" and {more} more" if more > 0 else "")


def _trace(values: NDArray[Any], positive: list[int]) -> tuple[int, int, bool]:
    """Return the number of positive values, how many of them form one piece, and whether they are just 1 to n."""
    if len(positive) > MAX_CLASSES or positive[-1:] > [1 << 16]:
        return len(positive), len(positive), False  # too many for classes anyway
    whole = 0
    boxes = ndimage.find_objects(np.maximum(values, 0).astype(np.int32))
    for value in positive:
        box = boxes[value - 1]
        if values.ndim == 3:
            pieces = ndimage.label(values[box] == value, np.ones((3, 3, 3)))[1]
        else:
            pieces = cv2.connectedComponents((values[box] == value).astype(np.uint8), connectivity=8)[0] - 1
        whole += pieces == 1
    return len(positive), whole, positive == list(range(1, len(positive) + 1))
