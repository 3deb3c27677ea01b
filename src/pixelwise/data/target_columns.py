"""The targets of a manifest, from what a layout found: labels, classes per mask or per picture, boxes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from pixelwise.data.box_lists import box_list_text, parse_box_list
from pixelwise.data.boxes import box_around, box_text, cut_box, largest_object
from pixelwise.data.indexing import FileRecord
from pixelwise.data.layouts.listing import OBJECT_MASKS, Fault, Listing
from pixelwise.data.layouts.tree import Tree
from pixelwise.data.mask_classes import MaskOptions, read_masks
from pixelwise.data.mask_reading import apply_reading
from pixelwise.data.mask_values import read_mask_raw
from pixelwise.data.masks import MaskReading, read_label_map
from pixelwise.data.names import counted, show_path, some
from pixelwise.data.objects import objects_apart, read_objects
from pixelwise.data.task_names import TARGET_FORMS
from pixelwise.errors import DataError

BACKGROUND_ONLY: Final = "a mask of background only: there is nothing to draw a box around"
"""Why a sample is left aside."""

Unit = tuple[int, int]
"""A listing's row, and the frame in its files (-1 for the whole file)."""


@dataclass(slots=True)
class TargetColumns:
    """The usable samples with their targets.

    Attributes:
        units: the samples.
        classes: one table for all.
        labels: class indices, -1 where a sample may show several.
        presence: one bit for each class that a sample shows, lowest first; empty where ``labels`` say it.
        annotations: text that says more than a class, "" for none: class indices in their order, a box, or any number
            of boxes with their classes.
        reading: how masks become label maps.
        faults: samples that cannot be used.
        skipped: samples and classes that are left aside without fault.
        notes: sentences for the manifest.

    """

    units: list[Unit]
    classes: tuple[str, ...]
    labels: list[int]
    presence: list[bytes] = field(default_factory=list)
    annotations: list[str] = field(default_factory=list)
    reading: MaskReading | None = None
    faults: list[Fault] = field(default_factory=list)
    skipped: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def target_columns(
    tree: Tree, listing: Listing, units: list[Unit], records: dict[str, FileRecord], options: MaskOptions
) -> TargetColumns:
    """Give every sample its target.

    Args:
        tree: the data folder.
        listing: what its layout found.
        units: the samples whose files can be read; at least one.
        records: of these files.
        options: how the user wants masks to be read, and class names.

    Raises:
        DataError: the masks cannot be read as one kind, or there are too few classes.

    """
    if not listing.masks:
        found = _of_rows(listing, units, records)
    else:
        found = _of_masks(tree, listing, units, records, options)
        if listing.task == "detection":
            found = _around_objects(tree, listing, found)
        elif not TARGET_FORMS[listing.task].by_pixel:
            found = _around_masks(tree, listing, found, keeps_all=options.classes is not None)
    return found


def without_empty_classes(tree: Tree, listing: Listing, found: TargetColumns) -> TargetColumns:
    """Drop the classes of which no image is left; those whose folders were empty are not in the table to begin with.

    Raises:
        DataError: too few are left.

    """
    several, of_boxes = TARGET_FORMS[listing.task].shows_several, listing.task == "detection"
    shown = (
        [_indices(text, of_boxes=of_boxes) for text in found.annotations]
        if several
        else [(label,) for label in found.labels]
    )
    counts = np.bincount([index for indices in shown for index in indices], minlength=len(found.classes))
    kept = [index for index, count in enumerate(counts.tolist()) if count]
    if len(kept) < TARGET_FORMS[listing.task].fewest_classes:
        raise DataError(
            f"{tree.root} holds usable images of one class only ('{found.classes[kept[0]]}')"
            if kept
            else f"{tree.root}: no usable image shows a class",
            expected="at least two classes" if kept else "at least one class",
            do="Mend the images of the others" if kept else "Mend the images that do",
        )
    if len(kept) == len(found.classes):
        return found
    empty = [name for name, count in zip(found.classes, counts, strict=True) if not count]
    place = {old: new for new, old in enumerate(kept)}
    classes = tuple(found.classes[index] for index in kept)
    renumbered = [tuple(place[index] for index in indices) for indices in shown]
    skipped = [*found.skipped, *((name, "a class without usable images") for name in empty)]
    if several:
        presence, annotations = _several(renumbered, len(classes))
        if of_boxes:
            boxes = ([box for _, box in parse_box_list(text)] for text in found.annotations)
            annotations = [box_list_text(list(zip(*one, strict=True))) for one in zip(renumbered, boxes, strict=True)]
        return replace(found, classes=classes, skipped=skipped, presence=presence, annotations=annotations)
    return replace(found, classes=classes, skipped=skipped, labels=[indices[0] for indices in renumbered])


def _of_rows(listing: Listing, units: list[Unit], records: dict[str, FileRecord]) -> TargetColumns:
    """Labels, sets or strings of classes, or boxes, as the rows give them."""
    if listing.box_lists:
        return _of_box_lists(listing, units, records)
    if TARGET_FORMS[listing.task].shows_several:
        presence, annotations = _several([listing.shown[row] for row, _ in units], len(listing.classes))
        return TargetColumns(units, listing.classes, [-1] * len(units), presence, annotations)
    found = TargetColumns([], listing.classes, [])
    beyond = 0
    for row, frame in units:
        if listing.boxes:
            path = listing.paths[row]
            height, width = records[path].height, records[path].width
            seen = cut_box(listing.boxes[row], height, width)
            if seen is None:
                x_min, y_min, x_max, y_max = listing.boxes[row]
                where = f"x {x_min:g} to {x_max:g}, y {y_min:g} to {y_max:g}"
                reason = f"its box ({where}) lies outside the picture of {height} x {width} px"
                found.faults.append((show_path(path), reason))
                continue
            beyond += seen != listing.boxes[row]
            found.annotations.append(box_text(seen))
        found.units.append((row, frame))
        found.labels.append(listing.labels[row] if listing.labels else -1)
    if beyond:
        found.notes.append(_cut_note(beyond))
    return found


def _of_box_lists(listing: Listing, units: list[Unit], records: dict[str, FileRecord]) -> TargetColumns:
    """Any number of boxes in a picture, cut to its edges."""
    found = TargetColumns([], listing.classes, [])
    shown, beyond = list[tuple[int, ...]](), 0
    for row, frame in units:
        path = listing.paths[row]
        height, width = records[path].height, records[path].width
        given = list(zip(listing.shown[row], listing.box_lists[row], strict=True))
        seen = [(label, cut) for label, box in given if (cut := cut_box(box, height, width)) is not None]
        if len(seen) < len(given):
            lost = len(given) - len(seen)
            reason = f"{_boxes(lost)} {_lies(lost)} outside the picture of {height} x {width} px"
            found.faults.append((show_path(path), reason))
            continue
        beyond += sum(cut != box for (_, cut), (_, box) in zip(seen, given, strict=True))
        found.units.append((row, frame))
        found.annotations.append(box_list_text(seen))
        shown.append(tuple(label for label, _ in seen))
    if beyond:
        found.notes.append(_cut_note(beyond))
    presence, _ = _several(shown, len(listing.classes))
    return replace(found, labels=[-1] * len(found.units), presence=presence)


def _of_masks(
    tree: Tree, listing: Listing, units: list[Unit], records: dict[str, FileRecord], options: MaskOptions
) -> TargetColumns:
    files = [(listing.masks[row], frame) for row, frame in units]
    if listing.layout == OBJECT_MASKS:
        options = replace(options, kind="instance")
    read = read_masks(tree, files, records, options, of_objects=listing.task in ("instances", "detection"))
    right = [place for place in range(len(units)) if place not in read.faults]
    return TargetColumns(
        units=[units[place] for place in right],
        classes=read.classes,
        labels=[-1] * len(right),
        presence=[read.presence[place] for place in right],
        reading=read.reading,
        faults=[(show_path(files[place][0]), reason) for place, reason in read.faults.items()],
        notes=list(read.notes),
    )


def _around_masks(tree: Tree, listing: Listing, masked: TargetColumns, *, keeps_all: bool) -> TargetColumns:
    """Draw a box around the largest class of each mask; the background is a class no longer.

    Classes that are nowhere the largest are dropped, unless the table ``keeps_all`` of them.
    """
    assert masked.reading is not None  # it was read with masks
    found = replace(masked, units=[], labels=[], presence=[])
    for row, frame in masked.units:
        path = listing.masks[row]
        label_map = read_label_map(tree.root / path, masked.reading, frame=frame if frame >= 0 else None)
        drawn = largest_object(label_map)
        if drawn is None:
            found.skipped.append((show_path(path), BACKGROUND_ONLY))
            continue
        found.units.append((row, frame))
        found.labels.append(drawn[0])
        found.annotations.append(box_text(drawn[1]))
    drawn_classes = set(found.labels)
    kept = [index for index in range(1, len(masked.classes)) if keeps_all or index in drawn_classes]
    notes = [f"Boxes are drawn around the largest class of each mask; '{masked.classes[0]}' counts as background."]
    dropped = [name for index, name in enumerate(masked.classes) if index and index not in kept]
    if dropped:
        notes.append(f"Nowhere the largest, and no class any more: {some(dropped)}.")
    if len(found.units) < len(masked.units):
        notes.append(f"{counted(len(masked.units) - len(found.units), 'mask')} of background only: left out.")
    place = {old: new for new, old in enumerate(kept)}
    return replace(
        found,
        classes=tuple(masked.classes[index] for index in kept),
        labels=[place[label] for label in found.labels],
        notes=[*found.notes, *notes],
    )


def _around_objects(tree: Tree, listing: Listing, masked: TargetColumns) -> TargetColumns:
    """Draw a box around each object of each mask; the background is a class no longer."""
    assert masked.reading is not None  # it was read with masks
    found = replace(masked, units=[], labels=[], presence=[])
    shown = []
    for row, frame in masked.units:
        values = read_mask_raw(tree.root / listing.masks[row], frame=frame if frame >= 0 else None)
        name = show_path(listing.masks[row])
        label_map = apply_reading(values, masked.reading, name)
        boxes = [
            (int(label_map[rows, columns][inside][0]) - 1, box_around(inside, rows.start, columns.start))
            for (rows, columns), inside in objects_apart(read_objects(values, masked.reading, name))
        ]
        found.units.append((row, frame))
        found.annotations.append(box_list_text(boxes))
        shown.append(tuple(label for label, _ in boxes))
    presence, _ = _several(shown, len(masked.classes) - 1)
    touching = "" if masked.reading.kind == "instance" else " of pixels that touch"
    note = f"Boxes are drawn around each object{touching}; '{masked.classes[0]}' counts as background."
    return replace(
        found,
        classes=masked.classes[1:],
        labels=[-1] * len(found.units),
        presence=presence,
        notes=[*found.notes, note],
    )


def _several(shown: Sequence[tuple[int, ...]], num_classes: int) -> tuple[list[bytes], list[str]]:
    """Presence bits and annotations of samples that show these classes, in these orders."""
    bits = np.zeros((len(shown), num_classes), np.bool_)
    for row, indices in enumerate(shown):
        bits[row, list(indices)] = True
    presence = [row.tobytes() for row in np.packbits(bits, axis=1, bitorder="little")]
    return presence, [" ".join(map(str, indices)) for indices in shown]


def _indices(annotation: str, *, of_boxes: bool) -> tuple[int, ...]:
    """Class indices of what a picture shows, in their order."""
    if of_boxes:
        return tuple(label for label, _ in parse_box_list(annotation))
    return tuple(map(int, annotation.split()))


def _cut_note(beyond: int) -> str:
    reach = "reaches beyond its picture and was" if beyond == 1 else "reach beyond their pictures and were"
    return f"{_boxes(beyond)} {reach} cut to it."


def _lies(number: int) -> str:
    return "lies" if number == 1 else "lie"


def _boxes(number: int) -> str:
    return "1 box" if number == 1 else f"{number:,} boxes"
