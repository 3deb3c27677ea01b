"""Class folders: ``DATA/CLASS/*``, or ``train|val|test/CLASS/*`` with one class table over all splits."""

from dataclasses import dataclass, field

from pixelwise.data.layouts.listing import (
    CLASS_FOLDERS,
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    PAIRS,
    Fault,
    Listing,
    is_image,
)
from pixelwise.data.layouts.tree import Tree
from pixelwise.data.names import SPLITS, counted, natural_key, show_path, some, split_code
from pixelwise.errors import DataError, suggest

NAME = CLASS_FOLDERS


@dataclass(slots=True)
class _Folders:
    """Pictures by where they lie; ``split`` is a code, ``name`` a class folder, both possibly absent."""

    rows: list[tuple[str, str, int]] = field(default_factory=list)  # path, class name, split code
    faults: list[Fault] = field(default_factory=list)
    skipped: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find(tree: Tree, *, classes: tuple[str, ...] | None) -> Listing | None:
    """List class folders; ``None`` when the folder does not look like that.

    Args:
        tree: the data folder.
        classes: the class table that the folders must fit, in its order; ``None`` takes the folders' names in natural
            order.

    Raises:
        DataError: folders outside the given table, a class that only ``val`` or ``test`` has, one class only, class
            folders beside split folders.

    """
    found = _sort(tree)
    if not found.rows:
        return None
    names = sorted({name for _, name, _ in found.rows}, key=natural_key)
    if classes is None:
        _check_names(tree, found, names)
        found.faults.extend(_empty_classes(tree, found, names))
    else:
        _check_against_table(tree, names, classes)
    table = tuple(names) if classes is None else classes
    place = {name: index for index, name in enumerate(table)}
    return Listing(
        layout=NAME,
        task="classification",
        classes=table,
        paths=[path for path, _, _ in found.rows],
        labels=[place[name] for _, name, _ in found.rows],
        splits=[code for _, _, code in found.rows],
        faults=found.faults,
        skipped=found.skipped,
        notes=found.notes,
    )


def looks_like(tree: Tree) -> bool:
    """Whether at least two folders could be classes."""
    return bool(could_be_classes([path for path in tree.files if is_image(path)]))


def could_be_classes(pictures: list[str]) -> list[str]:
    """The names of the folders that could be classes, sorted; empty where there is only one."""
    tops = {path.split("/", 1)[0] for path in pictures if "/" in path}
    inner = {path.split("/")[1] for path in pictures if path.count("/") >= 2}
    names = tops if not any(map(split_code, tops)) else inner
    return sorted(names, key=natural_key) if len(names) > 1 else []


def lie_beside_pairs(tree: Tree) -> bool:
    """Whether there are folders of images and of masks, and besides at least two that could be classes."""
    pictures = [path for path in tree.files if is_image(path)]
    return len(_outside_pairs(pictures)) < len(pictures)


def _outside_pairs(pictures: list[str]) -> list[str]:
    """The pictures without those in folders of images and masks; all, where fewer than two folders would remain."""
    tops = {path.split("/", 1)[0] for path in pictures if "/" in path}
    paired = {name for name in tops if name.lower() in IMAGE_FOLDERS | MASK_FOLDERS}
    is_pair = bool(
        {name.lower() for name in paired} & IMAGE_FOLDERS and {name.lower() for name in paired} & MASK_FOLDERS
    )
    rest = [path for path in pictures if path.split("/", 1)[0] not in paired]
    return rest if is_pair and could_be_classes(rest) else pictures


def _sort(tree: Tree) -> _Folders:
    every = [path for path in tree.files if is_image(path)]
    pictures = _outside_pairs(every)
    tops = {path.split("/", 1)[0] for path in pictures if "/" in path}
    split_folders = {path.split("/", 1)[0] for path in pictures if path.count("/") >= 2}
    split_folders = {name for name in split_folders if split_code(name)}
    found = _Folders()
    if aside := sorted(set(every) - set(pictures)):
        found.skipped.extend((show_path(path), "it lies in a folder of images or masks") for path in aside)
        found.notes.append(
            f"Folders of images and masks lie beside the class folders ({counted(len(aside), 'picture')}): left out. "
            f'layout="{PAIRS}" (--layout {PAIRS}) reads these instead.'
        )
    if tops and not split_folders and all(map(split_code, tops)):
        return found  # train/*.jpg without class folders
    beside = sorted(name for name in tops - split_folders if not split_code(name))
    if split_folders and beside:
        raise DataError(
            f"{tree.root} holds split folders ({some(sorted(split_folders))}) beside others ({some(beside)})",
            expected="either train/CLASS, val/CLASS, test/CLASS, or CLASS folders alone",
            do="Move the folders so that one rule fits all",
        )
    unlabelled: dict[str, int] = {}
    for path in pictures:
        parts = path.split("/")
        if split_folders and len(parts) == 2:
            unlabelled[parts[0]] = unlabelled.get(parts[0], 0) + 1
        elif len(parts) == 1:
            found.skipped.append((show_path(path), "it lies in no class folder"))
        elif split_folders:
            found.rows.append((path, show_path(parts[1]), split_code(parts[0])))
        else:
            found.rows.append((path, show_path(parts[0]), 0))
    for name, count in unlabelled.items():
        found.skipped.append(
            (show_path(name), f"{counted(count, 'image')} that lie{'s' if count == 1 else ''} in no class folder")
        )
        found.notes.append(f"{name}/ holds {counted(count, 'image')} without class folders: left out.")
    return found


def _check_names(tree: Tree, found: _Folders, names: list[str]) -> None:
    if len(names) == 1:
        raise DataError(
            f"{tree.root} holds images of one class only ('{names[0]}')",
            expected="at least two class folders",
            do=_deeper_hint(tree, names[0]) or "Add a folder for each further class",
        )
    in_train = {name for _, name, code in found.rows if code == 1}
    if not in_train:
        return
    for code in (2, 3):
        strange = sorted({name for _, name, where in found.rows if where == code} - in_train, key=natural_key)
        if strange:
            raise DataError(
                f"{tree.root}: {SPLITS[code]} holds classes that train lacks: {some(strange)}",
                expected="every class among the training images",
                do="Check the folders' spelling, or add training images of these classes",
            )


def _deeper_hint(tree: Tree, name: str) -> str:
    inner = {path.split("/")[1] for path in tree.files if path.startswith(f"{name}/") and path.count("/") >= 2}
    return f"Did you mean {tree.root / name}, which holds {len(inner)} folders?" if len(inner) > 1 else ""


def _empty_classes(tree: Tree, found: _Folders, names: list[str]) -> list[Fault]:
    """Folders where a class would lie and that hold no image anywhere."""
    levels = 2 if any(code for _, _, code in found.rows) else 1
    known = set(names) | {path.split("/", 1)[0] for path, _ in found.skipped}
    empty: dict[str, str] = {}
    for folder in tree.folders:
        parts = folder.split("/")
        if len(parts) == levels and show_path(parts[-1]) not in known and (levels == 1 or split_code(parts[0])):
            empty.setdefault(parts[-1], folder)
    return [(show_path(folder), "a class folder without images") for folder in empty.values()]


def _check_against_table(tree: Tree, names: list[str], classes: tuple[str, ...]) -> None:
    strange = [name for name in names if name not in classes]
    if strange:
        raise DataError(
            f"{tree.root} holds the folders {some(strange)}, which are not among the classes",
            expected=f"folders named {some(list(classes))}",
            do=suggest(strange[0], classes)
            if len(strange) == 1
            else "Rename the folders, or give other classes (--classes)",
        )
