"""Objects as GeoJSON, which QuPath and geographic programs open: one feature for each, in the picture's pixels.

A feature's geometry is a polygon along the pixels' edges (:mod:`pixelwise.predict.outlines`), its outer ring first and
holes after it; the standard (RFC 7946) asks for outer rings counter-clockwise where y points up. Its properties are
those that QuPath reads: the class with its colour, and what was measured.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pixelwise.predict.outlines import Shape
from pixelwise.predict.palette import class_colours
from pixelwise.storage.atomic import atomic_file

ObjectType = Literal["annotation", "detection"]
"""QuPath's words for a region, and for one of many small objects."""

AddShapes = Callable[[Iterable[Shape]], None]
"""Takes further objects of a picture."""


@contextmanager
def open_geojson(path: Path, classes: Sequence[str], object_type: ObjectType) -> Iterator[AddShapes]:
    """Open a collection of features; it appears when the block is left without an error.

    Raises:
        OutputError: it cannot be written.

    """
    colours, separator = class_colours(classes), b"\n"
    with atomic_file(path) as file:
        file.write(b'{"type": "FeatureCollection", "features": [')

        def add(shapes: Iterable[Shape]) -> None:
            nonlocal separator
            for shape in shapes:
                colour = [int(value) for value in colours[shape.index]]
                entry = feature(shape, classes[shape.index], colour, object_type)
                file.write(separator + json.dumps(entry, ensure_ascii=False).encode())
                separator = b",\n"

        yield add
        file.write(b"\n]}\n")


def feature(shape: Shape, name: str, colour: list[int], object_type: ObjectType) -> dict[str, Any]:
    """Return one object as a feature."""
    measured: dict[str, float] = {"area_px": shape.area_px}
    if shape.probability is not None:
        measured["probability"] = round(shape.probability, 4)
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [[*map(list, ring), list(ring[0])] for ring in shape.rings]},
        "properties": {
            "objectType": object_type,
            "name": str(shape.number),
            "classification": {"name": name, "color": colour},
            "measurements": measured,
        },
    }
