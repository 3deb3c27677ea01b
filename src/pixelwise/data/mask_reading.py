"""From stored mask values to a label map, under a reading that is written down once.

A label map is (H, W) uint8: 0 to K - 1 are classes, 255 is ignored by every loss and every metric. What a file's
values mean is not in the file, so a `MaskReading` says it, and every value that it does not cover is an error. Masks
are never interpolated, and never taken from a format that may have changed their values.

====================  =========================================================================================
kind                  meaning of the stored values
====================  =========================================================================================
``index``             v is class v; ``ignore`` (255 unless said otherwise) is ignored
``palette``           as ``index``, for palette PNGs: the index counts, its colour does not
``binary255``         0 is background, 255 is foreground (so 255 is *not* ignored here)
``rgb``               each colour of the table is a class, in the table's order; grey v stands for (v, v, v)
``instance``          0 is background, every other value is one object: all objects become class 1 (foreground)
====================  =========================================================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.mask_values import as_grey, colour_codes, count_values, describe_counts
from pixelwise.errors import MaskError

IGNORE = 255
"""The value of a label map that no loss and no metric counts."""

MAX_CLASSES = 255

MaskKind = Literal["index", "binary255", "palette", "rgb", "instance"]
MASK_KINDS: tuple[MaskKind, ...] = get_args(MaskKind)

_BINARY = 2

COLOUR_FILE = (
    "Put class_dict.csv into the data folder, with the columns name, r, g, b (0 to 255) and a line for each class; "
    "from Python, colours=((r, g, b), ...) does the same"
)
"""How a user says which colours mean which classes."""


@dataclass(frozen=True, slots=True)
class MaskReading:
    """How stored values become classes.

    Attributes:
        kind: see the module's table.
        num_classes: the number of classes, 1 to 255; 2 for ``binary255`` and ``instance``.
        ignore: the stored value that is ignored (``index`` and ``palette`` only), or None.
        colours: for ``rgb``, one (red, green, blue) of 0..255 per class.

    Raises:
        MaskError: the fields contradict each other.

    """

    kind: MaskKind
    num_classes: int
    ignore: int | None = IGNORE
    colours: tuple[tuple[int, int, int], ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in MASK_KINDS:
            raise MaskError(f"Mask kind {self.kind!r} is not known", expected=", ".join(MASK_KINDS), do="Choose one")
        if not 1 <= self.num_classes <= MAX_CLASSES:
            raise MaskError(
                f"{self.num_classes} classes", expected="1 to 255 (255 marks ignored pixels)", do="Merge some"
            )
        if self.kind in ("binary255", "instance") and self.num_classes != _BINARY:
            raise MaskError(
                f"{self.num_classes} classes for masks of kind {self.kind}",
                expected="two: background and foreground",
                do="Give two class names",
            )
        if self.kind == "rgb" and len(set(self.colours)) != self.num_classes:
            raise MaskError(
                f"{len(set(self.colours))} different colours for {self.num_classes} classes",
                expected="a table of one (red, green, blue) per class, in the order of the classes",
                do=COLOUR_FILE,
            )
        if any(not 0 <= value <= 255 for colour in self.colours for value in colour):
            raise MaskError("A colour of the table is out of range", expected="0 to 255", do=COLOUR_FILE)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "kind": self.kind,
            "num_classes": self.num_classes,
            "ignore": self.ignore,
            "colours": [list(colour) for colour in self.colours],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "MaskReading":
        """Rebuild from `to_json`."""
        red_green_blue = [(int(r), int(g), int(b)) for r, g, b in content["colours"]]
        ignore = content["ignore"]
        return cls(
            content["kind"], int(content["num_classes"]), None if ignore is None else int(ignore), tuple(red_green_blue)
        )


def apply_reading(values: NDArray[Any], reading: MaskReading, name: str) -> NDArray[np.uint8]:
    """Turn stored values, (H, W) or (H, W, 3), into a label map; ``name`` is for messages. See `read_label_map`."""
    if reading.kind == "rgb":
        return _by_colour(values, reading, name)
    values = as_grey(values, reading.kind, name)
    if reading.kind == "instance":
        if values.dtype.kind == "i" and int(values.min()) < 0:
            raise _unknown(name, values[values < 0], "0 (background) and positive object numbers")
        return (values != 0).view(np.uint8)
    codes = [0, 255] if reading.kind == "binary255" else list(range(reading.num_classes))
    pairs = {code: k for k, code in enumerate(codes)}
    if reading.kind != "binary255" and reading.ignore is not None:
        pairs[reading.ignore] = IGNORE
    return _by_table(values, pairs, name, _meaning(reading))


def _meaning(reading: MaskReading) -> str:
    if reading.kind == "binary255":
        return "0 (background) and 255 (foreground)"
    ignored = "" if reading.ignore is None else f" and {reading.ignore} (ignored)"
    return f"class indices 0 to {reading.num_classes - 1}{ignored}"


def _by_table(values: NDArray[Any], pairs: Mapping[int, int], name: str, meaning: str) -> NDArray[np.uint8]:
    small = values
    if values.dtype != np.uint8:
        outside = (values < 0) | (values > 255) if values.dtype.kind == "i" else values > 255
        if outside.any():
            known = np.isin(values, list(pairs))
            if not known.all():
                raise _unknown(name, values[~known], meaning)
            return _by_search(values.astype(np.int64), pairs)
        small = values.astype(np.uint8)
    table, known = np.zeros(256, np.uint8), np.zeros(256, np.bool_)
    for value, target in pairs.items():
        if 0 <= value <= 255:
            table[value], known[value] = target, True
    if not known[small].all():
        raise _unknown(name, values[~known[small]], meaning)
    return table[small]


def _by_search(values: NDArray[np.int64], pairs: Mapping[int, int]) -> NDArray[np.uint8]:
    codes = np.array(sorted(pairs), np.int64)
    targets = np.array([pairs[int(code)] for code in codes], np.uint8)
    return targets[np.searchsorted(codes, values)]


def _by_colour(values: NDArray[Any], reading: MaskReading, name: str) -> NDArray[np.uint8]:
    codes = colour_codes(values)
    pairs = {(r << 16) | (g << 8) | b: k for k, (r, g, b) in enumerate(reading.colours)}
    order = np.array(sorted(pairs), np.int64)
    place = np.minimum(np.searchsorted(order, codes), len(order) - 1)
    strange = order[place] != codes
    if strange.any():
        raise MaskError(
            f"{name} holds colours that no class has: {describe_counts(count_values(codes[strange]), colours=True)}",
            expected=f"the {reading.num_classes} colours of the table",
            do=f"Correct the mask, or add them: {COLOUR_FILE[0].lower()}{COLOUR_FILE[1:]}",
        )
    return np.array([pairs[int(code)] for code in order], np.uint8)[place]


def _unknown(name: str, values: NDArray[Any], meaning: str) -> MaskError:
    return MaskError(
        f"{name} holds values that mean nothing: {describe_counts(count_values(values))}",
        expected=meaning,
        do="Correct the mask, or choose how masks are read (--mask-kind, --classes, --ignore)",
    )
