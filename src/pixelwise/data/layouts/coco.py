"""The layout "coco": boxes in the JSON of the COCO challenge, one file for all images or one for each split.

Format: https://cocodataset.org/#format-data, "Object Detection": ``images`` (id, file_name), ``annotations``
(image_id, category_id, bbox = [x, y, width, height] in pixels) and ``categories`` (id, name). Polygons and other fields
say nothing here; boxes of crowds (``iscrowd``) stand for an unknown number of objects and are left out.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pixelwise.data.layouts.file_finder import FileFinder
from pixelwise.data.layouts.listing import COCO, Listing, stem, suffix
from pixelwise.data.layouts.tree import Tree
from pixelwise.data.names import counted, show_path, some, split_code
from pixelwise.errors import DataError

NAME = COCO

_FOLDERS: Final = ("", "annotations")
_LARGEST_BYTES: Final = 2**30
_START_BYTES: Final = 2**16
_SIGNS: Final = (b'"images"', b'"annotations"', b'"categories"')


class _Image(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: int | str
    file_name: str


class _Annotation(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    image_id: int | str
    category_id: int | str
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0


class _Category(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: int | str
    name: str = Field(min_length=1)


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")

    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def find(tree: Tree, *, classes: tuple[str, ...] | None) -> Listing | None:
    """List the images of one file, or of one file per split (``train.json``, ``instances_val2017.json``).

    A file that lies beside its images in a folder of its own, as some tools write it, belongs to the split that the
    folder names. Classes are in the order of their ids.

    Raises:
        DataError: a file is damaged or not of this form, or there are several that are not one per split.

    """
    names = [path for path in tree.files if suffix(path) == ".json" and _may_be(tree, path)]
    if not names:
        return None
    splits = [_split_of(path) for path in names]
    if len(names) > 1 and not (all(splits) and len(set(splits)) == len(splits)):
        raise DataError(
            f"{tree.root} holds several annotation files: {some([show_path(name) for name in names])}",
            expected="one, or one per split with train, val or test in its name",
            do="Move the others away",
        )
    read = [_read(tree, name) for name in names]
    table = classes or _class_table(tree, read)
    listing = Listing(layout=NAME, task="detection", classes=table)
    finder = FileFinder(tree)
    for name, content, split in zip(names, read, splits, strict=True):
        _add(listing, finder, name, content, split if len(names) > 1 else 0)
    listing.notes.extend(finder.notes())
    return listing


def _may_be(tree: Tree, path: str) -> bool:
    """Whether a file lies where annotations lie and looks like one: other tools write JSON as well."""
    folder = path.rpartition("/")[0]
    if folder not in _FOLDERS and not split_code(folder):
        return False
    with (tree.root / path).open("rb") as file:
        start = file.read(_START_BYTES)
        file.seek(max(0, (tree.root / path).stat().st_size - _START_BYTES))
        end = file.read()
    return sum(sign in start or sign in end for sign in _SIGNS) > 1


def _split_of(path: str) -> int:
    """The split that a file's name or its folder speaks of, as COCO's and other tools' names do; 0 for none."""
    folder, _, name = path.rpartition("/")
    if folder not in _FOLDERS:
        return split_code(folder)
    words = stem(name).lower().replace("-", "_").split("_")
    codes = {code for word in words if (code := split_code(word.rstrip("0123456789")))}
    return codes.pop() if len(codes) == 1 else 0


def _read(tree: Tree, path: str) -> _File:
    file = tree.root / path
    if file.stat().st_size > _LARGEST_BYTES:
        raise DataError(f"{file} has more than 1 GiB", expected="one file of annotations", do="Divide it by splits")
    try:
        return _File.model_validate(json.loads(file.read_bytes()))
    except (ValueError, RecursionError) as error:
        where = ""
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            where = f": {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise DataError(
            f"{file} is no annotation file{where or ' that can be read'}",
            expected="COCO's form: images, annotations of image_id, category_id and bbox, categories of id and name",
            do="Export it again",
        ) from None


def _class_table(tree: Tree, read: Sequence[_File]) -> tuple[str, ...]:
    """The names by their ids, which have to mean the same in all files.

    Raises:
        DataError: they do not, or there are none.

    """
    names: dict[str, str] = {}
    for content in read:
        for category in sorted(content.categories, key=_order):
            if names.setdefault(str(category.id), category.name) != category.name:
                raise DataError(
                    f"{tree.root}: category {category.id} is '{names[str(category.id)]}' and '{category.name}'",
                    expected="the same categories in every annotation file",
                    do="Export the splits together",
                )
    if not names:
        raise DataError(f"{tree.root}: the annotation files name no categories", do="Export them again")
    return tuple(dict.fromkeys(show_path(name) for name in names.values()))


def _order(category: _Category) -> tuple[bool, int, str]:
    """Numbers before words, both in their own order."""
    return (False, category.id, "") if isinstance(category.id, int) else (True, 0, category.id)


def _add(listing: Listing, finder: FileFinder, name: str, content: _File, split: int) -> None:
    """Append the images of one file: those without boxes are pictures without objects."""
    place = {label: index for index, label in enumerate(listing.classes)}
    labels = {str(category.id): show_path(category.name) for category in content.categories}
    boxes: dict[str, list[tuple[int, tuple[float, float, float, float]]]] = {}
    known = {str(image.id) for image in content.images}
    crowds = 0
    for number, annotation in enumerate(content.annotations):
        reason = _fault(annotation, known, labels, place)
        if reason:
            listing.faults.append((f"{show_path(name)} annotation {number}", reason))
        elif annotation.iscrowd:
            crowds += 1
        else:
            x, y, width, height = annotation.bbox
            index = place[labels[str(annotation.category_id)]]
            boxes.setdefault(str(annotation.image_id), []).append((index, (x, y, x + width, y + height)))
    folder = name.rpartition("/")[0]
    for image in content.images:
        path = _find(finder, folder, image.file_name)
        if path is None:
            listing.faults.append((show_path(name), finder.why_not(image.file_name)))
            continue
        of_image = boxes.get(str(image.id), [])
        listing.paths.append(path)
        listing.shown.append(tuple(index for index, _ in of_image))
        listing.box_lists.append(tuple(box for _, box in of_image))
        listing.splits.append(split)
        listing.groups.append("")
    listing.notes.append(
        f"{show_path(name)}: {counted(len(content.images), 'image')}, "
        f"{counted(len(content.annotations), 'annotation')}"
        + (f", of which {crowds} of crowds left out." if crowds else ".")
    )


def _find(finder: FileFinder, folder: str, name: str) -> str | None:
    """Return the file of an image: beside the JSON file, by its path, or by its name where only one file has it.

    Predictions name their pictures by the paths that they were given, which mean nothing from another folder.
    """
    beside = f"{folder}/{name}" if folder else name
    if beside in finder.files:
        return finder.find(beside)
    return finder.find(name) or finder.find(name.replace("\\", "/").rpartition("/")[2])


def _fault(annotation: _Annotation, known: set[str], labels: Mapping[str, str], place: Mapping[str, Any]) -> str:
    """Say what is wrong with a box; empty for nothing."""
    if str(annotation.image_id) not in known:
        return f"there is no image {annotation.image_id}"
    label = labels.get(str(annotation.category_id))
    if label is None:
        return f"there is no category {annotation.category_id}"
    if label not in place:
        return f"the label '{label}' is not among the classes"
    if annotation.bbox[2] <= 0 or annotation.bbox[3] <= 0:
        return f"its box of {annotation.bbox[2]:g} x {annotation.bbox[3]:g} px has no extent"
    return ""
