"""The cache of file records: the second look at a data folder opens only what has changed.

One file per data folder, ``manifests/<digest of the absolute path>.safetensors`` in the user's cache folder. A cache
that is missing, damaged, of another format or not writable is no fault: the files are read again.
"""

import hashlib
import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.columns import Arrays, TextColumn, checked
from pixelwise.data.digests import DIGEST_BYTES
from pixelwise.data.indexing import FileRecord, MaskLook
from pixelwise.errors import PixelwiseError
from pixelwise.storage.arrays import read_arrays, write_arrays
from pixelwise.storage.atomic import make_folder

_FORMAT: Final = "2"
_SETTLED_NS: Final = 2_000_000_000  # the coarsest clock of a file system: younger files may change unseen
_NUMBERS: Final = ("size_bytes", "mtime_ns", "height", "width", "channels", "frames", "depth")

_NOWHERE: Final = (0.0,) * 12  # the matrix of a file without one


def default_cache_folder() -> Path | None:
    """``$XDG_CACHE_HOME/pixelwise/manifests``, by default in ``~/.cache``; ``None`` for a user without home."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        base = Path(os.path.expanduser("~")) / ".cache"  # noqa: PTH111 - Path.expanduser raises without home
    return base / "pixelwise" / "manifests" if base.is_absolute() else None


def cache_path(folder: Path, root: Path) -> Path:
    """The cache file of one data folder."""
    name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:32]
    return folder / f"{name}.safetensors"


def load_records(path: Path) -> dict[str, FileRecord]:
    """Records by path; none when the cache cannot be used."""
    try:
        arrays, metadata = read_arrays(path)
        return _records(arrays) if metadata.get("format") == _FORMAT else {}
    except (PixelwiseError, ValueError, KeyError, IndexError):
        return {}


def save_records(path: Path, records: dict[str, FileRecord]) -> None:
    """Write the cache, or do without; files younger than two seconds are left out."""
    limit = time.time_ns() - _SETTLED_NS
    settled = {name: record for name, record in records.items() if record.mtime_ns < limit}
    try:
        make_folder(path.parent)
        write_arrays(path, _arrays(settled), {"format": _FORMAT})
    except PixelwiseError:
        return


def _arrays(records: dict[str, FileRecord]) -> Arrays:
    rows = list(records.values())
    looks = [entry for row in rows for entry in row.looks]
    arrays: Arrays = {
        **TextColumn.of(records).arrays("path"),
        **TextColumn.of(row.dtype for row in rows).arrays("dtype"),
        "sha256": _joined(row.sha256 for row in rows),
        "frame_hashes": _joined(digest for row in rows for digest in row.frame_hashes),
        "affine": np.array([row.affine or _NOWHERE for row in rows], np.float64).reshape(-1, len(_NOWHERE)),
        "num_hashes": np.array([len(row.frame_hashes) for row in rows], np.int64),
        "num_looks": np.array([len(row.looks) for row in rows], np.int64),
        "look_flags": np.array([[e.coloured, e.palette, e.complete] for e in looks], np.uint8).reshape(-1, 3),
        "look_lengths": np.array([len(entry.values) for entry in looks], np.int64),
        "look_values": _concatenated([entry.values for entry in looks]),
        "look_counts": _concatenated([entry.counts for entry in looks]),
    }
    for name in _NUMBERS:
        arrays[name] = np.array([getattr(row, name) for row in rows], np.int64)
    return arrays


def _records(arrays: Arrays) -> dict[str, FileRecord]:
    rows = len(checked(arrays, "sha256", np.uint8, 2))
    names = TextColumn.from_arrays("path", arrays, rows).texts()
    dtypes = TextColumn.from_arrays("dtype", arrays, rows).texts()
    numbers = [checked(arrays, name, np.int64, 1).tolist() for name in _NUMBERS]
    digests, hashes = arrays["sha256"].tobytes(), checked(arrays, "frame_hashes", np.uint8, 2).tobytes()
    looks = _looks(arrays)
    num_hashes, num_looks = arrays["num_hashes"].tolist(), arrays["num_looks"].tolist()
    records: dict[str, FileRecord] = {}
    hash_at = look_at = 0
    affines = checked(arrays, "affine", np.float64, 2).tolist()
    for row, (size, mtime, height, width, channels, frames, depth) in enumerate(zip(*numbers, strict=True)):
        hash_to, look_to = hash_at + num_hashes[row], look_at + num_looks[row]
        records[names[row]] = FileRecord(
            size_bytes=size,
            mtime_ns=mtime,
            sha256=_cut(digests, row),
            height=height,
            width=width,
            channels=channels,
            dtype=dtypes[row],
            frames=frames,
            frame_hashes=tuple(_cut(hashes, place) for place in range(hash_at, hash_to)),
            looks=tuple(looks[look_at:look_to]),
            depth=depth,
            affine=tuple(affines[row]) if any(affines[row]) else (),
        )
        hash_at, look_at = hash_to, look_to
    return records


def _looks(arrays: Arrays) -> list[MaskLook]:
    ends = np.cumsum(checked(arrays, "look_lengths", np.int64, 1))[:-1]
    values, counts = checked(arrays, "look_values", np.int64, 1), checked(arrays, "look_counts", np.int64, 1)
    flags = checked(arrays, "look_flags", np.uint8, 2).astype(bool).tolist()
    if not flags:
        return []
    parts = zip(flags, np.split(values, ends), np.split(counts, ends), strict=True)
    return [MaskLook(coloured, palette, complete, v, n) for (coloured, palette, complete), v, n in parts]


def _cut(content: bytes, place: int) -> bytes:
    return content[place * DIGEST_BYTES : (place + 1) * DIGEST_BYTES]


def _joined(digests: Any) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGEST_BYTES)


def _concatenated(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def merged(
    old: dict[str, FileRecord], new: dict[str, FileRecord], present: Collection[str]
) -> dict[str, FileRecord] | None:
    """Old and new records of the files still there; ``None`` when that is what the cache holds already."""
    kept = {name: record for name, record in old.items() if name in present}
    kept.update(new)
    same = len(kept) == len(old) and all(old.get(name) is record for name, record in kept.items())
    return None if same else kept
