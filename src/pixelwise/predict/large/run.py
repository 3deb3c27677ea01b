"""Predict one picture that need not fit into memory.

The plan cuts it into tiles; each is read by region, while the tile before it is in the network, and its classes are
written by region. What is on the disk stands in a journal, and a process that is killed or asked to stop is succeeded
by the same command, which ends in the same bytes. Memory does not depend on the size of the picture: the network needs
what the plan allows it, and blocks of the output that straddle tiles wait along one strip of tiles.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pixelwise.data.images import to_channels
from pixelwise.data.regions import Missing, RegionSource, open_source
from pixelwise.data.regions.creating import RegionFormat, block_sides, open_sink
from pixelwise.data.regions.sink import BlockSink, Form, remove
from pixelwise.errors import ImageError, RunError
from pixelwise.metrics import predicted_classes
from pixelwise.predict.large.admit import admit_samples, refuse_model
from pixelwise.predict.large.blend import Blend, Values
from pixelwise.predict.large.instances import answer_planes, write_objects
from pixelwise.predict.large.journal import RunJournal
from pixelwise.predict.large.places import Places
from pixelwise.predict.large.report import write_report
from pixelwise.predict.member import Member
from pixelwise.predict.merging import refuse_whole_pictures
from pixelwise.predict.palette import mask_palette
from pixelwise.predict.postprocess import Pipeline
from pixelwise.predict.tiling import Tile, TilePlan, plan_tiles
from pixelwise.runs.model import Model
from pixelwise.storage.atomic import make_folder
from pixelwise.tasks import Instances

DEFAULT_MEMORY_BYTES = 4 << 30
_RESERVE_BYTES = 640 << 20
"""Of the memory that may be used: for the interpreter, its libraries, and pixels on their way."""

Progress = Callable[[int, int], None]


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
        pipeline: steps after the network, of a model for instances.
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
    if has_objects:
        refuse_whole_pictures(pipeline)
    keeps_probabilities, options = (
        options.probabilities,
        replace(options, probabilities=options.probabilities or has_objects),
    )
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
            _open_journal(places, _begun(member.model, source, plan, options, pipeline), options)
        )
        work = _Work(member, source, plan, places, journal)
        stack.callback(work.abandon)
        done = work.run(progress, should_stop)
        if done == len(plan):
            if has_objects:
                work.find_objects(path, pipeline)
            work.finish(notes, started)
            if places.probabilities is not None and not keeps_probabilities:
                remove(places.probabilities)
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


class _Work:
    """One prediction under way: from the source through the network into the sinks and the journal."""

    def __init__(
        self,
        member: Member,
        source: RegionSource,
        plan: TilePlan,
        places: Places,
        journal: RunJournal,
    ) -> None:
        self._member, self._source, self._plan, self._places, self._journal = member, source, plan, places, journal
        self._classes = member.model.task.classes
        self.counts: dict[str, int] | None = None
        self._areas = np.zeros(len(self._classes), np.int64)
        for entry in journal.entries:
            self._areas += np.array(entry["areas"], np.int64)
        block = block_sides(plan.size, places.fmt)
        self._sinks: dict[str, BlockSink] = {}
        forms = {
            "mask": (places.mask, 1, np.uint8, tuple(mask_palette(self._classes))),
            "probabilities": (places.probabilities, answer_planes(member.model.task), np.float32, ()),
        }
        for name, (path, channels, dtype, palette) in forms.items():
            if path is not None:
                form = Form(
                    shape=(*plan.size, channels),
                    dtype=np.dtype(dtype),
                    block=block,
                    pixel_size=source.pixel_size,
                    palette=palette,
                )
                try:
                    self._sinks[name] = open_sink(path, places.fmt, form, journal.written(name))
                except RunError as error:
                    raise RunError(error.came, expected=error.expected, do=journal.remedy) from None

    @property
    def areas_px(self) -> dict[str, int]:
        """Pixels of each class in the blocks that are on the disk."""
        return dict(zip(self._classes, self._areas.tolist(), strict=True))

    def run(self, progress: Progress | None, should_stop: Callable[[], bool] | None) -> int:
        """Predict the tiles that are not done; return how many are done."""
        todo = [tile for tile in self._plan if not all(sink.holds(tile.keep) for sink in self._sinks.values())]
        done, blend = len(self._plan) - len(todo), Blend(self._plan)
        for tile, block in self._blocks(todo):
            if should_stop is not None and should_stop():
                break
            values = self._answer(tile, block)
            for region, final in blend.add(tile, values):
                self._write(region, final)
            self._note(tile)
            done += 1
            if progress is not None:
                progress(done, len(self._plan))
        return done

    def find_objects(self, path: Path, pipeline: Pipeline) -> None:
        """Find the objects in the answers of all tiles."""
        for sink in self._sinks.values():
            sink.close()
        places = self._places
        assert places.probabilities is not None  # of instances they are always written
        assert places.labels is not None
        assert places.objects is not None
        make_folder(places.objects.parent)
        self.counts = write_objects(
            self._source,
            places.probabilities,
            places.labels,
            places.objects,
            path=path,
            fmt=places.fmt,
            classes=self._classes,
            pipeline=pipeline,
        )

    def finish(self, notes: tuple[str, ...], started: float) -> None:
        """Let the results appear, the summary last."""
        for sink in self._sinks.values():
            sink.close()
        write_report(
            self._source,
            self._places,
            self._plan,
            self.areas_px,
            notes=notes,
            seconds=time.monotonic() - started,
            counts=self.counts,
        )
        self._journal.remove()

    def abandon(self) -> None:
        """Let go of the files."""
        for sink in self._sinks.values():
            sink.abandon()

    def _blocks(self, tiles: list[Tile]) -> Iterator[tuple[Tile, NDArray[Any]]]:
        """Yield tiles with their pixels; the next one is read meanwhile."""
        if not tiles:
            return
        with ThreadPoolExecutor(1) as reader:
            coming: Future[NDArray[Any]] = reader.submit(self._source.read, tiles[0].read)
            for tile, following in zip(tiles, [*tiles[1:], None], strict=True):
                block = coming.result()
                if following is not None:
                    coming = reader.submit(self._source.read, following.read)
                yield tile, block

    def _answer(self, tile: Tile, block: NDArray[Any]) -> Values:
        """Return the probabilities, (K, h, w) or (K, d, h, w), of what a tile keeps."""
        pixels = tile.fill(to_channels(block, self._member.model.preprocess.channels, self._source.name))
        values = self._member.forward_tile(pixels)
        kept = tile.kept(values)
        if not np.isfinite(kept).all():
            raise ImageError(
                f"{self._source.name}: the network's answer holds NaN or infinity",
                expected="finite numbers",
                do="Look at the picture's values, and at the model's scores",
            )
        return kept

    def _write(self, region: tuple[tuple[int, int], ...], probabilities: Values) -> None:
        if "probabilities" in self._sinks:
            self._sinks["probabilities"].write(region, np.moveaxis(probabilities, 0, -1))
        shares = np.ascontiguousarray(probabilities[: len(self._classes)])
        labels = predicted_classes(torch.from_numpy(shares)[None])[0].numpy()
        self._sinks["mask"].write(region, labels.astype(np.uint8, copy=False)[..., None])

    def _note(self, tile: Tile) -> None:
        """Bring the blocks that a tile completed to the disk, and note them down."""
        fresh = {name: sink.flush() for name, sink in self._sinks.items()}
        areas = np.zeros(len(self._classes), np.int64)
        for _, _, block in fresh["mask"]:
            areas += np.bincount(block.ravel(), minlength=len(self._classes))
        self._areas += areas
        blocks = {name: [[place, record] for place, record, _ in entries] for name, entries in fresh.items()}
        self._journal.add({"tile": tile.index, "areas": areas.tolist(), **blocks})


def _dimensions(model: Model) -> Literal[2, 3]:
    return 3 if model.spec.dimensions == 3 else 2


def _reserve_bytes(size: tuple[int, ...], classes: int, options: LargeOptions) -> int:
    """Return what is needed besides the network: the process itself, and blocks that wait along a strip of tiles."""
    front = 2 * block_sides(size, options.fmt)[0] * math.prod(size[1:])
    return _RESERVE_BYTES + front * (1 + 4 * classes * options.probabilities)


def _begun(
    model: Model, source: RegionSource, plan: TilePlan, options: LargeOptions, pipeline: Pipeline
) -> dict[str, Any]:
    """Say what is predicted: whatever changes an output changes this."""
    return {
        "plan": replace(plan, tile_bytes=0).digest(),  # an estimate of memory does not change the output
        "model": _model_digest(model),
        "input": source.identity,
        "outputs": {"format": options.fmt, "probabilities": options.probabilities},
        "post": pipeline.to_json(),
    }


def _model_digest(model: Model) -> str:
    """Return a sha256 over weights, network, task and preprocessing."""
    parts = {"spec": model.spec.to_json(), "task": model.task.to_json(), "preprocess": model.preprocess.to_json()}
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for name, tensor in sorted(model.network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _open_journal(places: Places, begun: dict[str, Any], options: LargeOptions) -> RunJournal:
    """Go on with what the same command began, or begin anew."""
    if not options.overwrite:
        places.refuse_standing()
        return RunJournal(places.journal, begun)
    if not RunJournal.is_of(places.journal, begun):
        places.journal.unlink(missing_ok=True)
        places.clear()
    return RunJournal(places.journal, begun)
