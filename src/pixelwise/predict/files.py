"""Prediction of many files into a folder: a table for all of them, and pictures for each where there is what to see.

::

    OUT/predictions.csv | .jsonl      label or labels, the probability of every class, and the box where there is one
    OUT/areas.csv | .jsonl            segmentation: area and share of every class
    OUT/masks/NAME.png                segmentation: indexed PNG, in the size of the picture as it is shown
    OUT/overlays/NAME.png             if wanted: the picture with its classes or its box drawn over it, and a legend
    OUT/probabilities/NAME.tif        segmentation, if wanted: float32, one channel per class, 0..1

NAME mirrors the folders of the input. Every file is written as a whole or not at all; nothing that was there before is
replaced unless that was asked for. A picture that cannot be predicted is left out and reported; a full disk stops.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from numpy.typing import NDArray

from pixelwise.data.names import show_path
from pixelwise.data.writing import write_png, write_tiff
from pixelwise.errors import PixelwiseError, UsageError, suggest
from pixelwise.predict.answers import prediction_type
from pixelwise.predict.inputs import InputItem, find_inputs
from pixelwise.predict.prediction import Prediction
from pixelwise.predict.predictor import Predictor
from pixelwise.predict.table import TABLE_FORMATS, TableFormat, open_table
from pixelwise.storage.atomic import check_writable, make_folder

_FOLDERS = {"masks": ".png", "overlays": ".png", "probabilities": ".tif"}

SOME_FAILED = 3
"""Exit code of a prediction that went past pictures it could not use."""


@dataclass(frozen=True, slots=True)
class PredictSummary:
    """What came of it."""

    out: Path
    table: Path
    predicted: int
    failures: tuple[tuple[str, str], ...]
    """(picture, reason), in order."""
    notes: dict[str, int]
    """What was done to how many pictures, such as a conversion to grey."""
    totals: dict[str, int]
    """Pictures of each class, or pixels of each class, over all pictures."""
    left_out: int
    """Pictures that were not reached because a stop was asked for."""
    seconds: float

    @property
    def interrupted(self) -> bool:
        """Whether a stop was asked for before the last picture."""
        return self.left_out > 0

    @property
    def exit_code(self) -> int:
        """3 when some pictures failed, else 0."""
        return SOME_FAILED if self.failures else 0


@dataclass(slots=True)
class _Seen:
    """A picture that stays in memory until its overlay is drawn."""

    item: InputItem
    keep: bool
    image: NDArray[Any] | None = None

    @property
    def name(self) -> str:
        return self.item.name

    def read(self) -> NDArray[Any]:
        image = self.item.read()
        self.image = image if self.keep else None
        return image


def predict_files(
    predictor: Predictor,
    inputs: Sequence[str | Path],
    out: Path,
    *,
    fmt: TableFormat = "csv",
    overlays: bool = False,
    probabilities: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> PredictSummary:
    """Predict files, folders and patterns into ``out``.

    Args:
        predictor: the model.
        inputs: see :func:`~pixelwise.predict.inputs.find_inputs`.
        out: folder of the results; made if it is not there.
        fmt: of the table.
        overlays: also write overlays, for tasks whose answers have a place in the picture.
        probabilities: also write the probabilities of a segmentation; of other tasks the table always holds them.
        overwrite: replace files of an earlier prediction.
        progress: called with the number of pictures done and their total.
        should_stop: asked between pictures; what is done by then is written, table included.

    Raises:
        UsageError: no input, an unknown format, or result files that are there already: found before any work is done.
        OutputError: a result cannot be written; whole results of earlier pictures stay.

    """
    started = time.monotonic()
    kind, classes = prediction_type(predictor.model.task.name), predictor.classes
    if fmt not in TABLE_FORMATS:
        raise UsageError(f"--format {fmt}", expected=" or ".join(TABLE_FORMATS), do=suggest(fmt, TABLE_FORMATS))
    if overlays and not kind.is_drawn:
        raise UsageError(
            f"--overlays with a {predictor.model.task.name} model", do="Leave it out: classes have no place to be drawn"
        )
    wanted = {"masks": kind.has_mask, "overlays": overlays, "probabilities": kind.has_mask and probabilities}
    written = [folder for folder, is_wanted in wanted.items() if is_wanted]
    found = find_inputs(inputs, exclude=[out / name for name in _FOLDERS])
    table = out / f"{kind.table}.{fmt}"
    if not overwrite:
        _check_targets([table, *_targets(out, written, found.items)])
    check_writable(out)

    failures, notes, totals = list(found.faults), Counter[str](), dict.fromkeys(classes, 0)
    done = 0
    with open_table(table, kind, classes, fmt) as add:
        queue: list[_Seen] = []
        outcomes = predictor.attempt_many(
            _until(found.items, should_stop, queue, keep=overlays), probabilities=probabilities
        )
        for outcome in outcomes:
            seen = queue.pop(0)
            if isinstance(outcome, PixelwiseError):
                failures.append((seen.name, str(outcome)))
            else:
                mask = _write(out, seen, outcome, written)
                add(seen.item, mask, outcome)
                notes.update(outcome.notes)
                for name, count in outcome.counts().items():
                    totals[name] += count
            done += 1
            if progress is not None:
                progress(done, len(found.items))
    return PredictSummary(
        out=out,
        table=table,
        predicted=done - (len(failures) - len(found.faults)),
        failures=tuple(failures),
        notes=dict(notes),
        totals=totals,
        left_out=len(found.items) - done,
        seconds=time.monotonic() - started,
    )


def _until(
    items: Sequence[InputItem], should_stop: Callable[[], bool] | None, queue: list[_Seen], *, keep: bool
) -> Iterator[_Seen]:
    """Hand out pictures, and remember them in ``queue`` until their prediction comes back."""
    for item in items:
        if should_stop is not None and should_stop():
            return
        queue.append(_Seen(item, keep))
        yield queue[-1]


def _targets(out: Path, written: Sequence[str], items: Sequence[InputItem]) -> Iterator[Path]:
    for item in items:
        for folder in written:
            yield _target(out, folder, item.target)


def _target(out: Path, folder: str, target: PurePosixPath) -> Path:
    return out / folder / target.parent / f"{target.name}{_FOLDERS[folder]}"


def _check_targets(targets: Sequence[Path]) -> None:
    """Refuse to replace what is there.

    Raises:
        UsageError: one of the files exists.

    """
    standing = [path for path in targets if path.exists()]
    if standing:
        others = f" and {len(standing) - 1} more" if len(standing) > 1 else ""
        raise UsageError(
            f"{show_path(str(standing[0]))}{others} would be replaced",
            expected="a folder without results",
            do="Choose another --out, or allow it with --overwrite",
        )


def _write(out: Path, seen: _Seen, prediction: Prediction, written: Sequence[str]) -> str:
    """Write a prediction's pictures; return the mask's path relative to ``out``, "" without one."""
    places = {folder: _target(out, folder, seen.item.target) for folder in written}
    for place in places.values():
        make_folder(place.parent)
    if "overlays" in places and seen.image is not None:
        write_png(places["overlays"], prediction.overlay(seen.image, legend=True))
    if "probabilities" in places and prediction.probabilities is not None:
        write_tiff(places["probabilities"], prediction.probabilities.transpose(1, 2, 0))
    if "masks" not in places:
        return ""
    prediction.save(places["masks"])
    return places["masks"].relative_to(out).as_posix()
