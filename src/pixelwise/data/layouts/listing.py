"""What every layout hands over: rows of paths with labels or masks, before any picture is opened."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pixelwise.data.images import IMAGE_SUFFIXES
from pixelwise.data.task_names import TARGET_FORMS, TaskName
from pixelwise.data.zarr_pictures import is_zarr_name

Fault = tuple[str, str]  # (printable path, reason)

CLASS_FOLDERS: Final = "class-folders"
TABLE: Final = "table"
PAIRS: Final = "images-and-masks"
COCO: Final = "coco"
OBJECT_MASKS: Final = "object-masks"
IMAGE_FOLDERS: Final = frozenset(["images", "image", "imgs", "img"])
MASK_FOLDERS: Final = frozenset(
    ["masks", "mask", "labels", "label", "annotations", "annotation", "gt", "groundtruth", "ground_truth"]
)
VOLUME_SUFFIXES: Final = frozenset([".nii", ".nii.gz"])
_PACKED_VOLUME: Final = ".nii.gz"
_OME_ZARR: Final = ".ome.zarr"
_TARGETS: Final = list(dict.fromkeys(form.columns[0] for form in TARGET_FORMS.values()))
TARGET_COLUMNS: Final = f"{', '.join(_TARGETS[:-1])} or {_TARGETS[-1]}"
"""The columns that a table may have beside ``path``."""
LAYOUTS: Final = {
    CLASS_FOLDERS: "DATA/CLASS/*.jpg, or DATA/train|val|test/CLASS/*.jpg",
    TABLE: f"DATA/*.csv or *.tsv with the columns path and {TARGET_COLUMNS}, and if wanted split and group",
    PAIRS: "DATA/images/* and DATA/masks/* of the same names, or x.png beside x_mask.png; volumes likewise",
    OBJECT_MASKS: "DATA/NAME/images/* with DATA/NAME/masks/*, or DATA/images/NAME.* with DATA/masks/NAME/*: a mask for "
    "each object",
    COCO: "DATA/*.json or DATA/annotations/*.json in COCO's form: images, annotations with bbox, categories",
    "stack": "multi-page TIFF files: DATA/train-volume.tif and train-labels.tif, or image.tif and labels.tif",
    "idx": "MNIST's files: DATA/train-images-idx3-ubyte(.gz) and train-labels-idx1-ubyte(.gz)",
    "cifar": "CIFAR's binary batches: DATA/data_batch_1.bin ..., test_batch.bin, or train.bin and test.bin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Rows that one layout found.

    Attributes:
        layout: a key of :data:`LAYOUTS`.
        task: what the rows can train.
        classes: the class table; empty when only the masks can tell.
        paths: images relative to the data folder, one a row.
        labels: class indices, -1 for none; empty where a picture may show several classes.
        masks: relative paths; empty where labels say it all.
        shown: class indices of all that a picture shows, for tasks that have several without masks.
        boxes: (x_min, y_min, x_max, y_max) in pixels of the picture; empty unless the rows hold one box each.
        box_lists: boxes of all objects of a picture, one for each of ``shown``; empty unless the rows hold any number.
        splits: split codes (place in ``names.SPLITS``).
        groups: group names, "" for none.
        faults: (path, reason) of rows that cannot be used: refused or left out as the user decides.
        skipped: (path, reason) of what was left aside without fault.
        notes: sentences about how the folder was read.
        colours: RGB colour of each class, where a class file names them.

    """

    layout: str
    task: TaskName
    classes: tuple[str, ...] = ()
    paths: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)
    shown: list[tuple[int, ...]] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    box_lists: list[tuple[tuple[float, float, float, float], ...]] = field(default_factory=list)
    splits: list[int] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    skipped: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    colours: tuple[tuple[int, int, int], ...] = ()


def suffix(path: str) -> str:
    """The lower-case ending of a path with its dot, of .nii.gz and .ome.zarr both parts; "" when there is none."""
    name = path.rpartition("/")[2]
    for long in (_PACKED_VOLUME, _OME_ZARR):
        if name.lower().endswith(long):
            return long
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""


def is_image(path: str) -> bool:
    """Whether the name says that this is a picture, or a Zarr."""
    return suffix(path) in IMAGE_SUFFIXES or is_zarr_name(path)


def is_volume(path: str) -> bool:
    """Whether the name says that this is a NIfTI file."""
    return suffix(path) in VOLUME_SUFFIXES


def stem(path: str) -> str:
    """The name without folder and ending."""
    name = path.rpartition("/")[2]
    return name[: len(name) - len(suffix(path))]


def count_kinds(paths: Iterable[str]) -> str:
    """How many files there are of each ending, commonest first: ``.txt 12, .json 1``."""
    counts: dict[str, int] = {}
    for path in paths:
        kind = suffix(path) or "no ending"
        counts[kind] = counts.get(kind, 0) + 1
    return ", ".join(
        f"{kind} {count:,}" for kind, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )
