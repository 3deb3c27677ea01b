"""One look at the pixels: every header, and each picture decoded once, two at a time."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelwise.data.images import MAX_PIXELS, ImageInfo, probe
from pixelwise.data.indexing import Progress
from pixelwise.data.manifest import Manifest
from pixelwise.data.names import show_path
from pixelwise.data.object_folders import is_object_folder, probe_object_folder
from pixelwise.data.reading import Glimpses, SampleReader
from pixelwise.data.windows import ANY_PIXELS
from pixelwise.errors import DataError

CONTAINERS: Final = ("idx", "cifar")
_CONTAINER_SAMPLE: Final = 2000  # pictures of a checked container cannot be damaged one by one
_THREADS: Final = 2
_PER_TASK: Final = 32
_SIDE_PX: Final = 16
_STEPS_PER_SD: Final = 32
_FLAT_SHARE: Final = 0.008  # of the value range; thumbnails with less contrast all look alike


@dataclass(frozen=True, slots=True)
class Look:
    """One decoded sample; of a large picture that is read by window, small windows in an even grid.

    Attributes:
        low, high: smallest and largest stored value.
        thumbnail: (256,) int8, a 16 x 16 grey picture, standardised, in 1/32 of its standard deviation; zeros if flat.
        pixels: (256,) pixels of each label in the mask; empty without mask.

    """

    low: float
    high: float
    thumbnail: NDArray[np.int8]
    pixels: NDArray[np.int64]


@dataclass(slots=True)
class Survey:
    """What the looks found.

    Attributes:
        infos: header of each image file, by path; none for IDX files and CIFAR batches.
        mask_infos: the same of masks.
        failures: (path, reason) of files that the index held for readable and that are not.
        rows: places in the manifest of the decoded samples, ascending.
        low, high: as in `Look`, one value for each of ``rows``.
        thumbnails: (len(rows), 256) int8.
        pixels: (256,) pixels of each label over all decoded masks.

    """

    infos: dict[str, ImageInfo] = field(default_factory=dict)
    mask_infos: dict[str, ImageInfo] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    low: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    high: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    thumbnails: NDArray[np.int8] = field(default_factory=lambda: np.zeros((0, _SIDE_PX**2), np.int8))
    pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))


def without_failures(survey: Survey, manifest: Manifest) -> tuple[Survey, NDArray[np.bool_]]:
    """Drop the rows of bad files, and number the others as in a manifest without them.

    Returns:
        The survey, and (len(manifest),) whether each row of ``manifest`` stays. ``pixels`` still count whatever was
        decoded in a bad file of several frames.

    """
    bad = {path for path, _ in survey.failures}
    kept = np.ones(len(manifest), np.bool_)
    for text in (manifest.paths, manifest.masks):
        is_bad = np.array([path in bad for path in text.table()], np.bool_)
        kept &= ~is_bad[text.codes]
    stay = kept[survey.rows]
    moved = replace(
        survey,
        failures=[],
        rows=(np.cumsum(kept) - 1)[survey.rows[stay]],
        low=survey.low[stay],
        high=survey.high[stay],
        thumbnails=survey.thumbnails[stay],
        infos={path: info for path, info in survey.infos.items() if path not in bad},
        mask_infos={path: info for path, info in survey.mask_infos.items() if path not in bad},
    )
    return moved, kept


def evenly(count: int, most: int | None) -> NDArray[np.int64]:
    """Choose at most ``most`` of ``count`` places, evenly spaced, the first and the last among them."""
    if most is None or count <= most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, most).round().astype(np.int64))


def survey_pictures(root: Path, manifest: Manifest, *, most: int | None, progress: Progress | None) -> Survey:
    """Read every header, and decode at most ``most`` samples with their masks (``None``: all)."""
    survey = Survey()
    in_container = manifest.layout in CONTAINERS
    if not in_container and manifest.form.dimensions == 2:
        most_pixels = ANY_PIXELS if manifest.task == "segmentation" else MAX_PIXELS
        masks = [path for path in manifest.masks.table() if path]
        _read_headers(root, manifest.paths.table(), survey.infos, survey.failures, most_pixels)
        _read_headers(root, masks, survey.mask_infos, survey.failures, most_pixels)
    limit = min(_CONTAINER_SAMPLE, most or _CONTAINER_SAMPLE) if in_container else most
    chosen = evenly(len(manifest), limit)
    looks: dict[int, Look] = {}
    for row, answer in _look_at_all(SampleReader(root, manifest), chosen, progress):
        if isinstance(answer, Look):
            looks[row] = answer
        else:
            survey.failures.append(answer)
    rows = sorted(looks)
    first_reasons = dict(reversed(survey.failures))  # a header's fault comes first, the picture's own is its echo
    survey.failures = sorted(first_reasons.items())
    if rows:
        survey.rows = np.array(rows, np.int64)
        survey.low = np.array([looks[row].low for row in rows])
        survey.high = np.array([looks[row].high for row in rows])
        survey.thumbnails = np.stack([looks[row].thumbnail for row in rows])
        for row in rows:
            survey.pixels[: len(looks[row].pixels)] += looks[row].pixels
    return survey


def _read_headers(
    root: Path,
    paths: Sequence[str],
    infos: dict[str, ImageInfo],
    failures: list[tuple[str, str]],
    most_pixels: int,
) -> None:
    for path in paths:
        try:
            whole = root / path
            read = probe_object_folder if is_object_folder(whole) else probe
            infos[path] = read(whole, max_pixels=most_pixels)
        except DataError as error:
            failures.append((path, reason_of(error, root / path)))


def reason_of(error: DataError, path: Path) -> str:
    """Return what an error says of a file, without the file's name."""
    return error.came.removeprefix(show_path(str(path))).removeprefix(":").strip()


_Answer = tuple[int, Look | tuple[str, str]]


def _look_at_all(reader: SampleReader, rows: NDArray[np.int64], progress: Progress | None) -> Iterator[_Answer]:
    tasks = [rows[start : start + _PER_TASK].tolist() for start in range(0, len(rows), _PER_TASK)]
    done = 0
    with ThreadPoolExecutor(_THREADS) as pool:
        futures = {pool.submit(_look_at_some, reader, task) for task in tasks}
        try:
            for future in as_completed(futures):
                answers = future.result()
                done += len(answers)
                yield from answers
                if progress is not None:
                    progress(done, len(rows))
        finally:
            for future in futures:  # after Ctrl-C, what has not begun is not begun
                future.cancel()


def _look_at_some(reader: SampleReader, rows: list[int]) -> list[_Answer]:
    return [(row, _look(reader, row)) for row in rows]


def _look(reader: SampleReader, row: int) -> Look | tuple[str, str]:
    manifest = reader.manifest
    path = manifest.paths[row]
    try:
        image = Glimpses(reader).image(row)
        pixels = np.zeros(0, np.int64)
        if manifest.form.by_pixel:
            path, pixels = manifest.masks[row], np.zeros(256, np.int64)
            for strip in reader.label_strips(row):
                pixels += np.bincount(strip.ravel(), minlength=256)
    except DataError as error:
        return path, reason_of(error, reader.root / path)
    return Look(float(image.min()), float(image.max()), _thumbnail(image), pixels)


def _thumbnail(image: NDArray[Any]) -> NDArray[np.int8]:
    picture = image if image.ndim == 3 else image[len(image) // 2]  # of a volume, its middle slice
    colours = np.ascontiguousarray(picture[..., :3])
    small = cv2.resize(colours, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    grey = (small if small.ndim == 2 else small.mean(axis=2)).ravel()
    spread = float(grey.std())
    span = float(np.iinfo(image.dtype).max) if image.dtype.kind == "u" else float(np.abs(image).max())
    if spread <= _FLAT_SHARE * span:
        return np.zeros(_SIDE_PX**2, np.int8)
    return np.clip(np.round((grey - grey.mean()) * (_STEPS_PER_SD / spread)), -127, 127).astype(np.int8)
