"""Label maps and probabilities of any size, written by region and block by block.

Whatever regions are written, a block goes to the disk once, when its last pixel has come; blocks that wait for pixels
are held in memory, at most those along the front. While it is written, the file lies beside its place under the name
``NAME.unfinished`` and no reader takes it for a picture. Once it is whole it gets its name: at once when it is closed,
or later, together with others, by :func:`publish`.
"""

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.names import show_path
from pixelwise.data.regions.base import Region, RegionSink, chunk_region, chunks_of, extent, overlap, slices
from pixelwise.errors import OutputError, RunError
from pixelwise.storage.atomic import make_folder, output_error, sync_folder

UNFINISHED = ".unfinished"
"""Behind the name of an output that is being written, or whose writer was stopped."""

Place = tuple[int, ...]
"""Where a block lies in the grid of blocks."""
Record = tuple[int, ...]
"""What a store has to know of a block that it holds, as whole numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What is to be written."""

    shape: tuple[int, ...]
    """(H, W, C) or (D, H, W, C)."""
    dtype: "np.dtype[Any]"
    block: tuple[int, ...]
    """Along each axis of space, the planes first."""
    pixel_size: tuple[float, ...] | None = None
    """In micrometres along each axis of space."""
    palette: tuple[tuple[int, int, int], ...] = ()
    """Red, green, blue of 0..255 for each value of a label map; empty for none."""

    @property
    def size(self) -> tuple[int, ...]:
        """Extent along each axis of space."""
        return self.shape[:-1]

    @property
    def places(self) -> list[Place]:
        """All blocks, in row-major order."""
        return chunks_of(tuple((0, side) for side in self.size), self.block)


class Store(ABC):
    """Where blocks go: a file or a folder of one format."""

    def __init__(self, path: Path, form: Form) -> None:
        self.path, self.form = path, form

    @abstractmethod
    def begin(self) -> None:
        """Start anew; nothing is there."""

    @abstractmethod
    def go_on(self, written: Mapping[Place, Record]) -> bool:
        """Open what an earlier process left, and cut off what is not of these blocks; tell whether these are there."""

    @abstractmethod
    def put(self, place: Place, block: NDArray[Any]) -> Record:
        """Write a block, cut off at the picture's end, (h, w, C) or (d, h, w, C)."""

    @abstractmethod
    def flush(self) -> None:
        """Bring what was written to the disk."""

    @abstractmethod
    def finish(self, written: Mapping[Place, Record]) -> None:
        """Make a whole file of the blocks."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file, whole or not."""


class BlockSink(RegionSink):
    """Gathers regions into blocks and hands them to a store.

    Args:
        path: where the output appears when it is whole.
        store: takes the blocks; its path is ``path`` with :data:`UNFINISHED` behind it.
        written: blocks that an earlier process wrote; without any it is begun anew. What is written to them again is
            left out.

    Raises:
        OutputError: the place cannot be written.
        RunError: what an earlier process wrote is not there any more.

    """

    def __init__(self, path: Path, store: Store, written: Mapping[Place, Record] | None = None) -> None:
        self.path, self._store, self.form = path, store, store.form
        self.shape, self.dtype = store.form.shape, store.form.dtype
        self.written: dict[Place, Record] = dict(written or {})
        self.is_complete = False
        self._waiting: dict[Place, tuple[NDArray[Any], int]] = {}
        self._fresh: list[tuple[Place, Record, NDArray[Any]]] = []
        make_folder(path.parent)
        try:
            if not self.written:  # whatever stands there is of nothing that was noted down
                remove(store.path)
                store.begin()
            elif path.exists() and not store.path.exists() and len(self.written) == len(self.form.places):
                self.is_complete = True  # stopped while the outputs got their names
            elif not store.go_on(self.written):
                store.close()
                raise RunError(
                    f"{show_path(str(store.path))} is not as it was left: it lacks blocks that were written",
                    expected="the unfinished output of a prediction that was stopped",
                    do="Begin anew",
                )
        except OSError as error:
            store.close()
            raise self._failed(error) from error

    def holds(self, region: Region) -> bool:
        """Tell whether every block that a region touches is written."""
        return self.is_complete or all(place in self.written for place in chunks_of(region, self.form.block))

    def write(self, region: Region, values: NDArray[Any]) -> None:
        """Write the pixels of a region, (h, w, C) or (d, h, w, C); see :class:`RegionSink`.

        Raises:
            OutputError: the disk is full, or the place cannot be written.

        """
        origin = tuple(start for start, _ in region)
        for place in chunks_of(region, self.form.block):
            if place in self.written:
                continue
            whole = chunk_region(place, self.form.block, self.form.size)
            common = overlap(whole, region)
            assert common is not None  # the block is one of those that the region touches
            corner = tuple(start for start, _ in whole)
            part = values[slices(common, origin)]
            block, missing = self._waiting.get(place) or (None, int(np.prod(extent(whole))))
            if block is None:
                block = np.empty((*extent(whole), self.shape[-1]), self.dtype)
            block[slices(common, corner)] = part
            missing -= int(np.prod(extent(common)))
            if missing:
                self._waiting[place] = (block, missing)
                continue
            self._waiting.pop(place, None)
            self._put(place, block)

    def flush(self) -> list[tuple[Place, Record, NDArray[Any]]]:
        """Bring whole blocks to the disk; return those that are new since the last time.

        Raises:
            OutputError: the disk is full.

        """
        fresh, self._fresh = self._fresh, []
        if fresh:
            try:
                self._store.flush()
            except OSError as error:
                raise self._failed(error) from error
        return fresh

    def finish(self) -> None:
        """Make a whole file of the blocks, still under its unfinished name.

        Raises:
            OutputError: blocks are missing, or the disk is full.

        """
        if self.is_complete:
            return
        absent = len(self.form.places) - len(self.written)
        if absent:
            raise OutputError(
                f"{show_path(str(self.path))} is not finished: {absent} of its blocks were not written",
                do="Predict it again",
            )
        try:
            self._store.finish(self.written)
            self._store.close()
        except OSError as error:
            raise self._failed(error) from error
        self.is_complete = True

    def close(self) -> None:
        """Make a whole file of the blocks, under its own name.

        Raises:
            OutputError: blocks are missing, or the disk is full.

        """
        self.finish()
        publish(self.path)

    def abandon(self) -> None:
        """Let go of the file, which stays as it is for another process to go on with."""
        self._store.close()

    def _put(self, place: Place, block: NDArray[Any]) -> None:
        try:
            record = self._store.put(place, block)
        except OSError as error:
            raise self._failed(error) from error
        self.written[place] = record
        self._fresh.append((place, record, block))

    def _failed(self, error: OSError) -> OutputError:
        fault = output_error(self.path, error)
        return OutputError(
            fault.came, expected=fault.expected, do="Free some space, or mend the place; the same command then goes on"
        )


def unfinished(path: Path) -> Path:
    """Return what an output is called until it is whole."""
    return path.with_name(path.name + UNFINISHED)


def whole(path: Path) -> Path:
    """Return where an output that is whole lies: under its unfinished name, until it is published."""
    return unfinished(path) if unfinished(path).exists() else path


def publish(path: Path) -> None:
    """Give an output that is whole its name; one that has it keeps it.

    Raises:
        OutputError: the place cannot be written.

    """
    try:
        if unfinished(path).exists():
            if path.is_dir():
                remove(path)  # a folder cannot be put in the place of another
            unfinished(path).replace(path)
            sync_folder(path.parent)
    except OSError as error:
        raise output_error(path, error) from error


def remove(path: Path) -> None:
    """Remove a file or a folder, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Bring a file to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
