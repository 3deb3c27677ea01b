"""IDX files, the container of MNIST and its descendants.

Format (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"): two zero bytes, a type code, the
number of dimensions, each dimension as a big-endian 32-bit integer, then the values in row order.
"""

import gzip
import math
import re
import zlib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.layouts.tree import Tree
from pixelwise.data.names import SPLIT_NAMES, show_path, some
from pixelwise.errors import DataError

NAME = "idx"
_UNSIGNED_BYTE: Final = 0x08
_INTEGERS: Final = {_UNSIGNED_BYTE: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4"}
_LARGEST_BYTES: Final = 2**34
_CHUNK_BYTES: Final = 2**24
_FILE: Final = re.compile(
    r"(?P<prefix>.*?)(?P<split>train|t10k|test|val|valid|validation)[-_]?(?P<kind>images|labels)"
    r"[-.]idx(?P<axes>[1-4])-ubyte(?P<packed>\.gz)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class IdxPair:
    """One split's two files, relative to the data folder; ``code`` is the split's (see ``names.SPLITS``)."""

    images: str
    labels: str
    code: int


@dataclass(frozen=True, slots=True)
class IdxFiles:
    """The pairs of one data set, and the (path, reason) of packed copies left aside."""

    pairs: tuple[IdxPair, ...]
    skipped: tuple[tuple[str, str], ...]


def find_files(tree: Tree, *, prefix: str | None = None) -> IdxFiles | None:
    """Find image and label files that belong together; ``None`` when there are none.

    Args:
        tree: the data folder.
        prefix: the start of the names to use where several data sets lie together (``emnist-letters-``).

    Raises:
        DataError: images without labels or the reverse, or several data sets in one folder.

    """
    sets: dict[tuple[str, str], dict[tuple[int, str], str]] = {}
    skipped: list[tuple[str, str]] = []
    for path in tree.files:  # natural order: the unpacked file precedes its .gz
        folder, _, name = path.rpartition("/")
        match = _FILE.fullmatch(name)
        if match is None or (prefix is not None and match["prefix"].rstrip("-_") != prefix.rstrip("-_")):
            continue
        split = match["split"].lower()
        members = sets.setdefault((folder, match["prefix"]), {})
        key = (3 if split == "t10k" else SPLIT_NAMES[split], match["kind"].lower())
        if key in members:
            skipped.append((show_path(path), f"the same as {show_path(members[key])}"))
        else:
            members[key] = path
    if len(sets) > 1:
        shown = [show_path("/".join(filter(None, (folder, start))) or ".") for folder, start in sets]
        names = sorted({start.rstrip("-_") for _, start in sets})
        do = f'Choose one: layout="idx:{names[-1]}"' if len(names) == len(sets) else "Give the folder of one of them"
        raise DataError(f"{tree.root} holds several IDX data sets: {some(shown)}", expected="one", do=do)
    pairs = tuple(pair for members in sets.values() for pair in _paired(tree, members))
    return IdxFiles(pairs, tuple(skipped)) if pairs else None


def _paired(tree: Tree, members: dict[tuple[int, str], str]) -> list[IdxPair]:
    for (code, kind), path in members.items():
        other = "labels" if kind == "images" else "images"
        if (code, other) not in members:
            raise DataError(
                f"{tree.root}: {show_path(path)} has no file of {other} beside it",
                expected="two files for each split, images and labels",
                do="Bring the missing file",
            )
    codes = sorted({code for code, _ in members})
    return [IdxPair(members[code, "images"], members[code, "labels"], code) for code in codes]


def read_images(path: Path) -> NDArray[np.uint8]:
    """Read pictures as (N, H, W, C) uint8: mapped into memory, or unpacked into it when gzipped.

    Raises:
        DataError: not an IDX file of bytes with three or four dimensions, truncated, or longer than it says.

    """
    code, shape = _header(path)
    if code != _UNSIGNED_BYTE or len(shape) not in (3, 4) or 0 in shape:
        raise _wrong(path, f"holds values of type 0x{code:02x} and shape {shape}", "unsigned bytes, (N, H, W)")
    images = _values(path, code, shape)
    return images if len(shape) == 4 else images[..., np.newaxis]


def read_labels(path: Path) -> NDArray[np.int64]:
    """Read labels as (N,) int64.

    Raises:
        DataError: not an IDX file of integers with one dimension, truncated, or longer than it says.

    """
    code, shape = _header(path)
    if len(shape) != 1 or code not in _INTEGERS:
        raise _wrong(path, f"holds values of type 0x{code:02x} and shape {shape}", "integers, (N,)")
    return _values(path, code, shape).astype(np.int64)


def _header(path: Path) -> tuple[int, tuple[int, ...]]:
    with closing(_open(path)) as file:
        start = _read(path, file, 4)
        if len(start) < 4 or start[:2] != b"\0\0" or not 1 <= start[3] <= 4:
            raise _wrong(path, "does not begin as an IDX file", "two zero bytes, a type and 1 to 4 dimensions")
        lengths = _read(path, file, 4 * start[3])
    if len(lengths) < 4 * start[3]:
        raise _wrong(path, "ends inside its header", "a whole file")
    return start[2], tuple(int(length) for length in np.frombuffer(lengths, ">u4"))


def _values(path: Path, code: int, shape: tuple[int, ...]) -> NDArray[Any]:
    dtype = np.dtype(_INTEGERS[code])
    header_bytes = 4 + 4 * len(shape)
    size_bytes = math.prod(shape) * dtype.itemsize
    if size_bytes > _LARGEST_BYTES:
        raise _wrong(path, f"declares {size_bytes:,} bytes", f"at most {_LARGEST_BYTES:,}")
    if path.suffix.lower() != ".gz":
        found = path.stat().st_size - header_bytes
        if found != size_bytes:
            raise _wrong(path, f"holds {found:,} bytes of values", f"{size_bytes:,} for the shape {shape}")
        return np.memmap(path, dtype, "r", header_bytes, shape) if size_bytes else np.zeros(shape, dtype)
    content = bytearray()
    with closing(_open(path)) as file:
        _read(path, file, header_bytes)
        while chunk := _read(path, file, min(_CHUNK_BYTES, size_bytes + 1 - len(content))):
            content += chunk
    if len(content) != size_bytes:
        more = "more than " if len(content) > size_bytes else ""
        raise _wrong(path, f"holds {more}{min(len(content), size_bytes):,} bytes of values", f"{size_bytes:,}")
    return np.frombuffer(content, dtype).reshape(shape)


def _open(path: Path) -> BinaryIO:
    # A GzipFile has all that is used of a BinaryIO, but the stubs do not relate the two.
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value] # see above


def _read(path: Path, file: BinaryIO, count: int) -> bytes:
    try:
        return file.read(count)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _wrong(path, f"cannot be unpacked ({error})", "an undamaged gzip file") from None


def _wrong(path: Path, what: str, expected: str) -> DataError:
    return DataError(f"{show_path(str(path))} {what}", expected=expected, do="Bring the file again")
