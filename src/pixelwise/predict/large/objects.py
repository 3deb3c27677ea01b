"""The objects of a large picture: a second pass, over what its tiles left on the disk.

It is read in strips from top to bottom, and the objects are those of the whole picture
(:mod:`pixelwise.predict.merging`). Models for instances get numbered objects and a table; of others, whose steps after
the network look at objects, the label map is made of what these steps leave. Outlines of objects, or of the pieces of
classes, are found on the way. The pass is short beside that of the network; one that is stopped is begun anew, and what
it writes is called ``.unfinished`` until all is whole.
"""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.names import show_path
from pixelwise.data.regions import RegionSource, open_source
from pixelwise.data.regions.creating import block_sides, open_sink
from pixelwise.data.regions.sink import BlockSink, Form, unfinished, whole
from pixelwise.predict.bands import Strip, Strips
from pixelwise.predict.inputs import WHOLE, InputItem
from pixelwise.predict.instance_prediction import InstancePrediction
from pixelwise.predict.large.places import Places
from pixelwise.predict.large.shapes import AddBand, open_shapes
from pixelwise.predict.merging import bytes_a_row, merge
from pixelwise.predict.object_table import open_object_table
from pixelwise.predict.postprocess import Pipeline
from pixelwise.predict.prediction import Prediction
from pixelwise.storage.atomic import make_folder
from pixelwise.tasks import Instances, Task

_STRIP_PX, _LEAST_STRIP_PX = 256, 16
_SHARES = 4
_READ_COPIES = 2
"""Of the values of a strip: as they lie in the file, and plane by plane."""


def answer_planes(task: Task) -> int:
    """Return how many planes the answers of a task by pixel have: a probability for each class, and that of a rim."""
    return task.num_outputs if isinstance(task, Instances) else len(task.classes)


@dataclass(frozen=True, slots=True)
class Found:
    """The objects of a picture: of each class but the background how many, and the mean of their areas in pixels."""

    counts: dict[str, int]
    mean_areas_px: dict[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondPass:
    """What comes after the last tile.

    Attributes:
        places: of the results.
        path: the picture, as tables name it.
        size: its height and width.
        pixel_size: in micrometres along each axis; None where it is not known.
        classes: the class table.
        pipeline: steps after the network.
        memory_bytes: what this pass may take: a quarter of it for strips, a quarter for outlines where they are wanted,
            the rest for pieces that are held over strips.

    """

    places: Places
    path: Path
    size: tuple[int, int]
    pixel_size: tuple[float, ...] | None
    classes: tuple[str, ...]
    pipeline: Pipeline
    memory_bytes: int

    def write_objects(self) -> Found:
        """Write the label image, 32 bits a pixel, the table of objects, and outlines where they are wanted.

        Raises:
            ImageError: objects that have to be seen whole do not fit into the memory.
            OutputError: the disk is full, or the place cannot be written.

        """
        labels, table = self.places.labels, self.places.objects
        assert labels is not None  # the model's task is instances
        assert table is not None
        make_folder(table.parent)
        item = InputItem(path=self.path, frame=WHOLE, target=PurePosixPath(self.path.name))
        side_um = None if self.pixel_size is None else math.sqrt(math.prod(self.pixel_size))
        form = Form(
            shape=(*self.size, 1),
            dtype=np.dtype(np.uint32),
            block=block_sides(self.size, self.places.fmt),
            pixel_size=self.pixel_size,
        )
        counts, areas = np.zeros((2, len(self.classes)), np.int64)
        with (
            self._answers() as planes,
            _written(labels, self.places, form) as sink,
            open_object_table(unfinished(table), self.classes, "csv", side_um) as add,
            self._shapes(InstancePrediction) as outline,
        ):
            strips = self._strips(planes)
            for band in merge(strips, self.size, len(self.classes), self.pipeline, room_bytes=self._room_bytes):
                _write_rows(sink, band.top, band.labels.astype(np.uint32))
                objects = band.objects
                counts += np.bincount(objects.classes, minlength=len(counts))
                areas += np.bincount(objects.classes, objects.areas_px, len(areas)).astype(np.int64)
                add(item, objects)
                if outline is not None:
                    outline(band)
            sink.finish()
        named = list(zip(self.classes, counts.tolist(), areas.tolist(), strict=True))[1:]
        return Found(
            {name: count for name, count, _ in named},
            {name: area / count if count else None for name, count, area in named},
        )

    def write_classes(self, form: Form) -> NDArray[np.int64]:
        """Write the label map that the steps after the network leave; return the pixels of each class, (K,).

        Args:
            form: of the label map, (H, W, 1).

        Raises:
            ImageError, OutputError: as :meth:`write_objects`.

        """
        areas = np.zeros(len(self.classes), np.int64)
        with self._answers() as planes, _written(self.places.mask, self.places, form) as sink:
            for band in merge(
                self._strips(planes), self.size, len(self.classes), self.pipeline, room_bytes=self._room_bytes
            ):
                labels = band.classes[band.labels]
                areas += np.bincount(labels.ravel(), minlength=len(areas))
                _write_rows(sink, band.top, labels)
            sink.finish()
        return areas

    def write_outlines(self, kind: type[Prediction]) -> None:
        """Write the outlines of the pieces of each class of the label map, where they are wanted.

        Args:
            kind: of predictions, which tells the classes that are outlined.

        Raises:
            ImageError, OutputError: as :meth:`write_objects`.

        """
        if not self._is_outlined:
            return
        class_of = np.zeros(256, np.uint8)  # 0 is what is not outlined
        for index in kind.outlined_classes(self.classes):
            class_of[index] = index + 1

        def strips() -> Iterator[Strip]:
            for rows in self._rows(label_map, planes=0):
                yield Strip(class_of[rows[..., 0]])

        with (
            open_source(whole(self.places.mask), 2, stored=True, unfinished=True) as label_map,
            self._shapes(kind) as outline,
        ):
            assert outline is not None  # a file is wanted
            for band in merge(strips, self.size, len(self.classes) + 1, Pipeline(), room_bytes=self._room_bytes):
                outline(replace(band, objects=replace(band.objects, classes=band.objects.classes - 1)))

    @property
    def _is_outlined(self) -> bool:
        return self.places.geojson is not None or self.places.coco is not None

    @property
    def _room_bytes(self) -> int:
        """What may be held of pieces."""
        return self.memory_bytes // _SHARES * (2 if self._is_outlined else 3)

    def _answers(self) -> RegionSource:
        assert self.places.answers is not None  # they were written for this pass
        return open_source(whole(self.places.answers), 2, stored=True, unfinished=True)

    def _shapes(self, kind: type[Prediction]) -> AbstractContextManager[AddBand | None]:
        geojson, coco = (None if path is None else unfinished(path) for path in (self.places.geojson, self.places.coco))
        return open_shapes(
            geojson,
            coco,
            name=show_path(str(self.path)),
            size=self.size,
            classes=self.classes,
            outlined=kind.outlined_classes(self.classes),
            object_type="detection" if issubclass(kind, InstancePrediction) else "annotation",
            room_bytes=self.memory_bytes // _SHARES,
        )

    def _strips(self, answers: RegionSource) -> Strips:
        def strips() -> Iterator[Strip]:
            for rows in self._rows(answers, planes=answers.channels):
                values = np.ascontiguousarray(np.moveaxis(rows, -1, 0), np.float32)
                yield Strip(self.pipeline.classify(values[: len(self.classes)]), values)

        return strips

    def _rows(self, source: RegionSource, planes: int) -> Iterator[NDArray[Any]]:
        """Read a file strip by strip, (h, W, C); ``planes`` are those of the values that objects are measured by."""
        height, width = self.size
        each = bytes_a_row(width, planes) + 4 * _READ_COPIES * width * planes
        step = min(_STRIP_PX, max(_LEAST_STRIP_PX, self.memory_bytes // _SHARES // each))
        for top in range(0, height, step):
            yield source.read(((top, min(top + step, height)), (0, width)))


@contextmanager
def _written(path: Path, places: Places, form: Form) -> Iterator[BlockSink]:
    """Open an output, and let go of it in any case."""
    sink = open_sink(path, places.fmt, form)
    try:
        yield sink
    finally:
        sink.abandon()


def _write_rows(sink: BlockSink, top: int, labels: NDArray[Any]) -> None:
    if len(labels):
        sink.write(((top, top + len(labels)), (0, labels.shape[1])), labels[..., None])
        sink.flush()
