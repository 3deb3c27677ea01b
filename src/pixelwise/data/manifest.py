"""The index of a data set: paths, labels or masks, sizes and content hashes, in columns, with one class table."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pixelwise.data.assembly import DTYPES, BadImages
from pixelwise.data.build import index_folder
from pixelwise.data.columns import Arrays, TextColumn, checked, compact, expand, frozen
from pixelwise.data.description import description
from pixelwise.data.digests import DIGEST_BYTES, manifest_digest
from pixelwise.data.index_cache import default_cache_folder
from pixelwise.data.indexing import Progress
from pixelwise.data.layouts.class_names import Colour
from pixelwise.data.layouts.listing import Fault
from pixelwise.data.manifest_formats import ROWS, SCALARS, migrated
from pixelwise.data.mask_classes import MaskOptions
from pixelwise.data.masks import IGNORE, MaskKind, MaskReading
from pixelwise.data.metadata import find_cells
from pixelwise.data.names import SPLITS
from pixelwise.data.regions import Missing
from pixelwise.data.sample import Sample
from pixelwise.data.task_names import TARGET_FORMS, TargetForm, TaskName
from pixelwise.errors import RunError, UsageError, WeightsError
from pixelwise.storage.arrays import read_arrays, write_arrays

__all__ = ["DTYPES", "FORMAT", "BadImages", "Manifest", "Sample", "TaskName", "build_manifest"]

FORMAT: Final = 3
_FORMAT_KEY: Final = "pixelwise-manifest"  # the only metadata: several would be written in any order


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Manifest:
    """A frozen data set index.

    Attributes:
        layout: how the folder was read (see ``layouts.listing.LAYOUTS``).
        task: what the samples' targets are for.
        classes: one table for all splits.
        mask_reading: how masks become label maps; ``None`` where there are none.
        skipped: (path, reason) of everything left out; paths in printable form.
        notes: sentences on how the folder was read and divided.
        paths, masks, groups, annotations: text columns; see :class:`~pixelwise.data.sample.Sample`.
        metadata_names: columns of a table that say more of each sample, for networks that are conditioned on it.
        metadata: their cells, as a JSON list; empty without such columns.
        columns: numeric columns by name, read-only.

    """

    layout: str
    task: TaskName
    classes: tuple[str, ...]
    mask_reading: MaskReading | None
    skipped: tuple[Fault, ...]
    notes: tuple[str, ...]
    paths: TextColumn
    masks: TextColumn
    groups: TextColumn
    annotations: TextColumn
    metadata_names: tuple[str, ...]
    metadata: TextColumn
    columns: Arrays

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        return f"Manifest({self.layout}, {self.task}, {len(self)} samples, {len(self.classes)} classes)"

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        value = {name: int(self.columns[name][index]) for name in SCALARS if not name.startswith("mask_s")}
        return Sample(
            index=int(index),
            path=self.paths[index],
            frame=value["frame"],
            label=value["label"],
            annotation=self.annotations[index],
            mask=self.masks[index],
            mask_frame=value["mask_frame"],
            split=SPLITS[value["split"]],
            group=self.groups[index],
            depth=value["depth"],
            height=value["height"],
            width=value["width"],
            channels=value["channels"],
            dtype=DTYPES[value["dtype"]],
            size_bytes=value["size_bytes"],
            mtime_ns=value["mtime_ns"],
            sha256=self.columns["sha256"][index].tobytes().hex(),
            spacing=self.spacing(index),
        )

    def spacing(self, index: int) -> tuple[float, float, float] | None:
        """Millimetres between a volume's voxels, along depth, height and width; None where they are not known."""
        depth, height, width = (round(float(length), 6) for length in self.columns["spacing"][index])
        return (depth, height, width) if depth else None

    def size(self, index: int) -> tuple[int, ...]:
        """Height and width of a picture; depth, height and width of a volume."""
        return tuple(self.sizes()[index].tolist())

    def sizes(self) -> NDArray[np.int64]:
        """(n, 2) heights and widths of pictures; (n, 3) depths, heights and widths of volumes."""
        sides = ("depth", "height", "width")[-self.form.dimensions :]
        return np.stack([self.columns[side].astype(np.int64) for side in sides], axis=1)

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def column(self, name: str) -> NDArray[Any]:
        """One column, read-only.

        ``label``, ``frame``, ``mask_frame``, ``depth`` (0 for pictures), ``height``, ``width``, ``channels`` int32;
        ``split`` uint8 (place in ``names.SPLITS``); ``dtype`` uint8 (place in :data:`DTYPES`); ``size_bytes``,
        ``mtime_ns`` and the masks' int64; ``spacing`` (n, 3) float32 in mm, 0 where it is not known; ``sha256``,
        ``mask_sha256`` (n, 32) uint8; ``presence`` (n, ceil(classes / 8)) uint8, one bit for each class that is shown,
        lowest first (no columns where a sample has one class, its label); ``path``, ``mask``, ``group``, ``annotation``
        int32, equal where the strings are equal.
        """
        texts = self._texts()
        return texts[name].codes if name in texts else self.columns[name]

    def _texts(self) -> dict[str, TextColumn]:
        return {
            "path": self.paths, "mask": self.masks, "group": self.groups, "annotation": self.annotations,
            "metadata": self.metadata,
        }  # fmt: skip

    @property
    def form(self) -> TargetForm:
        """What the targets of the task are like."""
        return TARGET_FORMS[self.task]

    def indices(self, split: str) -> NDArray[np.int64]:
        """The samples of a split ("train", "val", "test", or "" for those in none), ascending."""
        return np.flatnonzero(self.columns["split"] == SPLITS.index(split))

    def with_splits(self, codes: NDArray[Any], *, note: str = "") -> "Manifest":
        """The same samples, divided by ``codes`` (n,), each a place in ``names.SPLITS``."""
        if len(codes) != len(self) or (len(codes) and int(np.max(codes)) >= len(SPLITS)):
            raise ValueError("one split code for each sample")
        notes = (*self.notes, note) if note else self.notes
        return replace(self, columns={**self.columns, "split": frozen(np.array(codes, np.uint8))}, notes=notes)

    def digest(self) -> str:
        """sha256 over what training depends on: paths, contents, labels, splits, classes and the reading of masks.

        Not over times and sizes of files: a copied data set has the same digest.
        """
        return manifest_digest(self)

    def cells(self, index: int) -> dict[str, str]:
        """Return what is said of a sample, by column; nothing without such columns."""
        if not self.metadata_names:
            return {}
        return dict(zip(self.metadata_names, json.loads(self.metadata[index]), strict=True))

    def describe(self) -> str:
        """Say in a few lines what was found and how it is read."""
        return description(self)

    def images_per_class(self, rows: NDArray[Any] | slice = slice(None)) -> NDArray[np.int64]:
        """(classes,) how many of the images in ``rows`` show each class."""
        return np.asarray(self.shows(rows).sum(axis=0), np.int64).ravel()

    def shows(self, rows: NDArray[Any] | slice = slice(None)) -> csr_array:
        """(samples, classes), 1 where a sample of ``rows`` (indices, or true for each) shows a class."""
        if self.form.shows_several:
            bits = self.columns["presence"][rows]
            return csr_array(np.unpackbits(bits, axis=1, count=len(self.classes), bitorder="little").astype(np.float64))
        labels = self.columns["label"][rows]
        known = np.flatnonzero(labels >= 0)
        return csr_array((np.ones(len(known)), (known, labels[known])), shape=(len(labels), len(self.classes)))

    def labelled(self) -> NDArray[np.bool_]:
        """(n,) whether a sample has its target; "no class at all" is one where a sample may show several."""
        if self.form.by_pixel:
            return np.array([bool(mask) for mask in self.masks.table()], np.bool_)[self.masks.codes]
        return np.ones(len(self), np.bool_) if self.form.shows_several else self.columns["label"] >= 0

    def save(self, path: Path) -> None:
        """Write the manifest atomically into one safetensors file.

        Raises:
            OutputError: it cannot be written.

        """
        about = {
            "layout": self.layout,
            "task": self.task,
            "classes": self.classes,
            "mask_reading": self.mask_reading.to_json() if self.mask_reading else None,
            "skipped": self.skipped,
            "notes": self.notes,
            "rows": len(self),
            "metadata_names": self.metadata_names,
        }
        arrays = {name: compact(column) for name, column in self.columns.items()}
        for name, text in self._texts().items():
            arrays.update(text.arrays(name))
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        write_arrays(path, arrays, {_FORMAT_KEY: str(FORMAT)})

    @classmethod
    def load(cls, path: Path) -> "Manifest":
        """Read what :meth:`save` wrote.

        Raises:
            RunError: missing, damaged, not a manifest, or of a newer format.

        """
        try:
            arrays, metadata = read_arrays(path)
        except WeightsError as error:
            raise RunError(error.came, expected="the manifest of a run", do="Restore it from a copy") from None
        number = metadata.get(_FORMAT_KEY, "")
        if not number.isdecimal():
            raise RunError(f"{path} is not a manifest", expected="a file that Manifest.save wrote", do="Check the path")
        if int(number) > FORMAT:
            raise RunError(f"{path} has format {number}", expected=f"at most {FORMAT}", do="Update pixelwise")
        try:
            return cls._from_arrays(arrays, int(number))
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{path} is damaged ({error})", do="Restore it from a copy, or index the data again"
            ) from None

    @classmethod
    def _from_arrays(cls, arrays: Arrays, number: int) -> "Manifest":
        about = json.loads(checked(arrays, "about", np.uint8, 1).tobytes())
        rows = int(about["rows"])
        if number < FORMAT:
            arrays, about = migrated(arrays, about, number)
        columns = {name: expand(checked(arrays, name, dtype, 1), rows) for name, dtype in SCALARS.items()}
        columns |= {name: expand(checked(arrays, name, dtype, 2), rows) for name, dtype in ROWS.items()}
        reading = about["mask_reading"]
        manifest = cls(
            layout=about["layout"],
            task=about["task"],
            classes=tuple(about["classes"]),
            mask_reading=None if reading is None else MaskReading.from_json(reading),
            skipped=tuple((where, why) for where, why in about["skipped"]),
            notes=tuple(about["notes"]),
            paths=TextColumn.from_arrays("path", arrays, rows),
            masks=TextColumn.from_arrays("mask", arrays, rows),
            groups=TextColumn.from_arrays("group", arrays, rows),
            annotations=TextColumn.from_arrays("annotation", arrays, rows),
            metadata_names=tuple(about["metadata_names"]),
            metadata=TextColumn.from_arrays("metadata", arrays, rows),
            columns=columns,
        )
        limits = {"label": len(manifest.classes), "split": len(SPLITS), "dtype": len(DTYPES)}
        for name, limit in limits.items():
            if rows and int(columns[name].max()) >= limit:
                raise ValueError(f"the column '{name}' holds {int(columns[name].max())}")
        if any(columns[name].shape[1] != DIGEST_BYTES for name in ("sha256", "mask_sha256")):
            raise ValueError("a hash of the wrong length")
        return manifest


def build_manifest(
    root: Path,
    *,
    task: TaskName | None = None,
    layout: str | None = None,
    classes: tuple[str, ...] | None = None,
    mask_kind: MaskKind | None = None,
    colours: tuple[Colour, ...] = (),
    ignore: int | None = IGNORE,
    bad_images: BadImages = "refuse",
    missing: Missing = "refuse",
    exclude: Mapping[str, str] = MappingProxyType({}),
    metadata: tuple[str, ...] = (),
    use_cache: bool = True,
    cache_folder: Path | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Index a data folder.

    Files that an earlier look has read, and whose size and time are as they were, are not opened again.

    Args:
        root: the data folder.
        task: what is to be trained, where the folder would serve for both.
        layout: a key of ``layouts.listing.LAYOUTS``; found by looking when ``None``.
        classes: the class table in its order; from the data when ``None``.
        mask_kind: how masks are to be read; judged by their values when ``None``.
        colours: for RGB masks, the colour (0..255) of each class.
        ignore: the mask value that no loss and no metric counts.
        bad_images: "refuse" raises on unreadable files, orphans and unfit masks; "skip" leaves them out and records
            them in ``skipped``.
        missing: "refuse" Zarr pictures without some of their chunks, or "fill" these; of masks they are always filled.
        exclude: files to be treated as unreadable: printable path to reason, such as ``CheckReport.undecodable``, or
            the ``skipped`` of an earlier manifest.
        metadata: columns of a table in the folder that say more of each picture.
        use_cache: whether to keep and use what is known of each file.
        cache_folder: where; by default ``$XDG_CACHE_HOME/pixelwise/manifests`` or ``~/.cache/pixelwise/manifests``.
        progress: called with (files done, files in all).

    Raises:
        DataError: the folder cannot serve as it is; the message says what was found and what would serve.
        UsageError: an option of an unknown value.

    """
    root = Path(root)
    if bad_images not in get_args(BadImages):
        raise UsageError(f"'{bad_images}' is no way to treat bad images", expected="refuse or skip")
    if classes is not None and len(set(classes)) != len(classes):
        raise UsageError("The class table names a class twice", expected="one name for each class")
    folder = cache_folder or default_cache_folder() if use_cache else None
    found, parts = index_folder(
        root,
        task=task,
        layout=layout,
        options=MaskOptions(classes=classes, kind=mask_kind, colours=colours, ignore=ignore),
        bad_images=bad_images,
        missing=missing,
        exclude=exclude,
        cache_folder=folder,
        progress=progress,
    )
    return Manifest(
        layout=parts.layout,
        task=found,
        classes=parts.classes,
        mask_reading=parts.reading,
        skipped=parts.skipped,
        notes=parts.notes,
        paths=TextColumn.of(parts.paths),
        masks=TextColumn.of(parts.masks),
        groups=TextColumn.of(parts.groups),
        annotations=TextColumn.of(parts.annotations),
        metadata_names=metadata,
        metadata=TextColumn.of(find_cells(root, metadata, parts.paths) if metadata else [""] * len(parts.paths)),
        columns=parts.columns,
    )
