"""The work on one large picture: from the source, tile by tile, through the network into the outputs and the journal.

Where steps follow the network that look at one object at a time, the answers of all tiles are written first, and a
second pass over them, in strips, finds the objects (:mod:`pixelwise.predict.large.objects`).
"""

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.images import to_channels
from pixelwise.data.regions import RegionSource
from pixelwise.data.regions.creating import block_sides, open_sink
from pixelwise.data.regions.sink import BlockSink, Form
from pixelwise.errors import ImageError, RunError
from pixelwise.predict.large.blend import Blend, Values
from pixelwise.predict.large.journal import RunJournal
from pixelwise.predict.large.objects import Found, SecondPass, answer_planes
from pixelwise.predict.large.places import Places
from pixelwise.predict.member import Member
from pixelwise.predict.palette import mask_palette
from pixelwise.predict.postprocess import Pipeline
from pixelwise.predict.prediction import MaskPrediction
from pixelwise.predict.tiling import Tile, TilePlan, deviation_in, middle_region

Progress = Callable[[int, int], None]


class Work:
    """One prediction under way: from the source through the network into the sinks and the journal."""

    def __init__(
        self,
        member: Member,
        source: RegionSource,
        plan: TilePlan,
        places: Places,
        journal: RunJournal,
        *,
        pipeline: Pipeline,
        numbers: NDArray[np.float32] | None = None,
    ) -> None:
        self._pipeline, self._forward = pipeline, functools.partial(member.forward_tile, numbers=numbers)
        self._member, self._source, self._plan, self._places, self._journal = member, source, plan, places, journal
        self._classes = member.model.task.classes
        self.found: Found | None = None
        self._areas = np.zeros(len(self._classes), np.int64)
        for entry in journal.entries:
            self._areas += np.array(entry["areas"], np.int64)
        self._sinks: dict[str, BlockSink] = {}
        planes = answer_planes(member.model.task)
        try:
            if not self._is_masked_last:
                self._open("mask", places.mask, self._mask_form)
            if places.answers is not None:
                self._open("probabilities", places.answers, self._form(planes, np.dtype(np.float32)))
        except BaseException:
            self.abandon()
            raise

    def _open(self, name: str, path: Path, form: Form) -> None:
        try:
            self._sinks[name] = open_sink(path, self._places.fmt, form, self._journal.written(name))
        except RunError as error:
            raise RunError(error.came, expected=error.expected, do=self._journal.remedy) from None

    @property
    def _is_masked_last(self) -> bool:
        """Whether the label map is made of the answers of all tiles, in the second pass."""
        return self._places.labels is None and bool(self._pipeline.of_objects)

    @property
    def _mask_form(self) -> Form:
        return self._form(1, np.dtype(np.uint8), tuple(mask_palette(self._classes)))

    def _form(self, channels: int, dtype: "np.dtype[Any]", palette: tuple[tuple[int, int, int], ...] = ()) -> Form:
        size = self._plan.size
        return Form(
            shape=(*size, channels),
            dtype=dtype,
            block=block_sides(size, self._places.fmt),
            pixel_size=self._source.pixel_size,
            palette=palette,
        )

    @property
    def areas_px(self) -> dict[str, int]:
        """Pixels of each class in the blocks that are on the disk."""
        return dict(zip(self._classes, self._areas.tolist(), strict=True))

    def deviation(self) -> tuple[str, ...]:
        """Say by how much tiles that blend differ from the whole, measured in the middle; () where they are exact."""
        if self._plan.is_exact:
            return ()
        model = self._member.model
        block = self._source.read(middle_region(self._plan))
        middle = to_channels(block, model.preprocess.channels, self._source.name)
        found = deviation_in(model.network, self._forward, middle)
        return () if found is None else (f"tiles are blended: {found.summary()}",)

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

    def finish(self, path: Path, memory_bytes: int) -> None:
        """Make whole files of the outputs, and find objects and outlines where there are to be any.

        Args:
            path: of the picture, as tables name it.
            memory_bytes: what may be taken for that.

        """
        for sink in self._sinks.values():
            sink.finish()
        if len(self._plan.size) == 3:
            return
        second = SecondPass(
            places=self._places,
            path=path,
            size=(self._plan.size[0], self._plan.size[1]),
            pixel_size=self._source.pixel_size,
            classes=self._classes,
            pipeline=self._pipeline,
            memory_bytes=memory_bytes,
        )
        if self._places.labels is not None:
            self.found = second.write_objects()
            return
        if self._is_masked_last:
            self._areas = second.write_classes(self._mask_form)
        second.write_outlines(MaskPrediction)

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
        values = self._forward(pixels)
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
        if "mask" in self._sinks:
            labels = self._pipeline.classify(probabilities[: len(self._classes)])
            self._sinks["mask"].write(region, labels[..., None])

    def _note(self, tile: Tile) -> None:
        """Bring the blocks that a tile completed to the disk, and note them down."""
        fresh = {name: sink.flush() for name, sink in self._sinks.items()}
        areas = np.zeros(len(self._classes), np.int64)
        for _, _, block in fresh.get("mask", ()):
            areas += np.bincount(block.ravel(), minlength=len(self._classes))
        self._areas += areas
        blocks = {name: [[place, record] for place, record, _ in entries] for name, entries in fresh.items()}
        self._journal.add({"tile": tile.index, "areas": areas.tolist(), **blocks})
