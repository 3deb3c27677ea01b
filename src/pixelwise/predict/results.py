"""The files that a prediction of many pictures fills: pictures for each, and tables of all of them."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from numpy.typing import NDArray

from pixelwise.data.names import show_path
from pixelwise.data.task_names import TaskName
from pixelwise.data.volumes.volume import Volume
from pixelwise.data.writing import write_png, write_tiff
from pixelwise.errors import UsageError, suggest
from pixelwise.predict.coco import CocoFile, open_coco
from pixelwise.predict.geojson import ObjectType, open_geojson
from pixelwise.predict.inputs import WHOLE, InputItem
from pixelwise.predict.instance_prediction import InstancePrediction
from pixelwise.predict.object_table import AddObjects, open_object_table
from pixelwise.predict.prediction import Prediction
from pixelwise.predict.table import AddRow, Row, TableFormat, open_table
from pixelwise.predict.volume_prediction import VolumePrediction
from pixelwise.storage.atomic import make_folder

Extra = Literal["overlays", "probabilities", "geojson", "coco"]
EXTRAS: Final[tuple[Extra, ...]] = get_args(Extra)
Outlines = Literal["geojson", "coco"]
OUTLINES: Final[tuple[Outlines, ...]] = get_args(Outlines)

_SUFFIXES: Final = {"overlays": ".png", "probabilities": ".tif", "geojson": ".geojson"}
COCO_NAME: Final = "coco.json"
FOLDERS: Final = ("masks", "labels", *_SUFFIXES)
"""All that a prediction may fill, which it does not take for pictures to be predicted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """What is written where.

    Attributes:
        out: the folder.
        kind: of the predictions.
        classes: the class table.
        fmt: of the tables.
        extras: what is wanted beside the tables and masks.
        pixel_size_um: side of a pixel in micrometres, where it is known: areas are then also given in their squares.

    """

    out: Path
    kind: type[Prediction]
    classes: tuple[str, ...]
    fmt: TableFormat
    extras: Collection[Extra]
    pixel_size_um: float | None = None

    @property
    def table(self) -> Path:
        """The table of pictures."""
        return self.out / f"{self.kind.table}.{self.fmt}"

    def targets(self, items: Sequence[InputItem]) -> Iterator[Path]:
        """Return every file that will be written for these pictures."""
        yield self.table
        if self._has_objects:
            yield self._objects
        if "coco" in self.extras:
            yield self.out / COCO_NAME
        for item in items:
            for folder in self._folders:
                yield self._place(folder, item)

    @contextmanager
    def open(self) -> Iterator["Writer"]:
        """Open the tables for what is written first; they appear when the block is left without an error.

        Raises:
            OutputError: something cannot be written; whole results of earlier pictures stay.

        """
        with ExitStack() as stack:
            yield Writer(self, stack)

    @property
    def _has_objects(self) -> bool:
        return issubclass(self.kind, InstancePrediction)

    @property
    def _objects(self) -> Path:
        return self.out / f"objects.{self.fmt}"

    @property
    def _folders(self) -> tuple[str, ...]:
        masks = (self.kind.mask_folder,) if self.kind.has_mask else ()
        return (*masks, *(name for name in _SUFFIXES if name in self.extras))

    def _place(self, folder: str, item: InputItem) -> Path:
        by_voxel = item.in_space and folder == "probabilities"
        suffix = self.kind.suffix_for(item.path) if folder not in _SUFFIXES or by_voxel else _SUFFIXES[folder]
        return self.out / folder / item.target.parent / f"{item.target.name}{suffix}"

    def open_table(self, stack: ExitStack) -> AddRow:
        """Open the table of pictures, which ``stack`` closes.

        Raises:
            OutputError: it cannot be written.

        """
        return stack.enter_context(open_table(self.table, self.kind, self.classes, self.fmt))

    def open_lists(self, stack: ExitStack) -> "Lists":
        """Open the files that list the objects of all pictures, which ``stack`` closes.

        Raises:
            OutputError: one cannot be written.

        """
        add_objects = coco = None
        if self._has_objects:
            form = open_object_table(self._objects, self.classes, self.fmt, self.pixel_size_um)
            add_objects = stack.enter_context(form)
        if "coco" in self.extras:
            outlined = self.kind.outlined_classes(self.classes)
            coco = stack.enter_context(open_coco(self.out / COCO_NAME, self.classes, outlined))
        return Lists(add_objects, coco)

    def write(self, item: InputItem, image: NDArray[Any] | Volume | None, prediction: Prediction) -> str:
        """Write a prediction's pictures; return the mask's path relative to ``out``, "" without one."""
        places = {folder: self._place(folder, item) for folder in self._folders}
        for place in places.values():
            make_folder(place.parent)
        if "overlays" in places and image is not None:
            pixels = image.voxels if isinstance(image, Volume) else image
            write_png(places["overlays"], prediction.overlay(pixels, legend=True))
        if "probabilities" in places and isinstance(prediction, VolumePrediction):
            prediction.save_probabilities(places["probabilities"])
        elif "probabilities" in places and prediction.probabilities is not None:
            write_tiff(places["probabilities"], prediction.probabilities.transpose(1, 2, 0))
        if "geojson" in places:
            object_type: ObjectType = "detection" if self._has_objects else "annotation"
            with open_geojson(places["geojson"], self.classes, object_type) as add_shapes:
                add_shapes(prediction.shapes)
        if not self.kind.has_mask:
            return ""
        mask = places[self.kind.mask_folder]
        prediction.save(mask)
        return mask.relative_to(self.out).as_posix()


@dataclass(frozen=True, slots=True)
class Lists:
    """Those of the objects of all pictures, where they are wanted."""

    add_objects: AddObjects | None
    coco: CocoFile | None


class Writer:
    """Writes what is said of one picture after the other; where nothing is said, no table is left.

    Args:
        results: what is written where.
        stack: closes the tables.

    """

    def __init__(self, results: Results, stack: ExitStack) -> None:
        self._results, self._stack = results, stack
        self._add_row: AddRow | None = None
        self._lists: Lists | None = None

    def add(self, item: InputItem, image: NDArray[Any] | Volume | None, prediction: Prediction) -> None:
        """Write a picture's prediction.

        Args:
            item: the picture.
            image: its pixels, where something is to be drawn over them.
            prediction: what is said of it.

        Raises:
            OutputError: something cannot be written.

        """
        self.add_row(item, self._results.write(item, image, prediction), prediction)
        if self._lists is None:
            self._lists = self._results.open_lists(self._stack)
        if self._lists.add_objects is not None and isinstance(prediction, InstancePrediction):
            self._lists.add_objects(item, prediction.objects)
        if self._lists.coco is not None:
            self._lists.coco.add_picture(file_name(item), prediction.size_px)
            self._lists.coco.add(prediction.shapes)

    def add_row(self, item: InputItem, mask: str, row: Row) -> None:
        """Write the row of a picture whose other results are there.

        Args:
            item: the picture.
            mask: path of its mask relative to the table.
            row: what is said of it.

        Raises:
            OutputError: the table cannot be written.

        """
        if self._add_row is None:
            self._add_row = self._results.open_table(self._stack)
        self._add_row(item, mask, row)


def check_extras(wanted: Collection[str], task: TaskName, kind: type[Prediction]) -> frozenset[Extra]:
    """Return what is wanted beside tables and masks, as far as a task has it.

    Raises:
        UsageError: an unknown word (with near misses), or something that the task's answers do not have.

    """
    known = frozenset(extra for extra in EXTRAS if extra in wanted)
    unknown = next((word for word in wanted if word not in EXTRAS), None)
    if unknown is not None:
        raise UsageError(f"--write {unknown}", expected=", ".join(EXTRAS), do=suggest(unknown, EXTRAS))
    if "overlays" in known and not kind.is_drawn:
        raise UsageError(f"--overlays with a {task} model", do="Leave it out: classes have no place to be drawn")
    for extra in ("geojson", "coco"):
        if extra in known and not kind.has_shapes:
            raise UsageError(
                f"--write {extra} with a {task} model",
                expected="a model whose answers have outlines, such as one for segmentation or instances",
                do="Leave it out",
            )
    return known if kind.has_mask else known - {"probabilities"}


def file_name(item: InputItem) -> str:
    """How a file of all pictures names one: its path, and its frame where it is one of several."""
    return show_path(str(item.path)) + ("" if item.frame == WHOLE else f"[{item.frame}]")
