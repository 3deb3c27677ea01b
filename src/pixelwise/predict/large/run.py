"""Predict one picture that need not fit into memory.

The plan cuts it into tiles; each is read by region, while the tile before it is in the network, and its classes are
written by region. What is on the disk stands in a journal, and a process that is killed or asked to stop is succeeded
by the same command, which ends in the same bytes. Memory does not depend on the size of the picture: the network needs
what the plan allows it, and blocks of the output that straddle tiles wait along one strip of tiles.
"""

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pixelwise.data.regions import Missing, open_source
from pixelwise.data.regions.creating import RegionFormat, block_sides
from pixelwise.data.regions.sink import remove
from pixelwise.predict.large.admit import admit_samples, refuse_model
from pixelwise.predict.large.begun import begun_with, open_journal
from pixelwise.predict.large.objects import answer_planes
from pixelwise.predict.large.places import Places
from pixelwise.predict.large.report import write_report
from pixelwise.predict.large.work import Progress, Work
from pixelwise.predict.member import Member
from pixelwise.predict.merging import refuse_whole_pictures
from pixelwise.predict.postprocess import Pipeline
from pixelwise.predict.tiling import TilePlan, plan_tiles
from pixelwise.runs.model import Model
from pixelwise.tasks import Instances

DEFAULT_MEMORY_BYTES = 4 << 30
_RESERVE_BYTES = 640 << 20
"""Of the memory that may be used: for the interpreter, its libraries, and pixels on their way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeOptions:
    """How a large picture is predicted."""

    memory_bytes: int = DEFAULT_MEMORY_BYTES
    """What the whole process may use at its peak; decides how large the tiles are."""
    tile: int | None = None
    """Longest side of a tile's input in pixels, where it is to be smaller than the memory allows."""
    fmt: RegionFormat = "tiff"
    probabilities: bool = False
    overwrite: bool = False
    """Replace results of an earlier prediction; one that was stopped is begun anew only where it was another one."""
    missing: Missing = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeSummary:
    """What came of it."""

    places: Places
    plan: TilePlan
    tiles_done: int
    """Tiles whose answer is on the disk."""
    areas_px: dict[str, int]
    """Pixels of each class in what is on the disk."""
    is_resumed: bool
    notes: tuple[str, ...]
    seconds: float
    counts: dict[str, int] | None = None
    """Instances: objects of each class but the background, once the results are there."""

    @property
    def is_complete(self) -> bool:
        """Whether the results are there; if not, the same command goes on."""
        return self.tiles_done == len(self.plan)


def predict_large(
    member: Member,
    path: Path,
    out: Path,
    options: LargeOptions,
    *,
    pipeline: Pipeline | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> LargeSummary:
    """Predict the picture at ``path`` into ``out``; see :mod:`pixelwise.predict.large.places`.

    Args:
        member: the model on its device.
        path: see :func:`~pixelwise.data.regions.open_source`.
        out: folder of the results; made if it is not there.
        options: memory, tiles, formats.
        pipeline: steps after the network; None for none.
        progress: called with the tiles done and their total.
        should_stop: asked between tiles; what is done by then is on the disk.

    Raises:
        UsageError: too little memory for one tile, results that are there already, an unfinished output of another
            prediction, a model whose answers are not those of tiles.
        ImageError: the picture cannot be read, or is not of the model's kind.
        OutputError: the disk is full, or the place cannot be written; what was done is kept.
        RunError: another process predicts the same picture, or the journal is damaged.

    """
    started = time.monotonic()
    refuse_model(member.model)
    pipeline = pipeline or Pipeline()
    has_objects = isinstance(member.model.task, Instances)
    refuse_whole_pictures(pipeline)
    keeps_probabilities = options.probabilities
    options = replace(options, probabilities=keeps_probabilities or has_objects or bool(pipeline.of_objects))
    places = Places.of(path, out, options.fmt, probabilities=options.probabilities, has_objects=has_objects)
    places.refuse_input(path)
    with ExitStack() as stack:
        source = stack.enter_context(open_source(path, _dimensions(member.model), missing=options.missing))
        notes = admit_samples(source, member.model.preprocess)
        plan = plan_tiles(
            member.model.network,
            source.size,
            memory_bytes=options.memory_bytes,
            tile=options.tile,
            reserve_bytes=_reserve_bytes(source.size, answer_planes(member.model.task), options),
        )
        journal = stack.enter_context(
            open_journal(places, begun_with(member.model, source, plan, places, pipeline), overwrite=options.overwrite)
        )
        work = Work(member, source, plan, places, journal, pipeline=pipeline)
        stack.callback(work.abandon)
        notes = (*notes, *work.deviation())
        done = work.run(progress, should_stop)
        if done == len(plan):
            work.finish(path)
            seconds, unwanted = time.monotonic() - started, None if keeps_probabilities else places.probabilities
            if unwanted is not None:
                places = replace(places, probabilities=None)
            write_report(source, places, plan, work.areas_px, notes=notes, seconds=seconds, counts=work.counts)
            journal.remove()
            if unwanted is not None:
                remove(unwanted)
        return LargeSummary(
            places=places,
            plan=plan,
            tiles_done=done,
            areas_px=work.areas_px,
            is_resumed=journal.is_resumed,
            notes=notes,
            seconds=time.monotonic() - started,
            counts=work.counts,
        )


def _dimensions(model: Model) -> Literal[2, 3]:
    return 3 if model.spec.dimensions == 3 else 2


def _reserve_bytes(size: tuple[int, ...], classes: int, options: LargeOptions) -> int:
    """Return what is needed besides the network: the process itself, and blocks that wait along a strip of tiles."""
    front = 2 * block_sides(size, options.fmt)[0] * math.prod(size[1:])
    return _RESERVE_BYTES + front * (1 + 4 * classes * options.probabilities)
