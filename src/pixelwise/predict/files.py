"""Prediction of many files into a folder: a table for all of them, and pictures for each where there is what to see.

::

    OUT/predictions.csv | .jsonl      label or labels, the probability of every class, and the box where there is one
    OUT/areas.csv | .jsonl            segmentation: area and share of every class
    OUT/masks/NAME.png                segmentation: indexed PNG, in the size of the picture as it is shown
    OUT/volumes.csv | .jsonl          volumes: voxels and millilitres of every class
    OUT/masks/NAME.nii.gz | .tif      volumes: label volume in the place and the format of the input
    OUT/counts.csv | .jsonl           instances: number and mean area of the objects of every class
    OUT/objects.csv | .jsonl          instances: one row for each object
    OUT/labels/NAME.tif               instances: 16 bits, 0 or the number of an object
    OUT/overlays/NAME.png             if wanted: the picture with its classes or its box drawn over it, and a legend
    OUT/probabilities/NAME.tif        by pixel or voxel, if wanted: float32, a channel for each class, 0..1
    OUT/geojson/NAME.geojson          if wanted: outlines of objects, or of the pieces of each class
    OUT/coco.json                     if wanted: the same of all pictures

NAME mirrors the folders of the input. Every file is written as a whole or not at all; nothing that was there before is
replaced unless that was asked for. A picture that cannot be predicted is left out and reported; a full disk stops.
Where no picture can be predicted, nothing is left. Large pictures go from file to file instead (:class:`TilePredictor`,
:mod:`pixelwise.predict.large.places`), before the others, and have a row in the first table.
"""

import functools
import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from pixelwise.data.metadata import Cells, read_cells
from pixelwise.data.task_names import TARGET_FORMS
from pixelwise.data.volumes.volume import Volume
from pixelwise.errors import DataError, PixelwiseError, UsageError, suggest
from pixelwise.predict.answers import prediction_type
from pixelwise.predict.inputs import InputItem, find_inputs
from pixelwise.predict.predictor import Predictor
from pixelwise.predict.results import FOLDERS, Results, check_extras
from pixelwise.predict.standing import earlier_results, refuse_place, refuse_standing
from pixelwise.predict.table import TABLE_FORMATS, Row, TableFormat
from pixelwise.storage.atomic import check_writable

SOME_FAILED, ALL_FAILED = 3, 2
"""Exit codes of a prediction that went past pictures it could not use, and of one that could use none."""


_TABLES = sorted({f"{prediction_type(task).table}.{fmt}" for task in TARGET_FORMS for fmt in TABLE_FORMATS})
"""Beside results of any kind."""


class TilePredictor(Protocol):
    """Predicts large pictures from file to file."""

    def is_large(self, path: Path) -> bool:
        """Tell whether a picture is predicted so."""

    def predict(
        self, item: InputItem, cells: Cells | None, *, keep_finished: bool, begins: Callable[[], object]
    ) -> tuple[str, Row]:
        """Predict a picture.

        Args:
            item: the picture.
            cells: what is said of it.
            keep_finished: results of the very same prediction may stay.
            begins: called before the first result is made, when nothing stands in the way any more.

        Returns:
            The path of its mask under the folder of the results, and what the table says of it.

        Raises:
            DataError: the picture cannot be used.

        """


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
        """2 when all pictures failed, 3 when some did, else 0."""
        if not self.failures:
            return 0
        return SOME_FAILED if self.predicted else ALL_FAILED


@dataclass(slots=True)
class _Seen:
    """A picture that stays in memory until its overlay is drawn."""

    item: InputItem
    keep: bool
    cells: Cells | None = None
    image: NDArray[Any] | Volume | None = None

    @property
    def name(self) -> str:
        return self.item.name

    def read(self) -> NDArray[Any] | Volume:
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
    write: Collection[str] = (),
    pixel_size_um: float | None = None,
    metadata: Path | None = None,
    overwrite: bool = False,
    tiles: TilePredictor | None = None,
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
        write: further results, of "overlays", "probabilities", "geojson" and "coco".
        pixel_size_um: side of a pixel in micrometres; areas of objects are then also given in square micrometres.
        metadata: a table of what is said of the pictures, for models that are told.
        overwrite: replace files of an earlier prediction.
        tiles: predicts large pictures; None: they are predicted like others.
        progress: called with the number of ordinary pictures done and their total.
        should_stop: asked between pictures; what is done by then is written, table included.

    Raises:
        UsageError: no input, an unknown format or result, a result that the task does not have, no table for a model
            that is told of its pictures, files of results that are there already, or a place that is none for results:
            found before any work is done.
        OutputError: a result cannot be written; whole results of earlier pictures stay.

    """
    started = time.monotonic()
    task, classes = predictor.model.task.name, predictor.classes
    kind = prediction_type(task)
    if fmt not in TABLE_FORMATS:
        raise UsageError(f"--format {fmt}", expected=" or ".join(TABLE_FORMATS), do=suggest(fmt, TABLE_FORMATS))
    named = {"overlays": overlays, "probabilities": probabilities}
    extras = check_extras([*write, *(name for name, is_wanted in named.items() if is_wanted)], task, kind)
    if pixel_size_um is not None and not 0 < pixel_size_um < math.inf:
        raise UsageError(
            f"--pixel-size {pixel_size_um:g}", expected="a positive number of micrometres", do="Correct it"
        )
    results = Results(out=out, kind=kind, classes=classes, fmt=fmt, extras=extras, pixel_size_um=pixel_size_um)
    in_space = TARGET_FORMS[task].dimensions == 3
    is_large = None if tiles is None else tiles.is_large
    refuse_place(out, inputs)
    found = find_inputs(
        inputs,
        exclude=[out / name for name in FOLDERS],
        leaves_out=earlier_results(FOLDERS, _TABLES),
        in_space=in_space,
        is_large=is_large,
    )
    is_new = not out.exists()
    if not overwrite:
        refuse_standing(results.targets(found.items))
    needed = predictor.model.preprocess.metadata
    if needed is not None and metadata is None:
        needed.encode(None, "any of the pictures")  # says so once, instead of for each
    said = {} if metadata is None else read_cells(metadata)
    check_writable(out)

    failures, notes, totals = list(found.faults), Counter[str](), dict.fromkeys(classes, 0)
    rows = [] if tiles is None else _predict_large(tiles, found.large, said, results.table, failures)
    done = 0
    with results.open() as writer:
        for item, mask, row in rows:
            writer.add_row(item, mask, row)
            notes.update(row.notes)
        queue: list[_Seen] = []
        outcomes = predictor.attempt_many(
            _until(found.items, should_stop, queue, said, keep="overlays" in extras),
            probabilities="probabilities" in extras,
        )
        for outcome in outcomes:
            seen = queue.pop(0)
            if isinstance(outcome, PixelwiseError):
                failures.append((seen.name, str(outcome)))
            else:
                writer.add(seen.item, seen.image, outcome)
                notes.update(outcome.notes)
                for name, count in outcome.counts().items():
                    totals[name] += count
            done += 1
            if progress is not None:
                progress(done, len(found.items))
    predicted = done + len(found.large) - (len(failures) - len(found.faults))
    if is_new and not predicted:
        with suppress(OSError):  # an unfinished prediction of a large picture lies in it
            out.rmdir()
    return PredictSummary(
        out=out,
        table=results.table,
        predicted=predicted,
        failures=tuple(failures),
        notes=dict(notes),
        totals=totals,
        left_out=len(found.items) - done,
        seconds=time.monotonic() - started,
    )


def _predict_large(
    tiles: TilePredictor,
    items: Sequence[InputItem],
    said: Mapping[str, Cells],
    table: Path,
    failures: list[tuple[str, str]],
) -> list[tuple[InputItem, str, Row]]:
    """Predict large pictures; return what the table says of them.

    The table is written last. Where it is not there, whole results of the same prediction are those of a command that
    was stopped before its end, and stay. One that is to be replaced goes when the first picture's results do: from then
    on this command is the one that was not finished.
    """
    keep_finished = not table.exists()
    rows = []
    for item in items:
        try:
            mask, row = tiles.predict(
                item,
                _cells_of(item, said),
                keep_finished=keep_finished,
                begins=functools.partial(table.unlink, missing_ok=True),
            )
        except DataError as error:
            failures.append((item.name, str(error)))
        else:
            rows.append((item, mask, row))
    return rows


def _cells_of(item: InputItem, said: Mapping[str, Cells]) -> Cells | None:
    return said.get(str(item.path), said.get(item.path.name))


def _until(
    items: Sequence[InputItem],
    should_stop: Callable[[], bool] | None,
    queue: list[_Seen],
    said: Mapping[str, Cells],
    *,
    keep: bool,
) -> Iterator[_Seen]:
    """Hand out pictures, and remember them in ``queue`` until their prediction comes back."""
    for item in items:
        if should_stop is not None and should_stop():
            return
        queue.append(_Seen(item, keep, _cells_of(item, said)))
        yield queue[-1]
