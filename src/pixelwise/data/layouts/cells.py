"""The target of a table's row, task by task: a class, a mask, several classes, a class and a box, or a string.

A new task is one function and one line in :data:`READERS`.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from pixelwise.data.layouts.file_finder import FileFinder
from pixelwise.data.names import show_path
from pixelwise.data.task_names import BOX_COLUMNS, TaskName

Box = tuple[float, float, float, float]
"""x_min, y_min, x_max, y_max in pixels of the picture, whose edges are 0, 0, width, height."""

_BETWEEN_LABELS: Final = re.compile(r"[;|]")


@dataclass(frozen=True, slots=True)
class Target:
    """What a row says of its picture.

    Attributes:
        names: class names: one, or any number for tasks whose pictures show several; of a string, its characters.
        mask: the mask's path in the data folder.
        box: of the object.
        boxes: of several objects, one for each of ``names``.

    """

    names: tuple[str, ...] = ()
    mask: str = ""
    box: Box | None = None
    boxes: tuple[Box, ...] = ()

    def __add__(self, other: "Target") -> "Target":
        """Join what two rows say of one picture's objects."""
        return Target(names=self.names + other.names, boxes=self.boxes + other.boxes)


Reader = Callable[[Mapping[str, str], FileFinder], Target | str]
"""Takes a row's cells by role; returns its target, or what is wrong with it."""


def _label(cells: Mapping[str, str], finder: FileFinder) -> Target | str:
    if not cells["label"]:
        return f"no label for {_picture(cells, finder)}"
    return Target(names=(show_path(cells["label"]),))


def _mask(cells: Mapping[str, str], finder: FileFinder) -> Target | str:
    if not cells["mask"]:
        return f"no mask for {_picture(cells, finder)}"
    mask = finder.find(cells["mask"])
    return finder.why_not(cells["mask"]) if mask is None else Target(mask=mask)


def _labels(cells: Mapping[str, str], _finder: FileFinder) -> Target | str:
    """Names with ; or | between them; none at all is an answer like any other."""
    names = (show_path(part.strip()) for part in _BETWEEN_LABELS.split(cells["labels"]))
    return Target(names=tuple(dict.fromkeys(name for name in names if name)))


def _box(cells: Mapping[str, str], finder: FileFinder) -> Target | str:
    target = _label(cells, finder)
    if isinstance(target, str):
        return target
    edges = []
    for column in BOX_COLUMNS:
        edge = as_number(cells[column])
        if edge is None:
            point = cells[column].replace(",", ".")
            remedy = "" if as_number(point) is None else f": write {point}"
            came = f"the box of {_picture(cells, finder)} has '{show_path(cells[column])}' for {column}, not a number"
            return came + remedy
        edges.append(edge)
    x_min, y_min, x_max, y_max = edges
    for axis, low, high in (("x", x_min, x_max), ("y", y_min, y_max)):
        if high < low:
            return f"the box of {_picture(cells, finder)} has {axis}_min and {axis}_max swapped: {low:g} and {high:g}"
    if x_max == x_min or y_max == y_min:
        return f"the box of {_picture(cells, finder)} has no extent: x {x_min:g} to {x_max:g}, y {y_min:g} to {y_max:g}"
    return Target(names=target.names, box=(x_min, y_min, x_max, y_max))


def _object(cells: Mapping[str, str], finder: FileFinder) -> Target | str:
    """One of a picture's objects; a row whose label and edges are all empty says that there is none."""
    if not any(cells[column] for column in ("label", *BOX_COLUMNS)):
        return Target()
    target = _box(cells, finder)
    if isinstance(target, str):
        return target
    assert target.box is not None  # a row of a box has one
    return Target(names=target.names, boxes=(target.box,))


def _text(cells: Mapping[str, str], finder: FileFinder) -> Target | str:
    """The characters in their order, accents joined to their letters (Unicode's normal form C)."""
    text = unicodedata.normalize("NFC", cells["text"])
    if not text:
        return f"no text for {_picture(cells, finder)}"
    odd = next((character for character in text if not character.isprintable()), None)
    if odd is not None:
        return f"the text of {_picture(cells, finder)} has a character that cannot be printed, U+{ord(odd):04X}"
    return Target(names=tuple(text))


def as_number(cell: str | float) -> float | None:
    """Return a cell as a finite number; None where it is none."""
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _picture(cells: Mapping[str, str], finder: FileFinder) -> str:
    return show_path(finder.find(cells["path"]) or cells["path"])


READERS: Final[Mapping[TaskName, Reader]] = {
    "classification": _label,
    "segmentation": _mask,
    "multilabel": _labels,
    "localisation": _box,
    "detection": _object,
    "sequence": _text,
    "instances": _mask,
    "volumes": _mask,
}
