"""The binary batches of CIFAR-10 and CIFAR-100.

Format (A. Krizhevsky, "The CIFAR-10 dataset", www.cs.toronto.edu/~kriz/cifar.html, "Binary version"): records of one
label byte (CIFAR-100: coarse, then fine) and 3 x 32 x 32 pixels, channel by channel in row order.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.layouts.table import decode_text
from pixelwise.data.layouts.tree import Tree
from pixelwise.data.names import show_path
from pixelwise.errors import DataError

NAME = "cifar"
_SMALL: Final = re.compile(r"(?:data_batch_\d+|test_batch)\.bin")
_LARGE: Final = ("train.bin", "test.bin")
_PICKLED: Final = re.compile(r"(?:data_batch_\d+|test_batch)")
_DOWNLOAD: Final = "https://www.cs.toronto.edu/~kriz/"


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the two formats."""

    name: str
    label_bytes: int
    num_classes: int
    names_file: str

    @property
    def record(self) -> np.dtype[np.void]:
        """One picture with its labels; the last label is the fine one."""
        return np.dtype([("labels", "u1", (self.label_bytes,)), ("pixels", "u1", (3, 32, 32))])


CIFAR_10: Final = Variant("CIFAR-10", 1, 10, "batches.meta.txt")
CIFAR_100: Final = Variant("CIFAR-100", 2, 100, "fine_label_names.txt")


@dataclass(frozen=True, slots=True)
class Batches:
    """The batches of one folder: paths relative to the data folder with their split codes."""

    variant: Variant
    files: tuple[tuple[str, int], ...]
    classes: tuple[str, ...]


def find_batches(tree: Tree) -> Batches | None:
    """Find binary batches, in the top folder or one below; ``None`` when there are none.

    Raises:
        DataError: only the pickled batches are there, or the batches lie in several folders, or the class names do
            not fit.

    """
    names = {path: path.rpartition("/")[2] for path in tree.files}
    for variant in (CIFAR_10, CIFAR_100):
        files = [path for path, name in names.items() if _belongs(tree, path, name, variant)]
        if not files:
            continue
        folders = {path.rpartition("/")[0] for path in files}
        if len(folders) > 1:
            raise DataError(
                f"{tree.root} holds {variant.name} batches in {len(folders)} folders",
                expected="one",
                do=f"Give one of them: {tree.root / min(folders)}",
            )
        codes = tuple((path, 3 if names[path].startswith("test") else 1) for path in files)
        return Batches(variant, codes, _class_names(tree, min(folders), variant))
    _refuse_pickles(tree, names)
    return None


def _belongs(tree: Tree, path: str, name: str, variant: Variant) -> bool:
    if variant is CIFAR_10:
        return _SMALL.fullmatch(name) is not None
    return name in _LARGE and (tree.root / path).stat().st_size % variant.record.itemsize == 0


def _refuse_pickles(tree: Tree, names: dict[str, str]) -> None:
    folders = {path.rpartition("/")[0] for path, name in names.items() if name in ("batches.meta", "meta")}
    for folder in sorted(folders):
        inside = {name for path, name in names.items() if path.rpartition("/")[0] == folder}
        small = any(_PICKLED.fullmatch(name) for name in inside)
        if small or {"train", "test"} <= inside:
            variant, archive = (CIFAR_10, "cifar-10-binary") if small else (CIFAR_100, "cifar-100-binary")
            raise DataError(
                f"{tree.root / folder} holds the pickled batches of {variant.name}; reading a pickle can run any code",
                expected="the binary version",
                do=f"Download {_DOWNLOAD}{archive}.tar.gz and unpack it",
            )


def _class_names(tree: Tree, folder: str, variant: Variant) -> tuple[str, ...]:
    path = f"{folder}/{variant.names_file}" if folder else variant.names_file
    if path not in tree.files:
        return tuple(str(label) for label in range(variant.num_classes))
    text, _ = decode_text((tree.root / path).read_bytes())
    names = tuple(line.strip() for line in text.splitlines() if line.strip())
    if len(set(names)) != variant.num_classes or len(names) != variant.num_classes:
        raise DataError(
            f"{tree.root / path} names {len(set(names))} classes",
            expected=f"{variant.num_classes} names, one a line",
            do="Bring the file again",
        )
    return names


def read_batch(path: Path, variant: Variant) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Read labels (N,) and pictures (N, 32, 32, 3) uint8, mapped into memory.

    Raises:
        DataError: the size is not a whole number of records, or a label is beyond the classes.

    """
    size, record = path.stat().st_size, variant.record
    if size == 0 or size % record.itemsize:
        raise DataError(
            f"{show_path(str(path))} has {size:,} bytes",
            expected=f"a multiple of {record.itemsize:,}, the size of one {variant.name} record",
            do="Bring the file again",
        )
    records = np.memmap(path, record, "r")
    labels = records["labels"][:, -1].astype(np.int64)
    if labels.max() >= variant.num_classes:
        first = int(np.argmax(labels >= variant.num_classes))
        raise DataError(
            f"{show_path(str(path))}: picture {first} has the label {labels[first]}",
            expected=f"0 to {variant.num_classes - 1} for {variant.name}",
            do="Bring the file again",
        )
    return labels, records["pixels"].transpose(0, 2, 3, 1)


def variant_of(name: str) -> Variant:
    """Which format a batch of this file name has."""
    return CIFAR_10 if _SMALL.fullmatch(name) else CIFAR_100
