"""What is known of each file after reading it once: size, time, content hash, header, and what a mask stores."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.digests import file_sha256, file_status, frame_sha256
from pixelwise.data.images import MAX_PIXELS, ImageInfo, probe, probe_bytes, read_image, read_image_bytes
from pixelwise.data.mask_values import colour_codes, is_grey
from pixelwise.data.masks import read_mask_values
from pixelwise.data.names import show_path
from pixelwise.data.object_folders import is_object_folder, probe_object_folder
from pixelwise.data.regions import Missing
from pixelwise.data.volumes.reading import probe_volume, read_label_values, read_volume
from pixelwise.data.windows import ANY_PIXELS, is_windowed, open_mask_windows
from pixelwise.data.zarr_pictures import is_zarr_name, open_zarr
from pixelwise.errors import DataError

Progress = Callable[[int, int], None]

THREADS: Final = 2
_FILES_PER_TASK: Final = 64
_HELD_BYTES: Final = 2**25  # larger files are hashed without being held
_TAIL_BYTES: Final = 4096
_MOST_VALUES: Final = 1024  # a mask of more distinct values numbers objects, or is no mask


@dataclass(frozen=True, slots=True)
class MaskLook:
    """What one mask, or one frame of a mask, stores.

    Attributes:
        coloured: whether ``values`` are packed colours 0xRRGGBB.
        palette: whether the file stores a palette.
        complete: whether ``values`` are all there are (the first 1,024 are kept).
        values, counts: distinct values in ascending order, and the pixels of each, int64.

    """

    coloured: bool
    palette: bool
    complete: bool
    values: NDArray[np.int64]
    counts: NDArray[np.int64]

    def stand_in(self) -> NDArray[Any]:
        """A mask with the same values and one pixel of each: (1, V), or (1, V, 3) for colours."""
        return self._as_mask(self.values)

    def in_full(self) -> NDArray[Any]:
        """A mask with the same values and as many pixels of each, in order: (1, N), or (1, N, 3) for colours."""
        return self._as_mask(np.repeat(self.values, self.counts))

    def _as_mask(self, values: NDArray[np.int64]) -> NDArray[Any]:
        if not self.coloured:
            return values[np.newaxis]
        return np.stack([values >> 16, values >> 8 & 255, values & 255], -1)[np.newaxis].astype(np.uint8)


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file, as it was when it was read.

    Attributes:
        size_bytes, mtime_ns: for telling whether it has changed since.
        sha256: of the file's bytes.
        height, width, channels, dtype, frames: of the picture or pictures in it; one frame for a volume.
        frame_hashes: one sha256 for each frame where there are several.
        looks: one entry for each frame of a mask; empty for an image.
        depth: slices of a volume; 0 for pictures.
        affine: where a volume lies, see :class:`~pixelwise.data.volumes.volume.Geometry`; empty where it is not known.

    """

    size_bytes: int
    mtime_ns: int
    sha256: bytes
    height: int
    width: int
    channels: int
    dtype: str
    frames: int
    frame_hashes: tuple[bytes, ...] = ()
    looks: tuple[MaskLook, ...] = ()
    depth: int = 0
    affine: tuple[float, ...] = ()

    def hash_of(self, frame: int) -> bytes:
        """The hash of one frame; of the file where it is one picture (-1)."""
        return self.sha256 if frame < 0 else self.frame_hashes[frame]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to be read, as an image or as a mask.

    Attributes:
        path: relative to the data folder.
        mask: as a mask.
        by_frame: with a hash of each frame of several.
        in_space: as a volume, whose frames are slices.
        by_window: as a picture of any size, of which only windows will be read where it is large.

    """

    path: str
    mask: bool
    by_frame: bool
    in_space: bool = False
    by_window: bool = False


def read_records(
    root: Path,
    wanted: Sequence[Wanted],
    known: dict[str, FileRecord],
    progress: Progress | None,
    missing: Missing = "refuse",
) -> tuple[dict[str, FileRecord], dict[str, str]]:
    """Read every file that ``known`` does not answer, two at a time.

    Args:
        root: the data folder.
        wanted: each file once.
        known: records of an earlier time, by path; used where size and time agree.
        progress: called with (files done, files wanted).
        missing: what to do about Zarr pictures without some of their chunks.

    Returns:
        Records by path, and the reasons of the files that cannot be used.

    """
    records: dict[str, FileRecord] = {}
    reasons: dict[str, str] = {}
    tasks = [wanted[start : start + _FILES_PER_TASK] for start in range(0, len(wanted), _FILES_PER_TASK)]
    with ThreadPoolExecutor(THREADS) as pool:
        for done in _finished(pool, [(root, task, known, missing) for task in tasks]):
            for path, answer in done:
                if isinstance(answer, str):
                    reasons[path] = answer
                else:
                    records[path] = answer
            if progress is not None:
                progress(len(records) + len(reasons), len(wanted))
    return records, reasons


_Answers = list[tuple[str, FileRecord | str]]


def _finished(
    pool: ThreadPoolExecutor, tasks: list[tuple[Path, Sequence[Wanted], dict[str, FileRecord], Missing]]
) -> Iterator[_Answers]:
    waiting: set[Future[_Answers]] = {pool.submit(_read_some, *task) for task in tasks}
    try:
        for future in as_completed(waiting):
            yield future.result()
    finally:
        for future in waiting:  # after Ctrl-C, what has not begun is not begun
            future.cancel()


def _read_some(root: Path, wanted: Sequence[Wanted], known: dict[str, FileRecord], missing: Missing) -> _Answers:
    return [(item.path, _answer(root, item, known.get(item.path), missing)) for item in wanted]


def _answer(root: Path, item: Wanted, known: FileRecord | None, missing: Missing) -> FileRecord | str:
    path = root / item.path
    try:
        if is_zarr_name(path) and not item.mask:
            open_zarr(path, missing=missing).close()  # refuses one that lacks chunks, known or not
        status = file_status(path)
        fresh = known is not None and (known.size_bytes, known.mtime_ns) == status
        if known is not None and fresh and _answers(known, item):
            return known
        return _read(path, item, status)
    except DataError as error:
        return error.came.removeprefix(show_path(str(path))).removeprefix(": ").strip()
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _answers(known: FileRecord, item: Wanted) -> bool:
    if item.in_space or known.depth:
        return item.in_space and bool(known.depth) and bool(known.looks) == item.mask
    return bool(known.looks) == item.mask and (known.frames == 1 or bool(known.frame_hashes) or not item.by_frame)


def _read(path: Path, item: Wanted, status: tuple[int, int]) -> FileRecord:
    if item.in_space:
        return _read_volume(path, item, status)
    most_pixels = ANY_PIXELS if item.by_window else MAX_PIXELS
    if is_zarr_name(path):
        info, digest = probe(path, max_pixels=most_pixels), file_sha256(path)
    elif item.mask and is_object_folder(path):
        info, digest = probe_object_folder(path), file_sha256(path)
    else:
        info, digest = _header_and_hash(path, status[0], most_pixels)
    several = info.frames > 1 and item.by_frame
    looks: tuple[MaskLook, ...] = ()
    hashes: tuple[bytes, ...] = ()
    if item.mask and item.by_window and is_windowed(path):
        looks = (merged([look(strip, palette=info.mode == "P") for strip in open_mask_windows(path).strips()]),)
    elif item.mask:
        frames = [read_mask_values(path, frame=frame) for frame in _frames(info, several)]
        looks = tuple(look(values, palette=palette) for values, palette in frames)
        hashes = tuple(frame_sha256(values) for values, _ in frames) if several else ()
    elif several:
        hashes = tuple(frame_sha256(read_image(path, frame=frame)) for frame in range(info.frames))
    return FileRecord(
        size_bytes=status[0],
        mtime_ns=status[1],
        sha256=digest,
        height=info.height,
        width=info.width,
        channels=info.channels,
        dtype=info.dtype,
        frames=info.frames,
        frame_hashes=hashes,
        looks=looks,
    )


def _read_volume(path: Path, item: Wanted, status: tuple[int, int]) -> FileRecord:
    info = probe_volume(path)
    looks: tuple[MaskLook, ...] = ()
    if item.mask:
        labels = read_label_values(path)
        looks = (look(labels.reshape(-1, info.width), palette=False),)
    elif info.format == "NIfTI":
        read_volume(path)  # whether a packed file is whole, only unpacking tells
    return FileRecord(
        size_bytes=status[0],
        mtime_ns=status[1],
        sha256=file_sha256(path),
        height=info.height,
        width=info.width,
        channels=info.channels,
        dtype=info.dtype,
        frames=1,
        looks=looks,
        depth=info.depth,
        affine=info.geometry.affine,
    )


def _frames(info: ImageInfo, several: bool) -> Sequence[int | None]:
    return range(info.frames) if several else [None]


def look(values: NDArray[Any], *, palette: bool) -> MaskLook:
    """Count what a mask stores, (H, W) or (H, W, 3)."""
    coloured = values.ndim == 3 and not is_grey(values)
    if coloured:
        values = colour_codes(values)
    elif values.ndim == 3:
        values = values[..., 0]
    if values.dtype == np.uint8:
        counts = np.bincount(values.ravel(), minlength=256)
        found = np.flatnonzero(counts)
        counts = counts[found]
    else:
        found, counts = np.unique(values, return_counts=True)
    kept = slice(_MOST_VALUES)
    return MaskLook(
        coloured=coloured,
        palette=palette,
        complete=len(found) <= _MOST_VALUES,
        values=found[kept].astype(np.int64),
        counts=counts[kept].astype(np.int64),
    )


def merged(parts: Sequence[MaskLook]) -> MaskLook:
    """Return what a mask stores, from looks at its parts, top to bottom."""
    coloured = any(part.coloured for part in parts)
    values = [part.values if part.coloured or not coloured else part.values * 0x010101 for part in parts]
    found, places = np.unique(np.concatenate(values), return_inverse=True)
    counts = np.bincount(places, np.concatenate([part.counts for part in parts]), len(found)).astype(np.int64)
    complete = all(part.complete for part in parts) and len(found) <= _MOST_VALUES
    return MaskLook(coloured, parts[0].palette, complete, found[:_MOST_VALUES], counts[:_MOST_VALUES])


def _header_and_hash(path: Path, size_bytes: int, most_pixels: int) -> tuple[ImageInfo, bytes]:
    name = show_path(str(path))
    if size_bytes > _HELD_BYTES:
        info = probe(path, max_pixels=most_pixels)
        with path.open("rb") as file:
            start = file.read(_TAIL_BYTES)
            file.seek(max(0, size_bytes - _TAIL_BYTES))
            if info.frames == 1 and _seems_cut(info.format, start, file.read(), size_bytes):
                read_image(path)
        return info, file_sha256(path)
    content = path.read_bytes()
    info = probe_bytes(content, name, max_pixels=most_pixels)
    if info.frames == 1 and _seems_cut(info.format, content[:_TAIL_BYTES], content[-_TAIL_BYTES:], len(content)):
        read_image_bytes(content, name)
    return info, hashlib.sha256(content).digest()


def _seems_cut(kind: str, start: bytes, end: bytes, size_bytes: int) -> bool:
    """Whether the end that the format demands is missing: then only decoding tells whether all pixels are there."""
    if kind == "JPEG":
        return b"\xff\xd9" not in end
    if kind == "PNG":
        return b"IEND" not in end
    if kind == "WebP":
        return int.from_bytes(start[4:8], "little") + 8 > size_bytes
    return kind == "BMP" and int.from_bytes(start[2:6], "little") > size_bytes
