"""The objects of a large picture: a second pass, over the probabilities that its tiles left on the disk.

They are read in strips from top to bottom, and the objects are those of the whole picture
(:mod:`pixelwise.predict.merging`). Models for instances get numbered objects and a table; of others, whose steps after
the network look at objects, the label map is made of what these steps leave. The pass is short beside that of the
network; one that is stopped is begun anew.
"""

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.regions import RegionSource, open_source
from pixelwise.data.regions.creating import RegionFormat, block_sides, open_sink
from pixelwise.data.regions.sink import BlockSink, Form
from pixelwise.predict.inputs import WHOLE, InputItem
from pixelwise.predict.merging import merge
from pixelwise.predict.object_table import open_object_table
from pixelwise.predict.postprocess import Pipeline
from pixelwise.tasks import Instances, Task

_STRIP_PX = 256


def answer_planes(task: Task) -> int:
    """Return how many planes the answers of a task by pixel have: a probability for each class, and that of a rim."""
    return task.num_outputs if isinstance(task, Instances) else len(task.classes)


def write_objects(
    source: RegionSource,
    answers: Path,
    labels: Path,
    table: Path,
    *,
    path: Path,
    fmt: RegionFormat,
    classes: tuple[str, ...],
    pipeline: Pipeline,
) -> dict[str, int]:
    """Write the label image, 32 bits a pixel, and the table of objects.

    Args:
        source: the picture.
        answers: the file of the network's answers, (H, W, C).
        labels: the file of the label image.
        table: the CSV file of the objects.
        path: of the picture, for the table.
        fmt: of the label image.
        classes: the class table.
        pipeline: steps after the network.

    Returns:
        The number of objects of each class but the background.

    Raises:
        OutputError: the disk is full, or the place cannot be written.

    """
    size = (source.size[0], source.size[1])
    form = Form(
        shape=(*size, 1),
        dtype=np.dtype(np.uint32),
        block=block_sides(size, fmt),
        pixel_size=source.pixel_size,
        palette=(),
    )
    item = InputItem(path=path, frame=WHOLE, target=PurePosixPath(path.name))
    side_um = None if source.pixel_size is None else math.sqrt(math.prod(source.pixel_size))
    counts = np.zeros(len(classes), np.int64)
    sink = open_sink(labels, fmt, form)
    try:
        with (
            open_source(answers, 2, stored=True) as planes,
            open_object_table(table, classes, "csv", side_um) as add,
        ):
            for band in merge(_strips(planes, size), size, len(classes), pipeline):
                _write_rows(sink, band.top, band.labels.astype(np.uint32))
                counts += np.bincount(band.objects.classes, minlength=len(classes))
                add(item, band.objects)
        sink.close()
    finally:
        sink.abandon()
    return dict(zip(classes[1:], counts[1:].tolist(), strict=True))


def write_classes(
    answers: Path, mask: Path, form: Form, *, fmt: RegionFormat, num_classes: int, pipeline: Pipeline
) -> NDArray[np.int64]:
    """Write the label map that the steps after the network leave; return the pixels of each class, (K,).

    Args:
        answers: the file of the network's answers, (H, W, K).
        mask: the file of the label map.
        form: of the label map, (H, W, 1).
        fmt: of the label map.
        num_classes: K.
        pipeline: steps after the network.

    Raises:
        OutputError: the disk is full, or the place cannot be written.

    """
    size = (form.size[0], form.size[1])
    areas = np.zeros(num_classes, np.int64)
    class_of = np.zeros(1, np.uint8)  # of each number; 0 is the background
    sink = open_sink(mask, fmt, form)
    try:
        with open_source(answers, 2, stored=True) as planes:
            for band in merge(_strips(planes, size), size, num_classes, pipeline):
                known = np.zeros(max(len(class_of), int(band.objects.numbers.max(initial=0)) + 1), np.uint8)
                known[: len(class_of)] = class_of
                known[band.objects.numbers] = band.objects.classes
                class_of = known
                labels = class_of[band.labels]
                areas += np.bincount(labels.ravel(), minlength=num_classes)
                _write_rows(sink, band.top, labels)
        sink.close()
    finally:
        sink.abandon()
    return areas


def _write_rows(sink: BlockSink, top: int, labels: NDArray[Any]) -> None:
    if len(labels):
        sink.write(((top, top + len(labels)), (0, labels.shape[1])), labels[..., None])
        sink.flush()


def _strips(planes: RegionSource, size: tuple[int, int]) -> Iterator[NDArray[np.float32]]:
    for top in range(0, size[0], _STRIP_PX):
        rows = planes.read(((top, min(top + _STRIP_PX, size[0])), (0, size[1])))
        yield np.ascontiguousarray(np.moveaxis(rows, -1, 0), np.float32)
