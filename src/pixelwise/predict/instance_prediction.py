"""What a model for instances says: the objects of a picture, one by one."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from pixelwise.data.writing import write_png, write_tiff
from pixelwise.errors import ImageError, UsageError
from pixelwise.predict.object_table import ObjectTable, measure
from pixelwise.predict.outlines import Shape, outline
from pixelwise.predict.overlay import display_rgb, with_captions
from pixelwise.predict.palette import class_colours
from pixelwise.predict.prediction import Prediction, picture_of

_DARK = (24, 24, 24)
_MOST_IN_16_BITS = 2**16 - 1


@dataclass(frozen=True, eq=False)
class InstancePrediction(Prediction):
    """The objects of one picture. ``print(prediction)`` counts them."""

    table: ClassVar[str] = "counts"
    is_drawn: ClassVar[bool] = True
    has_mask: ClassVar[bool] = True
    mask_folder: ClassVar[str] = "labels"
    mask_suffix: ClassVar[str] = ".tif"
    has_shapes: ClassVar[bool] = True

    classes: tuple[str, ...]
    labels: NDArray[np.int32]
    """(H, W), 0 for no object, else its number, 1 to n, in the size of the picture."""
    object_classes: NDArray[np.uint8]
    """(n + 1,) index of the class of each number."""
    objects: ObjectTable
    """What was measured of each."""
    probabilities: NDArray[np.float32] | None = None
    """(K, H, W), 0..1, summing to 1 over the classes; None unless it was asked for."""
    notes: tuple[str, ...] = ()
    """What was done to the picture that its reader should know, such as a conversion to grey."""
    values: NDArray[np.float32] | None = None
    """(C, H, W), what the objects were made from: probabilities, and that of a rim; None unless asked for."""

    @classmethod
    def columns(cls, classes: tuple[str, ...]) -> list[str]:
        """Return size, and the number of objects and their mean area for each class but the background."""
        each = [f"{what}({name})" for what in ("count", "mean_area_px") for name in classes[1:]]
        return ["height_px", "width_px", *each]

    def cells(self) -> list[object]:
        """Return a row's cells; the mean area of no object is empty."""
        means = [f"{areas.mean():.6g}" if len(areas) else "" for areas in self._areas().values()]
        return [*self.labels.shape, *self.counts().values(), *means]

    def counts(self) -> dict[str, int]:
        """The number of objects of each class but the background."""
        return {name: len(areas) for name, areas in self._areas().items()}

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.labels.shape[0], self.labels.shape[1]

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """Every object with its outline; one whose pixels touch only at corners has several outer rings."""
        return tuple(self._shapes())

    def save(self, path: str | Path) -> None:
        """Write the label image: 16 bits a pixel, or in a TIFF 32 where there are more than 65,535 objects.

        Raises:
            UsageError: the name ends in neither ``.tif`` nor ``.png``; more objects than a PNG can number.
            OutputError: it cannot be written.

        """
        target = Path(path)
        suffix = target.suffix.lower()
        if suffix not in (".tif", ".tiff", ".png"):
            raise UsageError(
                f"{target} is to hold numbered objects",
                expected="a name that ends in .tif or .png",
                do="Change the name",
            )
        count = int(self.labels.max(initial=0))
        if suffix == ".png" and count > _MOST_IN_16_BITS:
            raise UsageError(
                f"{target} is to number {count:,} objects",
                expected=f"at most {_MOST_IN_16_BITS:,} in a PNG",
                do="Choose a name that ends in .tif",
            )
        stored = self.labels.astype(np.uint16 if count <= _MOST_IN_16_BITS else np.uint32)
        if suffix == ".png":
            write_png(target, stored)
        else:
            write_tiff(target, stored)

    def overlay(self, image: str | Path | NDArray[Any], *, legend: bool = False) -> NDArray[np.uint8]:
        """Outline each object in the colour of its class: RGB uint8 (H, W, 3), taller where counts are added.

        Raises:
            ImageError: the picture cannot be read, or its size is another.

        """
        picture = picture_of(image)
        if picture.shape[:2] != self.labels.shape:
            raise ImageError(
                f"The picture has {picture.shape[0]} x {picture.shape[1]} pixels and the label image "
                f"{self.labels.shape[0]} x {self.labels.shape[1]}",
                expected="the same size (height x width)",
                do="Give the picture that was predicted",
            )
        colours = class_colours(self.classes)
        drawn = outlined(display_rgb(picture), self.labels, colours[self.object_classes])
        if not legend:
            return drawn
        entries = [
            (f"{name}  {count:,}", (int(red), int(green), int(blue)))
            for (name, count), (red, green, blue) in zip(self.counts().items(), colours[1:], strict=True)
        ]
        return with_captions(drawn, entries)

    def to_json(self) -> dict[str, Any]:
        """Return size, counts and every object as plain JSON."""
        height, width = self.labels.shape
        objects = self.objects.rows(self.classes)
        return {"height_px": height, "width_px": width, "counts": self.counts(), "objects": objects}

    def __str__(self) -> str:
        height, width = self.labels.shape
        found = ", ".join(
            f"{name} {len(areas):,}" + (f" (mean area {areas.mean():,.0f} px)" if len(areas) else "")
            for name, areas in self._areas().items()
        )
        return f"{height} x {width} px: {found}"

    def _areas(self) -> dict[str, NDArray[np.int64]]:
        table = self.objects
        return {name: table.areas_px[table.classes == index] for index, name in enumerate(self.classes) if index}

    def _shapes(self) -> Iterator[Shape]:
        boxes = scipy.ndimage.find_objects(self.labels)
        for place, number in enumerate(self.objects.numbers.tolist()):
            rows, columns = boxes[number - 1]
            x_min, y_min, x_max, y_max = self.objects.boxes_px[place].tolist()
            yield Shape(
                number=number,
                index=int(self.objects.classes[place]),
                rings=outline(self.labels[rows, columns] == number, (rows.start, columns.start)),
                area_px=int(self.objects.areas_px[place]),
                box=(x_min, y_min, x_max, y_max),
                probability=float(self.objects.probabilities[place]),
            )


def read_instances(
    classes: tuple[str, ...],
    labels: NDArray[np.int32],
    object_classes: NDArray[np.uint8],
    values: NDArray[np.float32],
    *,
    notes: tuple[str, ...] = (),
    keep: bool = False,
) -> InstancePrediction:
    """Measure the objects of a label image and make a prediction of them; see :class:`InstancePrediction`."""
    return InstancePrediction(
        classes=classes,
        labels=labels,
        object_classes=object_classes,
        objects=measure(labels, object_classes, values),
        probabilities=values[: len(classes)] if keep else None,
        notes=notes,
        values=values if keep else None,
    )


def outlined(rgb: NDArray[np.uint8], labels: NDArray[np.int32], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw the rim of every object of a label image (H, W) over an RGB picture, a dark line around it.

    Args:
        rgb: (H, W, 3); it is not written to.
        labels: 0 for none, else 1 to n.
        colours: (n + 1, 3), the colour of each.

    """
    width = max(1, round(min(labels.shape) / 500))
    kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    numbers = labels.astype(np.float32)
    highest, lowest = cv2.dilate(numbers, kernel), cv2.erode(numbers, kernel)
    rim = highest != lowest
    drawn = rgb.copy()
    drawn[rim & (labels == 0)] = _DARK
    inner = rim & (labels > 0)
    drawn[inner] = colours[labels[inner]]
    return drawn
