"""Objects as COCO's JSON: images, categories, and one annotation for each object of all pictures.

An object's segmentation is a polygon along the pixels' edges; one with holes, which COCO's polygons cannot have, is
run-length encoded: counts of pixels outside and inside in turn, column by column over the whole picture, as
``pycocotools`` reads them. Categories are numbered from 1 in the order of the classes, the background left out where
there is one. ``score`` is the mean probability of the object's class.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.predict.outlines import Shape, filled
from pixelwise.storage.atomic import atomic_file

AddPicture = Callable[[str, tuple[int, int], Iterable[Shape]], None]
"""Takes a picture's name, its height and width, and its objects."""


@contextmanager
def open_coco(path: Path, classes: Sequence[str], outlined: Sequence[int]) -> Iterator[AddPicture]:
    """Open a file for pictures with their objects; it appears when the block is left without an error.

    Args:
        path: of the file.
        classes: names.
        outlined: indices of the classes that objects can have.

    Raises:
        OutputError: it cannot be written.

    """
    category = {index: place for place, index in enumerate(outlined, start=1)}
    images: list[dict[str, Any]] = []
    count = 0
    with atomic_file(path) as file:
        file.write(b'{"annotations": [')

        def add(name: str, size: tuple[int, int], shapes: Iterable[Shape]) -> None:
            nonlocal count
            images.append({"id": len(images) + 1, "file_name": name, "height": size[0], "width": size[1]})
            for shape in shapes:
                count += 1
                entry = {"id": count, "image_id": len(images), "category_id": category[shape.index]}
                entry |= annotation(shape, *size)
                file.write((",\n" if count > 1 else "\n").encode() + json.dumps(entry).encode())

        yield add
        rest = {
            "images": images,
            "categories": [{"id": place, "name": classes[index]} for index, place in category.items()],
        }
        file.write(b"\n], " + json.dumps(rest, ensure_ascii=False)[1:].encode() + b"\n")


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
