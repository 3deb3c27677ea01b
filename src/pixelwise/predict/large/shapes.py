"""Outlines of the objects of a large picture, found while its rows go by, and the files that they go into."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from pixelwise.errors import ImageError
from pixelwise.predict.bands import Band, numbers_in
from pixelwise.predict.coco import open_coco
from pixelwise.predict.geojson import ObjectType, open_geojson
from pixelwise.predict.outlines import Shape, count_sides, outline
from pixelwise.storage.atomic import make_folder

_BYTES_A_SIDE = 400
"""Of one side of one pixel, while an outline is followed."""

_Crop = tuple[int, int, NDArray[np.bool_]]
"""Row and column of a part of an object, and its pixels."""

AddBand = Callable[[Band], None]


class Outliner:
    """Gathers the parts of objects until they are whole.

    Args:
        room_bytes: what objects that are not yet whole, and the outline of one, may take.
        is_scored: the objects have probabilities.

    """

    def __init__(self, room_bytes: int, *, is_scored: bool) -> None:
        self._room_bytes, self._is_scored = room_bytes, is_scored
        self._parts: dict[int, list[_Crop]] = {}
        self._held_bytes = 0

    def add(self, band: Band) -> Iterator[Shape]:
        """Take further rows; yield the objects that were completed with them.

        Raises:
            ImageError: an object is too large to be outlined within the memory.

        """
        self._gather(band)
        objects = band.objects
        for row, number in enumerate(objects.numbers.tolist()):
            left, top, right, bottom = objects.boxes_px[row].tolist()
            self._refuse_too_large(number, (bottom - top) * (right - left))
            inside = np.zeros((bottom - top, right - left), np.bool_)
            for y, x, part in self._parts.pop(number):
                inside[y - top : y - top + part.shape[0], x - left : x - left + part.shape[1]] = part
                self._held_bytes -= part.nbytes
            self._refuse_too_large(number, inside.size + _BYTES_A_SIDE * count_sides(inside))
            yield Shape(
                number=number,
                index=int(objects.classes[row]),
                rings=outline(inside, (top, left)),
                area_px=int(objects.areas_px[row]),
                box=(left, top, right, bottom),
                probability=float(objects.probabilities[row]) if self._is_scored else None,
            )

    def _gather(self, band: Band) -> None:
        numbers, places = numbers_in(band.labels)
        if len(numbers) == 1:
            return
        boxes = scipy.ndimage.find_objects(places)
        for number, box in zip(numbers[1:].tolist(), boxes, strict=True):
            part = band.labels[box] == number
            self._parts.setdefault(number, []).append((band.top + box[0].start, box[1].start, part))
            self._held_bytes += part.nbytes
            self._refuse_too_large(number, 0)

    def _refuse_too_large(self, number: int, needed_bytes: int) -> None:
        if self._held_bytes + needed_bytes > self._room_bytes:
            raise ImageError(
                f"object {number} is too large to be outlined within the memory that is allowed",
                expected=f"objects whose boxes and outlines take at most {self._room_bytes // 10**6:,} MB",
                do="Allow more memory (--memory), or leave geojson and coco out (--write): the tiles are kept",
            )


@contextmanager
def open_shapes(
    geojson: Path | None,
    coco: Path | None,
    *,
    name: str,
    size: tuple[int, int],
    classes: Sequence[str],
    outlined: Sequence[int],
    object_type: ObjectType,
    room_bytes: int,
) -> Iterator[AddBand | None]:
    """Open the files of outlines of one picture, which appear when the block is left without an error.

    Args:
        geojson: the GeoJSON file; None for none.
        coco: COCO's JSON; None for none.
        name: of the picture.
        size: height and width of the picture.
        classes: names.
        outlined: indices of the classes that objects can have.
        object_type: what GeoJSON calls an object; only detections have probabilities.
        room_bytes: see :class:`Outliner`.

    Yields:
        What takes the bands of the picture; None where no file is wanted.

    Raises:
        OutputError: a file cannot be written.

    """
    takers: list[Callable[[Iterable[Shape]], None]] = []
    with ExitStack() as stack:
        if geojson is not None:
            make_folder(geojson.parent)
            takers.append(stack.enter_context(open_geojson(geojson, classes, object_type)))
        if coco is not None:
            make_folder(coco.parent)
            file = stack.enter_context(open_coco(coco, classes, outlined))
            file.add_picture(name, size)
            takers.append(file.add)
        outliner = Outliner(room_bytes, is_scored=object_type == "detection")

        def add(band: Band) -> None:
            for shape in outliner.add(band):
                for take in takers:
                    take([shape])

        yield add if takers else None
