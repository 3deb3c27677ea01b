"""Indexing of containers that hold thousands of pictures each: IDX files and CIFAR's binary batches."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data import cifar, idx
from pixelwise.data.assembly import Assembled
from pixelwise.data.columns import Arrays, frozen
from pixelwise.data.digests import DIGEST_BYTES, frame_sha256
from pixelwise.data.indexing import Progress
from pixelwise.data.layouts.class_names import find_class_names
from pixelwise.data.layouts.tree import Tree
from pixelwise.data.names import show_path
from pixelwise.errors import DataError


@dataclass(frozen=True, slots=True)
class Container:
    """One file of pictures: its path in the data folder, split code, labels (N,) and pictures (N, H, W, C) uint8."""

    path: str
    code: int
    labels: NDArray[np.int64]
    images: NDArray[np.uint8]


def open_container(path: Path) -> NDArray[np.uint8]:
    """The pictures (N, H, W, C) of an IDX file or a CIFAR batch, told apart by name."""
    if path.suffix.lower() != ".bin":
        return idx.read_images(path)
    return cifar.read_batch(path, cifar.variant_of(path.name))[1]


def index_idx(tree: Tree, found: idx.IdxFiles, classes: tuple[str, ...] | None, progress: Progress | None) -> Assembled:
    """Index IDX files; class names come from the caller, from a class file beside them, or are the labels themselves.

    Raises:
        DataError: a damaged file, different numbers of pictures and labels, labels beyond the class table, one class.

    """
    opened: list[Container] = []
    for pair in found.pairs:
        images, labels = idx.read_images(tree.root / pair.images), idx.read_labels(tree.root / pair.labels)
        if len(images) != len(labels):
            raise DataError(
                f"{tree.root}: {show_path(pair.images)} holds {len(images):,} pictures and {show_path(pair.labels)} "
                f"{len(labels):,} labels",
                expected="one label for each picture",
                do="Bring both files again",
            )
        opened.append(Container(pair.images, pair.code, labels, images))
    values = np.unique(np.concatenate([entry.labels for entry in opened]))
    named = find_class_names(tree) if classes is None else None
    table = named.names if named else classes
    notes = (f"Class names come from {named.source}.",) if named else ()
    if table is None:
        table = tuple(str(value) for value in values)
        opened = [
            Container(entry.path, entry.code, np.searchsorted(values, entry.labels), entry.images) for entry in opened
        ]
    elif values[0] < 0 or values[-1] >= len(table):
        raise DataError(
            f"{tree.root}: its labels run from {values[0]} to {values[-1]}",
            expected=f"0 to {len(table) - 1} for {len(table)} class names",
            do="Give a name for each label, 0 included",
        )
    return _assembled(
        tree, idx.NAME, opened, table, skipped=(*tree.skipped, *found.skipped), notes=notes, progress=progress
    )


def index_cifar(
    tree: Tree, found: cifar.Batches, classes: tuple[str, ...] | None, progress: Progress | None
) -> Assembled:
    """Index CIFAR batches.

    Raises:
        DataError: a damaged file, or a class table of another length.

    """
    table = found.classes if classes is None else classes
    if len(table) != found.variant.num_classes:
        raise DataError(
            f"{len(table)} class names for {found.variant.name}", expected=f"{found.variant.num_classes}", do="Give all"
        )
    opened: list[Container] = []
    for path, code in found.files:
        labels, images = cifar.read_batch(tree.root / path, found.variant)
        opened.append(Container(path, code, labels, images))
    return _assembled(tree, cifar.NAME, opened, table, skipped=tree.skipped, notes=(), progress=progress)


def _assembled(
    tree: Tree,
    layout: str,
    opened: list[Container],
    classes: tuple[str, ...],
    *,
    skipped: tuple[tuple[str, str], ...],
    notes: tuple[str, ...],
    progress: Progress | None,
) -> Assembled:
    if len(classes) < 2:
        raise DataError(f"{tree.root} holds one class only", expected="at least two classes", do="Check the labels")
    total = sum(len(entry.labels) for entry in opened)
    parts: dict[str, list[NDArray[Any]]] = {}
    done = 0
    for entry in opened:
        for name, column in _columns(tree, entry).items():
            parts.setdefault(name, []).append(column)
        done += len(entry.labels)
        if progress is not None:
            progress(done, total)
    columns: Arrays = {name: frozen(np.concatenate(columns)) for name, columns in parts.items()}
    return Assembled(
        layout=layout,
        classes=classes,
        reading=None,
        skipped=skipped,
        notes=notes,
        paths=[entry.path for entry in opened for _ in range(len(entry.labels))],
        masks=[""] * total,
        groups=[""] * total,
        annotations=[""] * total,
        columns=columns,
    )


def _columns(tree: Tree, entry: Container) -> Arrays:
    count, height, width, channels = entry.images.shape
    status = (tree.root / entry.path).stat()
    digests = b"".join(frame_sha256(picture) for picture in entry.images)
    constants: dict[str, tuple[int, Any]] = {
        "split": (entry.code, np.uint8),
        "mask_frame": (-1, np.int32),
        "depth": (0, np.int32),
        "height": (height, np.int32),
        "width": (width, np.int32),
        "channels": (channels, np.int32),
        "dtype": (0, np.uint8),
        "size_bytes": (status.st_size, np.int64),
        "mtime_ns": (status.st_mtime_ns, np.int64),
        "mask_size_bytes": (0, np.int64),
        "mask_mtime_ns": (0, np.int64),
    }
    columns: Arrays = {name: np.full(count, value, dtype) for name, (value, dtype) in constants.items()}
    columns["label"] = entry.labels.astype(np.int32)
    columns["frame"] = np.arange(count, dtype=np.int32)
    columns["sha256"] = np.frombuffer(digests, np.uint8).reshape(count, DIGEST_BYTES)
    columns["mask_sha256"] = np.zeros((count, DIGEST_BYTES), np.uint8)
    columns["spacing"] = np.zeros((count, 3), np.float32)
    columns["presence"] = np.zeros((count, 0), np.uint8)
    return columns
