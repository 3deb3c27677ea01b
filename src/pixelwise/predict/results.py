"""The files that a prediction of many pictures fills: pictures for each, and tables of all of them."""

from collections.abc import Callable, Collection, Iterator, Sequence
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
from pixelwise.predict.coco import open_coco
from pixelwise.predict.geojson import ObjectType, write_geojson
from pixelwise.predict.inputs import WHOLE, InputItem
from pixelwise.predict.instance_prediction import InstancePrediction
from pixelwise.predict.object_table import open_object_table
from pixelwise.predict.prediction import Prediction
from pixelwise.predict.table import TableFormat, open_table
from pixelwise.predict.volume_prediction import VolumePrediction
from pixelwise.storage.atomic import make_folder

Extra = Literal["overlays", "probabilities", "geojson", "coco"]
EXTRAS: Final[tuple[Extra, ...]] = get_args(Extra)

_SUFFIXES: Final = {"overlays": ".png", "probabilities": ".tif", "geojson": ".geojson"}
COCO_NAME: Final = "coco.json"
FOLDERS: Final = ("masks", "labels", *_SUFFIXES)
"""All that a prediction may fill, which it does not take for pictures to be predicted."""

AddPrediction = Callable[[InputItem, NDArray[Any] | Volume | None, Prediction], None]
"""Takes a picture, its pixels where something is to be drawn over them, and its prediction."""


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
    def open(self) -> Iterator[AddPrediction]:
        """Open the tables, which appear when the block is left without an error.

        Raises:
            OutputError: something cannot be written; whole results of earlier pictures stay.

        """
        with ExitStack() as stack:
            add_row = stack.enter_context(open_table(self.table, self.kind, self.classes, self.fmt))
            add_objects = add_coco = None
            if self._has_objects:
                form = open_object_table(self._objects, self.classes, self.fmt, self.pixel_size_um)
                add_objects = stack.enter_context(form)
            if "coco" in self.extras:
                add_coco = stack.enter_context(
                    open_coco(self.out / COCO_NAME, self.classes, self.kind.outlined_classes(self.classes))
                )

            def add(item: InputItem, image: NDArray[Any] | Volume | None, prediction: Prediction) -> None:
                mask = self._write(item, image, prediction)
                add_row(item, mask, prediction)
                if add_objects is not None and isinstance(prediction, InstancePrediction):
                    add_objects(item, prediction.objects)
                if add_coco is not None:
                    add_coco(file_name(item), prediction.size_px, prediction.shapes)

            yield add

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

    def _write(self, item: InputItem, image: NDArray[Any] | Volume | None, prediction: Prediction) -> str:
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
            write_geojson(places["geojson"], prediction.shapes, self.classes, object_type)
        if not self.kind.has_mask:
            return ""
        mask = places[self.kind.mask_folder]
        prediction.save(mask)
        return mask.relative_to(self.out).as_posix()


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
