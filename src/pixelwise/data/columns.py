"""Columns of many rows in few bytes: strings in one buffer, constants stored once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class TextColumn:
    """Strings, each distinct one stored once, as bytes.

    Attributes:
        codes: (n,) int32, each row's place in the table of distinct strings, which are in order of first appearance.
        offsets: (distinct + 1,) int64, where each string begins in ``blob``.
        blob: uint8, the strings one after another; bytes that are not UTF-8 (file names) survive the round trip.

    """

    codes: NDArray[np.int32]
    offsets: NDArray[np.int64]
    blob: NDArray[np.uint8]

    @classmethod
    def of(cls, texts: Iterable[str]) -> "TextColumn":
        """Build a column."""
        place: dict[str, int] = {}
        codes = np.fromiter((place.setdefault(text, len(place)) for text in texts), np.int32)
        encoded = [text.encode("utf-8", "surrogateescape") for text in place]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(item) for item in encoded], out=offsets[1:])
        return cls(frozen(codes), frozen(offsets), frozen(np.frombuffer(b"".join(encoded), np.uint8)))

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> str:
        return self.distinct(int(self.codes[row]))

    def distinct(self, code: int) -> str:
        """The string that ``code`` stands for."""
        return bytes(self.blob[self.offsets[code] : self.offsets[code + 1]]).decode("utf-8", "surrogateescape")

    def table(self) -> list[str]:
        """Every distinct string, by code."""
        content, ends = self.blob.tobytes(), self.offsets.tolist()
        return [content[start:end].decode("utf-8", "surrogateescape") for start, end in pairwise(ends)]

    def texts(self) -> list[str]:
        """Every row."""
        table = self.table()
        return [table[code] for code in self.codes.tolist()]

    def arrays(self, name: str) -> Arrays:
        """Arrays for a file; :meth:`from_arrays` takes them back."""
        return {f"{name}.codes": compact(self.codes), f"{name}.offsets": self.offsets, f"{name}.text": self.blob}

    @classmethod
    def from_arrays(cls, name: str, arrays: Mapping[str, NDArray[Any]], rows: int) -> "TextColumn":
        """Rebuild a column of ``rows`` rows.

        Raises:
            ValueError: the arrays are missing or contradict each other.

        """
        codes = expand(checked(arrays, f"{name}.codes", np.int32, 1), rows)
        offsets, blob = checked(arrays, f"{name}.offsets", np.int64, 1), checked(arrays, f"{name}.text", np.uint8, 1)
        whole = (
            len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == len(blob) and bool((np.diff(offsets) >= 0).all())
        )
        if not whole or (rows and (codes.min() < 0 or codes.max() >= len(offsets) - 1)):
            raise ValueError(f"the column '{name}' contradicts itself")
        return cls(codes, frozen(offsets), frozen(blob))


def compact(column: NDArray[Any]) -> NDArray[Any]:
    """One row in place of a column whose rows are all equal."""
    return column[:1] if len(column) > 1 and bool((column == column[:1]).all()) else column


def expand(column: NDArray[Any], rows: int) -> NDArray[Any]:
    """Undo :func:`compact` without using memory.

    Raises:
        ValueError: the column has neither one row nor ``rows``.

    """
    if len(column) != rows and len(column) != 1:
        raise ValueError(f"a column of {len(column)} rows among {rows}")
    return frozen(column) if len(column) == rows else np.broadcast_to(column, (rows, *column.shape[1:]))


def checked(arrays: Mapping[str, NDArray[Any]], name: str, dtype: Any, axes: int) -> NDArray[Any]:
    """Fetch an array that must have this dtype and number of axes.

    Raises:
        ValueError: it has not, or is missing.

    """
    if name not in arrays:
        raise ValueError(f"'{name}' is missing")
    array = arrays[name]
    if array.dtype != dtype or array.ndim != axes:
        raise ValueError(f"'{name}' is {array.dtype} with {array.ndim} axes")
    return array


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Forbid writing, so that a shared column stays what it is."""
    array.flags.writeable = False
    return array
