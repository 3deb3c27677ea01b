"""What the masks of a data set mean: their reading, the class table, and the classes that each mask shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.indexing import FileRecord, MaskLook
from pixelwise.data.layouts.class_names import Colour, find_class_names
from pixelwise.data.layouts.tree import Tree
from pixelwise.data.masks import (
    IGNORE,
    MaskKind,
    MaskReading,
    MaskSurvey,
    apply_reading,
    read_label_map,
    read_mask_values,
)
from pixelwise.data.names import show_name, show_path
from pixelwise.data.regions import LARGE_PIXELS
from pixelwise.data.volumes.reading import read_label_values
from pixelwise.data.windows import is_windowed, open_mask_windows
from pixelwise.errors import DataError, MaskError

_LOOKED_AT_CLOSELY: Final = 16  # masks whose objects are traced to tell classes from numbered objects
_BINARY: Final = ("background", "foreground")
_OBJECTS: Final = ("background", "object")

MaskFile = tuple[str, int]  # relative path, frame (-1 for the whole file)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskOptions:
    """How the user wants masks to be read; ``None`` and empty leave it to the data.

    Attributes:
        classes: class names in order.
        kind: the kind of mask.
        colours: one colour for each class, for RGB masks.
        ignore: the stored value that no loss and no metric counts, or ``None``.

    """

    classes: tuple[str, ...] | None = None
    kind: MaskKind | None = None
    colours: tuple[Colour, ...] = ()
    ignore: int | None = IGNORE


@dataclass(frozen=True, slots=True)
class MaskClasses:
    """The masks of a data set as classes.

    Attributes:
        classes: the class table.
        reading: how stored values become classes.
        presence: for each mask, one bit for each class that it shows, lowest first.
        faults: place among the masks to the reason why the reading does not cover it.
        notes: sentences that say why they are read so.

    """

    classes: tuple[str, ...]
    reading: MaskReading
    presence: list[bytes]
    faults: dict[int, str]
    notes: tuple[str, ...]


def read_masks(
    tree: Tree,
    files: Sequence[MaskFile],
    records: dict[str, FileRecord],
    options: MaskOptions,
    *,
    of_objects: bool = False,
) -> MaskClasses:
    """Find the reading that fits, then the classes of each mask.

    Args:
        tree: the data folder.
        files: the masks.
        records: of their files.
        options: how the user wants them to be read.
        of_objects: whether objects are to be told apart: values that may be classes or numbers of objects are numbers.

    Raises:
        DataError: RGB masks without colour table, options or a class file that contradict the masks, one class only, no
            object in any of them.

    """
    named = find_class_names(tree) if options.classes is None else None
    names = named.names if named else options.classes
    looks = [records[path].looks[max(frame, 0)] for path, frame in files]
    # Of grey masks whose kind nobody says, a class file's colours are those of a legend.
    has_colours = options.kind == "rgb" or any(look.coloured for look in looks)
    colours = options.colours or (named.colours if named and has_colours else ())
    names, unnamed = (names, "") if colours else _without_ignored(names, options)
    survey = _survey(tree, files, looks, records, trace=options.kind is None and not colours)
    try:
        reading, why = survey.reading(
            kind=options.kind, num_classes=len(names) if names else None, colours=colours, ignore=options.ignore
        )
    except MaskError as error:
        raise MaskError(f"{tree.root}: {error.came}", expected=error.expected, do=error.do) from None
    if of_objects:
        _refuse_nothing(tree, looks)
        reading, why = _as_objects(reading, why, looks, options)
    if reading.num_classes < len(_BINARY):
        raise DataError(
            f"{tree.root}: its masks show one class only",
            expected="at least two classes (background counts)",
            do="Check the masks, or name the classes with classes (--classes background,cell)",
        )
    presence, faults = _presence(tree, files, looks, records, reading)
    source = f"Class names come from {named.source}." if named else ""
    notes = tuple(note for note in (source, why, unnamed) if note)
    if of_objects and not names and reading.kind == "instance":
        names = _OBJECTS
    return MaskClasses(
        names or _names(reading, in_space=any(records[path].depth for path, _ in files)),
        reading,
        presence,
        faults,
        notes,
    )


def _without_ignored(names: tuple[str, ...] | None, options: MaskOptions) -> tuple[tuple[str, ...] | None, str]:
    """Take a class that is ignored out of the end of the class table, and say so: nothing could be learned of it."""
    is_last = names is not None and len(names) > len(_BINARY) and options.ignore == len(names) - 1
    if names is None or not is_last or options.kind not in (None, "index", "palette"):
        return names, ""
    return names[:-1], f"{show_name(names[-1])} is ignored and is no class."


def _refuse_nothing(tree: Tree, looks: Sequence[MaskLook]) -> None:
    if not any(look.values.any() for look in looks):
        raise DataError(
            f"{tree.root}: none of its {len(looks):,} masks shows an object",
            expected="masks in which every object has a number of its own, and the background is 0",
            do="Check the masks",
        )


def _as_objects(
    reading: MaskReading, why: str, looks: Sequence[MaskLook], options: MaskOptions
) -> tuple[MaskReading, str]:
    """Take values for numbers of objects unless the user says that they are classes, and say how objects are found."""
    several = {int(value) for look in looks for value in look.values if value} - {options.ignore}
    undecided = options.kind is None and not options.colours and not any(look.coloured for look in looks)
    if undecided and reading.kind in ("index", "rgb") and len(several) > 1:
        return MaskReading("instance", len(_BINARY), None), (
            "Every value of the masks but 0 is taken for the number of an object. If the values are classes, choose "
            "the kind index (--mask-kind index): then each connected piece of a class is an object."
        )
    if reading.kind == "instance" and options.kind is None:
        why = (
            "The masks number their objects, and 0 is background. If the values are classes, choose the kind index "
            "(--mask-kind index)."
        )
    elif reading.kind != "instance":
        why += " Objects are the connected pieces of each class: those that touch count as one."
    return reading, why


def _survey(
    tree: Tree,
    files: Sequence[MaskFile],
    looks: Sequence[MaskLook],
    records: dict[str, FileRecord],
    *,
    trace: bool,
) -> MaskSurvey:
    """Gather all masks' values: some masks anew from their files, whose objects are traced, the others by stand-ins."""
    survey = MaskSurvey()
    coloured = any(look.coloured for look in looks)
    closely = set(_first_drawn(looks)) if trace and not coloured else set()
    for place in sorted(closely):
        path, frame = files[place]
        if records[path].depth:
            survey.add(read_label_values(tree.root / path), in_space=True)
            continue
        if _is_large(tree.root / path, records[path]):  # a part tells whether values are objects; for all see below
            drawn = (strip for strip in open_mask_windows(tree.root / path).strips() if strip.any())
            survey.add(next(drawn), palette=looks[place].palette)
            closely.remove(place)
            continue
        values, palette = read_mask_values(tree.root / path, frame=frame if frame >= 0 else None)
        survey.add(values, palette=palette)
    for place, look in enumerate(looks):
        if place not in closely:
            survey.add(look.in_full() if coloured else look.stand_in(), palette=look.palette)
    return survey


def _first_drawn(looks: Sequence[MaskLook]) -> Iterator[int]:
    drawn = (place for place, look in enumerate(looks) if look.values.any())
    return (place for place, _ in zip(drawn, range(_LOOKED_AT_CLOSELY), strict=False))


def _names(reading: MaskReading, *, in_space: bool) -> tuple[str, ...]:
    if reading.num_classes == len(_BINARY) and reading.kind != "rgb":
        return _BINARY
    names = [f"class_{index}" for index in range(reading.num_classes)]
    if in_space and reading.kind == "index":
        names[0] = _BINARY[0]  # what is no structure: most of every volume
    return tuple(names)


def _presence(
    tree: Tree,
    files: Sequence[MaskFile],
    looks: Sequence[MaskLook],
    records: dict[str, FileRecord],
    reading: MaskReading,
) -> tuple[list[bytes], dict[int, str]]:
    presence: list[bytes] = []
    faults: dict[int, str] = {}
    for place, (look, (path, frame)) in enumerate(zip(looks, files, strict=True)):
        shown = np.zeros(256, np.bool_)
        try:
            if not look.complete and reading.kind != "instance":
                shown[_classes_shown(tree.root / path, frame, reading, records[path])] = True
            else:
                shown[apply_reading(look.stand_in(), reading, show_path(path))] = True
        except MaskError:
            faults[place] = _reason(tree, files[place], reading, records[path])
        presence.append(np.packbits(shown[: reading.num_classes], bitorder="little").tobytes())
    return presence, faults


def _is_large(path: Path, record: FileRecord) -> bool:
    """Whether a mask is looked through part by part."""
    return not record.depth and record.height * record.width > LARGE_PIXELS and is_windowed(path)


def _classes_shown(path: Path, frame: int, reading: MaskReading, record: FileRecord) -> NDArray[np.uint8]:
    name = show_path(str(path))
    if _is_large(path, record):
        strips = open_mask_windows(path).strips()
        return np.concatenate([np.unique(apply_reading(strip, reading, name)) for strip in strips])
    if record.depth:
        return np.unique(apply_reading(read_label_values(path).reshape(-1, record.width), reading, name))
    return np.unique(read_label_map(path, reading, frame=frame if frame >= 0 else None))


def _reason(tree: Tree, file: MaskFile, reading: MaskReading, record: FileRecord) -> str:
    """What is wrong with a mask that the reading does not cover, with true counts of pixels."""
    path, frame = tree.root / file[0], file[1]
    try:
        _classes_shown(path, frame, reading, record)
    except MaskError as error:
        reason = error.came.removeprefix(show_path(str(path))).strip()
        return f"frame {frame}: {reason}" if frame >= 0 else reason
    return "it changed while it was read"
