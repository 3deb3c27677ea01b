"""From what a layout found to a manifest's columns: frames unfolded, faults gathered, labels or masks as classes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from pixelwise.data.columns import Arrays, frozen
from pixelwise.data.digests import DIGEST_BYTES
from pixelwise.data.indexing import FileRecord, Wanted
from pixelwise.data.layouts.listing import Fault, Listing
from pixelwise.data.layouts.tree import Tree
from pixelwise.data.mask_classes import MaskOptions
from pixelwise.data.masks import MaskReading
from pixelwise.data.names import show_path
from pixelwise.data.target_columns import TargetColumns, Unit, target_columns, without_empty_classes
from pixelwise.data.task_names import TARGET_FORMS
from pixelwise.data.volumes.agreement import disagreement
from pixelwise.data.volumes.volume import spacing_of
from pixelwise.errors import DataError

BadImages = Literal["refuse", "skip"]

DTYPES: Final = ("uint8", "uint16", "float32")  # a dtype's code in a manifest is its place here
_SHOWN_FAULTS: Final = 10
_SHOWN_OF_ALL: Final = 3  # where everything is at fault, mostly in the same way
_NO_HASH: Final = bytes(DIGEST_BYTES)
UNKNOWN: Final = (0.0, 0.0, 0.0)
"""The spacing of pictures, and of volumes that do not know theirs."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """The parts of a manifest; texts still as lists."""

    layout: str
    classes: tuple[str, ...]
    reading: MaskReading | None
    skipped: tuple[Fault, ...]
    notes: tuple[str, ...]
    paths: Sequence[str]
    masks: Sequence[str]
    groups: Sequence[str]
    annotations: Sequence[str]
    columns: Arrays


def wanted_files(listing: Listing) -> list[Wanted]:
    """Every file that the rows name, once; frames count one by one only where masks can follow them."""
    in_space = TARGET_FORMS[listing.task].dimensions == 3  # then the frames of a file are slices of one volume
    by_frame = bool(listing.masks) and not in_space
    by_window = listing.task == "segmentation"

    def as_wanted(path: str, *, mask: bool) -> Wanted:
        return Wanted(path, mask=mask, by_frame=by_frame, in_space=in_space, by_window=by_window)

    wanted = {path: as_wanted(path, mask=False) for path in listing.paths}
    wanted.update((mask, as_wanted(mask, mask=True)) for mask in listing.masks)
    return list(wanted.values())


def assemble(
    tree: Tree,
    listing: Listing,
    records: dict[str, FileRecord],
    reasons: dict[str, str],
    *,
    options: MaskOptions,
    bad_images: BadImages,
) -> Assembled:
    """Join rows and file records.

    Args:
        tree: the data folder.
        listing: what its layout found.
        records: by path, of every readable file that the rows name.
        reasons: by path, of the unreadable ones.
        options: how the user wants masks to be read, and class names.
        bad_images: "refuse" raises on the first bad samples; "skip" leaves them out and records them.

    Raises:
        DataError: bad samples (under "refuse"), nothing usable, one class only.

    """
    units, faults = _units(listing, records, reasons)
    found = target_columns(tree, listing, units, records, options) if units else TargetColumns([], listing.classes, [])
    faults = [*tree.faults, *listing.faults, *faults, *found.faults]
    if faults and bad_images == "refuse":
        raise _refusal(tree, faults)
    if not found.units:
        why = [*faults, *found.skipped]
        raise DataError(
            f"{tree.root}: none of its images can be used" + (f" ({_shown(why, _SHOWN_OF_ALL)})" if why else ""),
            expected="readable images, each with its label or mask",
            do="Check the folder",
        )
    if options.classes is None and not TARGET_FORMS[listing.task].by_pixel:
        found = without_empty_classes(tree, listing, found)
    units = found.units
    stacked = bool(listing.masks) and any(frame >= 0 for _, frame in units)
    return Assembled(
        layout="stack" if stacked else listing.layout,
        classes=found.classes,
        reading=found.reading,
        skipped=(*tree.skipped, *listing.skipped, *faults, *found.skipped),
        notes=(*listing.notes, *found.notes),
        paths=[listing.paths[row] for row, _ in units],
        masks=[listing.masks[row] if listing.masks else "" for row, _ in units],
        groups=[listing.groups[row] if listing.groups else "" for row, _ in units],
        annotations=found.annotations or [""] * len(units),
        columns=_columns(listing, found, records),
    )


def _units(listing: Listing, records: dict[str, FileRecord], reasons: dict[str, str]) -> tuple[list[Unit], list[Fault]]:
    units: list[Unit] = []
    faults: dict[str, str] = {}
    for row, path in enumerate(listing.paths):
        mask = listing.masks[row] if listing.masks else ""
        unread = [name for name in (path, mask) if name and name not in records]
        if unread:
            faults.update((name, reasons[name]) for name in unread)
        elif not mask and records[path].frames > 1:
            faults[path] = f"holds {records[path].frames} frames, one picture is expected: split the file"
        elif mask and (reason := _disagreement(records[path], records[mask])):
            faults[mask] = reason
        else:
            frames = records[path].frames
            units.extend((row, frame) for frame in (range(frames) if frames > 1 else (-1,)))
    return units, [(show_path(name), reason) for name, reason in faults.items()]


def _disagreement(image: FileRecord, mask: FileRecord) -> str:
    if image.depth:
        return disagreement(image, mask)
    if mask.frames != image.frames:
        return f"a mask of {mask.frames} frames for an image of {image.frames}"
    if (mask.height, mask.width) != (image.height, image.width):
        return f"a mask of {mask.height} x {mask.width} px for an image of {image.height} x {image.width} px"
    return ""


def _columns(listing: Listing, found: TargetColumns, records: dict[str, FileRecord]) -> Arrays:
    units = found.units
    images = [records[listing.paths[row]] for row, _ in units]
    masks = [records[listing.masks[row]] if listing.masks else None for row, _ in units]
    frames = [frame for _, frame in units]
    count = len(units)
    columns: Arrays = {
        "label": np.array(found.labels, np.int32),
        "split": np.array([listing.splits[row] if listing.splits else 0 for row, _ in units], np.uint8),
        "frame": np.array(frames, np.int32),
        "mask_frame": np.array([frame if listing.masks else -1 for frame in frames], np.int32),
        "depth": np.fromiter((image.depth for image in images), np.int32, count),
        "spacing": np.array([spacing_of(image.affine) or UNKNOWN for image in images], np.float32).reshape(-1, 3),
        "height": np.fromiter((image.height for image in images), np.int32, count),
        "width": np.fromiter((image.width for image in images), np.int32, count),
        "channels": np.fromiter((image.channels for image in images), np.int32, count),
        "dtype": np.fromiter((DTYPES.index(image.dtype) for image in images), np.uint8, count),
        "size_bytes": np.fromiter((image.size_bytes for image in images), np.int64, count),
        "mtime_ns": np.fromiter((image.mtime_ns for image in images), np.int64, count),
        "mask_size_bytes": np.fromiter((mask.size_bytes if mask else 0 for mask in masks), np.int64, count),
        "mask_mtime_ns": np.fromiter((mask.mtime_ns if mask else 0 for mask in masks), np.int64, count),
        "sha256": _matrix((image.hash_of(frame) for image, frame in zip(images, frames, strict=True)), DIGEST_BYTES),
        "mask_sha256": _matrix(
            (mask.hash_of(frame) if mask else _NO_HASH for mask, frame in zip(masks, frames, strict=True)),
            DIGEST_BYTES,
        ),
        "presence": _matrix(found.presence, (len(found.classes) + 7) // 8)
        if found.presence
        else np.zeros((count, 0), np.uint8),
    }
    return {name: frozen(column) for name, column in columns.items()}


def _matrix(rows: Iterable[bytes], width: int) -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, width)


def _refusal(tree: Tree, faults: list[Fault]) -> DataError:
    entries = "1 entry" if len(faults) == 1 else f"{len(faults):,} entries"
    return DataError(
        f"{tree.root}: {entries} cannot be used: {_shown(faults)}",
        expected="readable images, each with its label or mask",
        do='Mend or remove them, or leave them out with bad_images="skip" (--bad-images skip)',
    )


def _shown(faults: list[Fault], most: int = _SHOWN_FAULTS) -> str:
    shown = "; ".join(f"{where} ({reason})" for where, reason in faults[:most])
    rest = len(faults) - most
    return f"{shown}; and {rest:,} more" if rest > 0 else shown
