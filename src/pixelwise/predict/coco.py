"""Objects as COCO's JSON: images, categories, and one annotation for each object of all pictures.

An object's segmentation is a polygon along the pixels' edges; one with holes, which COCO's polygons cannot have, is
run-length encoded: counts of pixels outside and inside in turn, column by column over the whole picture, as
``pycocotools`` reads them. Categories are numbered from 1 in the order of the classes, the background left out where
there is one. ``score`` is the mean probability of the object's class.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.predict.outlines import Shape, filled
from pixelwise.storage.atomic import atomic_file


class CocoFile:
    """A file that is being written; annotations come first, so that nothing of them has to be held.

    Args:
        file: is written to.
        classes: names.
        outlined: indices of the classes that objects can have.

    """

    def __init__(self, file: IO[bytes], classes: Sequence[str], outlined: Sequence[int]) -> None:
        self._file, self._classes = file, classes
        self._category = {index: place for place, index in enumerate(outlined, start=1)}
        self._pictures: list[dict[str, Any]] = []
        self._count = 0
        file.write(b'{"annotations": [')

    def add_picture(self, name: str, size: tuple[int, int]) -> None:
        """Add a picture of a height and width, to which the objects belong that follow."""
        self._pictures.append({"id": len(self._pictures) + 1, "file_name": name, "height": size[0], "width": size[1]})

    def add(self, shapes: Iterable[Shape]) -> None:
        """Add objects of the picture that was added last."""
        picture = self._pictures[-1]
        for shape in shapes:
            self._count += 1
            entry = {"id": self._count, "image_id": picture["id"], "category_id": self._category[shape.index]}
            entry |= annotation(shape, picture["height"], picture["width"])
            self._file.write((",\n" if self._count > 1 else "\n").encode() + json.dumps(entry).encode())

    def end(self) -> None:
        """Write what comes after the annotations."""
        categories = [{"id": place, "name": self._classes[index]} for index, place in self._category.items()]
        rest = {"images": self._pictures, "categories": categories}
        self._file.write(b"\n], " + json.dumps(rest, ensure_ascii=False)[1:].encode() + b"\n")


@contextmanager
def open_coco(path: Path, classes: Sequence[str], outlined: Sequence[int]) -> Iterator[CocoFile]:
    """Open a file for pictures with their objects; it appears when the block is left without an error.

    Args:
        path: of the file.
        classes: names.
        outlined: indices of the classes that objects can have.

    Raises:
        OutputError: it cannot be written.

    """
    with atomic_file(path) as file:
        coco = CocoFile(file, classes, outlined)
        yield coco
        coco.end()


def annotation(shape: Shape, height: int, width: int) -> dict[str, Any]:
    """Return what an annotation says of one object of a picture of ``height`` x ``width``."""
    x_min, y_min, x_max, y_max = shape.box
    outer, *holes = shape.rings
    segmentation: Any = [[value for point in outer for value in point]]
    if holes:
        corner = int(y_min), int(x_min)
        segmentation = {"size": [height, width], "counts": run_lengths(filled(shape), corner, height, width)}
    scored = {} if shape.probability is None else {"score": round(shape.probability, 4)}
    return {
        "segmentation": segmentation,
        "area": shape.area_px,
        "bbox": [x_min, y_min, x_max - x_min, y_max - y_min],
        "iscrowd": 0,
        **scored,
    }


def run_lengths(inside: NDArray[np.bool_], corner: tuple[int, int], height: int, width: int) -> list[int]:
    """Return the run lengths of a mask (h, w) that lies at ``corner`` (y, x) of a picture, outside first."""
    columns, rows = np.nonzero(inside.T)
    places = (columns + corner[1]) * height + rows + corner[0]
    breaks = np.flatnonzero(np.diff(places) != 1)
    starts = places[np.concatenate([[0], breaks + 1])]
    ends = places[np.concatenate([breaks, [len(places) - 1]])] + 1
    bounds = np.stack([starts, ends], axis=1).ravel()
    lengths = np.diff(np.concatenate([[0], bounds, [height * width]])).tolist()
    return lengths if lengths[-1] else lengths[:-1]
