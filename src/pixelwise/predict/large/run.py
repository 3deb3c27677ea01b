"""Predict one picture that need not fit into memory.

The plan cuts it into tiles; each is read by region, while the tile before it is in the network, and its classes are
written by region. What is on the disk stands in a journal, and a process that is killed or asked to stop is succeeded
by the same command, which ends in the same bytes. Memory does not depend on the size of the picture: the network needs
what the plan allows it, and blocks of the output that straddle tiles wait along one strip of tiles. Results get their
names together, when the last of them is whole.
"""

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pixelwise.analysis.memory import free_memory_bytes
from pixelwise.data.metadata import Cells
from pixelwise.data.regions import Missing, RegionSource, open_source
from pixelwise.data.regions.creating import RegionFormat, block_sides
from pixelwise.errors import DataError, UsageError
from pixelwise.predict.inputs import large_target
from pixelwise.predict.large.admit import admit_samples, refuse_model
from pixelwise.predict.large.begun import (
    Begun,
    begun_with,
    memory_of_earlier,
    open_journal,
    read_begun,
    take_over_journal,
)
from pixelwise.predict.large.memory import held_memory_bytes
from pixelwise.predict.large.objects import answer_planes
from pixelwise.predict.large.places import Places
from pixelwise.predict.large.report import Outcome, read_outcome, write_overlay, write_summary
from pixelwise.predict.large.row import LargeRow
from pixelwise.predict.large.work import Progress, Work
from pixelwise.predict.member import Member
from pixelwise.predict.merging import refuse_whole_pictures
from pixelwise.predict.postprocess import Pipeline
from pixelwise.predict.results import Outlines
from pixelwise.predict.tiling import TilePlan, plan_tiles
from pixelwise.predict.tiling.tiler import SHARE
from pixelwise.runs.model import Model
from pixelwise.runtime import return_freed_memory, returned_memory
from pixelwise.tasks import Instances

MOST_BYTES: Final = 4 * 10**9
"""Budget where none is given, unless less is free: larger tiles hardly save work, and a stop waits for a tile."""
_RESERVE_BYTES = 640 << 20
"""Of the memory that may be used: for the interpreter, its libraries, and pixels on their way."""
_LEAST_ROOM_BYTES = 64 << 20
"""For what comes after the tiles, however small the budget: tiles took more than that."""
_SMALL_THINGS_BYTES = 32 << 20
"""Beside what strips, pieces and outlines are counted for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeOptions:
    """How a large picture is predicted."""

    memory_bytes: int | None = None
    """What the whole process may use at its peak; decides how large the tiles are. None: as :func:`default_memory`
    says, or what the same prediction was begun with."""
    tile: int | None = None
    """Longest side of a tile's input in pixels, where it is to be smaller than the memory allows."""
    fmt: RegionFormat = "tiff"
    probabilities: bool = False
    outlines: tuple[Outlines, ...] = ()
    """Of objects, or of the pieces of each class."""
    pixel_size_um: float | None = None
    """Side of a pixel in micrometres, where the file does not tell it or is wrong."""
    overwrite: bool = False
    """Replace results of an earlier prediction; one that was stopped is begun anew only where it was another one."""
    keep_finished: bool = False
    """Results of the very same prediction are not made again: they may stay."""
    missing: Missing = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeSummary:
    """What came of it."""

    places: Places
    plan: TilePlan
    tiles_done: int
    """Tiles whose answer is on the disk."""
    outcome: Outcome
    """What is said of the picture; of one that is not complete, only what is on the disk so far."""
    is_resumed: bool
    pixel_size: tuple[float, ...] | None
    """In micrometres along each axis, where the file tells."""

    @property
    def is_complete(self) -> bool:
        """Whether the results are there; if not, the same command goes on."""
        return self.tiles_done == len(self.plan)

    @property
    def areas_px(self) -> dict[str, int]:
        """Pixels of each class."""
        return self.outcome.areas_px

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the picture."""
        return self.outcome.notes

    @property
    def counts(self) -> dict[str, int] | None:
        """Instances: objects of each class but the background, once the results are there."""
        return None if self.outcome.found is None else self.outcome.found.counts

    @property
    def row(self) -> LargeRow:
        """What the table of all pictures says."""
        return LargeRow(self.plan.size, self.outcome, self.pixel_size)


def default_memory(member: Member) -> int:
    """Return the budget where none is given: half of what is free, and at most 4 GB."""
    return min(MOST_BYTES, int(SHARE * free_memory_bytes(member.device)))


def predict_large(
    member: Member,
    path: Path,
    out: Path,
    options: LargeOptions,
    *,
    pipeline: Pipeline | None = None,
    target: PurePosixPath | None = None,
    cells: Cells | None = None,
    begins: Callable[[], object] | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> LargeSummary:
    """Predict the picture at ``path`` into ``out``; see :mod:`pixelwise.predict.large.places`.

    Meanwhile the process gives freed memory back at once (:func:`pixelwise.runtime.returned_memory`).

    Args:
        member: the model on its device.
        path: see :func:`~pixelwise.data.regions.open_source`.
        out: folder of the results; made if it is not there.
        options: memory, tiles, formats.
        pipeline: steps after the network; None for none.
        target: name of the results without suffix; by default that of the picture.
        cells: what is said of the picture, for models that are told.
        begins: called when nothing stands in the way any more.
        progress: called with the tiles done and their total.
        should_stop: asked between tiles; what is done by then is on the disk.

    Raises:
        TooLittleMemoryError: it does not suffice for one tile.
        UsageError: results that are there already, an unfinished output of another prediction, a model whose answers
            are not those of tiles.
        DataError: nothing is said of the picture where it must be, or it does not fit.
        ImageError: the picture cannot be read, or is not of the model's kind; objects that do not fit into the memory.
        OutputError: the disk is full, or the place cannot be written; what was done is kept.
        RunError: another process predicts the same picture, or the journal is damaged.

    """
    started, model = time.monotonic(), member.model
    refuse_model(model)
    pipeline = pipeline or Pipeline()
    refuse_whole_pictures(pipeline)
    has_objects = isinstance(model.task, Instances)
    places = Places.of(
        target or large_target(PurePosixPath(path.name)),
        out,
        options.fmt,
        has_answers=options.probabilities or has_objects or bool(pipeline.of_objects),
        keeps_answers=options.probabilities,
        has_objects=has_objects,
        outlines=options.outlines,
    )
    places.refuse_input(path)
    take_over_journal(places)
    with returned_memory(), ExitStack() as stack:
        source = stack.enter_context(open_source(path, _dimensions(model), missing=options.missing))
        if options.pixel_size_um is not None:
            source.pixel_size = (options.pixel_size_um,) * len(source.size)
        notes = admit_samples(source, model.preprocess)
        numbers = _told(model, cells, source.name)
        begun = begun_with(model, source, places, pipeline, numbers)
        memory_bytes, plan = _planned(member, source, begun, places, options)
        begun |= {"plan": _plan_digest(plan), "memory_bytes": memory_bytes}

        def summary_of(outcome: Outcome, *, tiles_done: int, is_resumed: bool) -> LargeSummary:
            return LargeSummary(
                places=places,
                plan=plan,
                tiles_done=tiles_done,
                outcome=outcome,
                is_resumed=is_resumed,
                pixel_size=source.pixel_size,
            )

        final = begun | {"steps": pipeline.to_json()}
        is_finished = read_begun(places.summary) == final and all(path.exists() for path in places.results)
        if is_finished and options.keep_finished and not places.journal.exists():
            return summary_of(read_outcome(places), tiles_done=len(plan), is_resumed=True)
        journal = stack.enter_context(open_journal(places, begun, overwrite=options.overwrite))
        if begins is not None:
            begins()
        if not (is_finished and journal.is_resumed):  # else it was stopped while it tidied up
            work = Work(member, source, plan, places, journal, pipeline=pipeline, numbers=numbers)
            stack.callback(work.abandon)
            notes = (*notes, *work.deviation())
            done = work.run(progress, should_stop)
            if done == len(plan):
                work.finish(path, _room_bytes(options.memory_bytes or memory_bytes))
                return_freed_memory()
                write_overlay(source, places, work.areas_px)
            seconds = time.monotonic() - started
            outcome = Outcome(areas_px=work.areas_px, notes=notes, seconds=seconds, found=work.found)
            if done < len(plan):
                return summary_of(outcome, tiles_done=done, is_resumed=journal.is_resumed)
            places.publish()
            write_summary(source, places, plan, final, outcome)
        places.tidy()
        journal.remove()
        return summary_of(read_outcome(places), tiles_done=len(plan), is_resumed=journal.is_resumed)


def _told(model: Model, cells: Cells | None, name: str) -> NDArray[np.float32] | None:
    """Return what the network is told of a picture; one of which nothing is said is at fault alone."""
    metadata = model.preprocess.metadata
    try:
        return None if metadata is None else metadata.encode(cells, name)
    except UsageError as error:
        raise DataError(error.came, expected=error.expected, do=error.do) from None


def _planned(
    member: Member, source: RegionSource, begun: Begun, places: Places, options: LargeOptions
) -> tuple[int, TilePlan]:
    """Return the budget and the plan; those of the same prediction, where one was begun with no more memory."""
    earlier = memory_of_earlier(begun, {places.journal: False, places.summary: True})
    given = options.memory_bytes or earlier or default_memory(member)
    memory_bytes = given if earlier is None else min(given, earlier)
    plan = plan_tiles(
        member.model.network,
        source.size,
        memory_bytes=memory_bytes,
        tile=options.tile,
        reserve_bytes=_reserve_bytes(
            source.size, answer_planes(member.model.task), has_answers=places.answers is not None, fmt=options.fmt
        ),
    )
    return memory_bytes, plan


def _room_bytes(memory_bytes: int) -> int:
    """Return what may be taken after the tiles, whose memory is given back."""
    return_freed_memory()
    held = held_memory_bytes()
    free = memory_bytes - _RESERVE_BYTES if held is None else memory_bytes - held - _SMALL_THINGS_BYTES
    return max(free, _LEAST_ROOM_BYTES)


def _plan_digest(plan: TilePlan) -> str:
    return replace(plan, tile_bytes=0).digest()  # an estimate of memory does not change the output


def _dimensions(model: Model) -> Literal[2, 3]:
    return 3 if model.spec.dimensions == 3 else 2


def _reserve_bytes(size: tuple[int, ...], planes: int, *, has_answers: bool, fmt: RegionFormat) -> int:
    """Return what is needed besides the network: the process itself, and blocks that wait along a strip of tiles."""
    front = 2 * block_sides(size, fmt)[0] * math.prod(size[1:])
    return _RESERVE_BYTES + front * (1 + 4 * planes * has_answers)
