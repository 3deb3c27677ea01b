"""What there is to measure of each object of a picture.

Places are those of :mod:`pixelwise.predict.outlines`: the centroid of one pixel in row i and column j is i + 1/2,
j + 1/2, and its box runs from j to j + 1.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.names import show_path
from pixelwise.predict.inputs import WHOLE, InputItem
from pixelwise.predict.object_sums import ObjectRows, ObjectSums, sums_of
from pixelwise.predict.table import TableFormat, csv_line
from pixelwise.storage.atomic import atomic_file

COLUMNS = (
    "object", "class", "area_px", "centroid_x_px", "centroid_y_px", "x_min_px", "y_min_px", "x_max_px", "y_max_px",
    "probability", "major_axis_px", "minor_axis_px", "eccentricity",
)  # fmt: skip
"""Of a table of objects, after the picture's own."""

_PIXEL_VARIANCE = 1 / 12
"""Of a uniform distribution over one pixel: points of a lattice spread less than the squares around them."""


@dataclass(frozen=True, slots=True)
class ObjectTable(ObjectRows):
    """The objects of a picture; numbers are those of the label image, and columns are (n,) unless they say otherwise.

    Attributes:
        areas_px: pixels.
        centroids_px: (n, 2), x and y.
        boxes_px: (n, 4), x_min, y_min, x_max, y_max.
        probabilities: mean probability of the object's class over its pixels, 0 to 1.
        axes_px: (n, 2), major and minor axis of the ellipse of the same second moments.

    """

    areas_px: NDArray[np.int64]
    centroids_px: NDArray[np.float64]
    boxes_px: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    axes_px: NDArray[np.float64]

    @property
    def eccentricities(self) -> NDArray[np.float64]:
        """0 for a circle, towards 1 for a line: (n,)."""
        major, minor = self.axes_px.T
        return np.sqrt(1 - (minor / major) ** 2)

    def rows(self, names: tuple[str, ...]) -> list[dict[str, Any]]:
        """Return one table of :data:`COLUMNS` for each object; ``names`` are those of the classes."""
        columns = [
            self.numbers.tolist(),
            [names[index] for index in self.classes.tolist()],
            self.areas_px.tolist(),
            *self.centroids_px.round(2).T.tolist(),
            *self.boxes_px.T.tolist(),
            self.probabilities.round(4).tolist(),
            *self.axes_px.round(2).T.tolist(),
            self.eccentricities.round(4).tolist(),
        ]
        return [dict(zip(COLUMNS, row, strict=True)) for row in zip(*columns, strict=True)]


def measure(
    labels: NDArray[np.int32], classes: NDArray[np.uint8], values: NDArray[np.float32], corner: tuple[int, int] = (0, 0)
) -> ObjectTable:
    """Measure objects.

    Args:
        labels: (H, W), 0 for none, 1 to n; a number without pixels is left out.
        classes: (n + 1,), the class of each number.
        values: (K or more, H, W), the probability of each class.
        corner: y and x of the first pixel in the picture.

    """
    return measured(sums_of(labels, classes, values, corner))


def measured(sums: ObjectSums) -> ObjectTable:
    """Return what the sums over whole objects say of them."""
    areas = sums.areas
    var_x, var_y, cov = (sums.spreads / areas[:, None] + np.array([_PIXEL_VARIANCE, _PIXEL_VARIANCE, 0])).T
    spread = np.sqrt((var_x - var_y) ** 2 + 4 * cov**2)
    axes = 2 * np.sqrt(2 * np.stack([var_x + var_y + spread, np.maximum(var_x + var_y - spread, 0)], axis=1))
    return ObjectTable(
        numbers=sums.numbers,
        classes=sums.classes,
        areas_px=areas,
        centroids_px=sums.means + 0.5,
        boxes_px=sums.boxes,
        probabilities=sums.probabilities / areas,
        axes_px=axes,
    )


AddObjects = Callable[[InputItem, ObjectTable], None]
"""Takes a picture and its objects."""


@contextmanager
def open_object_table(
    path: Path, classes: tuple[str, ...], form: TableFormat, pixel_size_um: float | None = None
) -> Iterator[AddObjects]:
    """Open a table with a row for each object of all pictures; it appears when the block is left without an error.

    Args:
        path: the file.
        classes: the class table.
        form: CSV, or JSON lines.
        pixel_size_um: side of a pixel in micrometres; areas are then given in square micrometres, too.

    Raises:
        OutputError: it cannot be written.

    """
    physical = () if pixel_size_um is None else ("area_um2",)
    with atomic_file(path) as file:
        if form == "csv":
            file.write(csv_line(["path", "frame", *COLUMNS, *physical]))

        def add(item: InputItem, objects: ObjectTable) -> None:
            frame = None if item.frame == WHOLE else item.frame
            for row in objects.rows(classes):
                entry: dict[str, Any] = {"path": show_path(str(item.path)), "frame": frame, **row}
                if pixel_size_um is not None:
                    entry["area_um2"] = round(row["area_px"] * pixel_size_um**2, 4)
                if form == "csv":
                    file.write(csv_line(["" if cell is None else cell for cell in entry.values()]))
                else:
                    file.write((json.dumps(entry, ensure_ascii=False) + "\n").encode())

        yield add
