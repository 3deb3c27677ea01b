"""Finding the layout of a data folder by looking; where more than one fits, the user chooses."""

from dataclasses import replace
from typing import Final

from pixelwise.data import cifar, idx
from pixelwise.data.layouts import class_folders, coco, object_masks, pairs, table_rows
from pixelwise.data.layouts.listing import LAYOUTS, TARGET_COLUMNS, Listing, count_kinds, is_image, suffix
from pixelwise.data.layouts.table import Table, read_table, tables
from pixelwise.data.layouts.tree import Tree
from pixelwise.data.names import counted, show_path, some
from pixelwise.data.task_names import TARGET_FORMS, TASK_NAMES, TaskName
from pixelwise.errors import DataError, UsageError, suggest

Found = Listing | idx.IdxFiles | cifar.Batches

_ARCHIVES: Final = (".zip", ".tar", ".tgz", ".tar.gz", ".rar", ".7z")


def find_layout(
    tree: Tree, *, task: TaskName | None = None, layout: str | None = None, classes: tuple[str, ...] | None = None
) -> Found:
    """Find out how the images lie.

    Args:
        tree: the data folder.
        task: what is to be trained; decides where a folder would serve for both.
        layout: a key of ``LAYOUTS`` where the user has chosen, with the table's file name or the IDX files' first word
            after a colon where there are several (``table:labels.csv``, ``idx:emnist-letters``).
        classes: the class table that labels must fit.

    Raises:
        UsageError: a layout or task of an unknown name.
        DataError: no layout fits, several fit, or the one that fits cannot serve the task.

    """
    if task is not None and task not in TASK_NAMES:
        raise UsageError(f"'{task}' is not a task", expected=", ".join(TASK_NAMES), do=suggest(task, TASK_NAMES))
    found = _for_task(_chosen(tree, layout, task, classes), task) if layout else _looked_for(tree, task, classes)
    if task is not None and task != _task(found):
        raise _unfit(tree, _name(found), _task(found), task)
    return found


def _for_task(found: Found, task: TaskName | None) -> Found:
    """Take what was found for the task that is wanted, where it serves that as well."""
    if task is not None and isinstance(found, Listing) and found.task in TARGET_FORMS[task].also_from:
        return replace(found, task=task)
    return found


def _chosen(tree: Tree, layout: str, task: TaskName | None, classes: tuple[str, ...] | None) -> Found:
    name, _, choice = layout.partition(":")
    if name not in LAYOUTS:
        raise UsageError(f"'{layout}' is not a layout", expected=", ".join(LAYOUTS), do=suggest(name, LAYOUTS))
    if choice and name not in (table_rows.NAME, idx.NAME):
        raise UsageError(f"'{layout}': the layout {name} takes no choice", expected=name)
    found: Found | None
    if name == class_folders.NAME:
        found = class_folders.find(tree, classes=classes)
    elif name == table_rows.NAME:
        found = table_rows.find(tree, _tables(tree, choice), task=task, classes=classes)
    elif name == idx.NAME:
        found = idx.find_files(tree, prefix=choice or None)
    elif name == cifar.NAME:
        found = cifar.find_batches(tree)
    elif name == coco.NAME:
        found = coco.find(tree, classes=classes)
    elif name == object_masks.NAME:
        found = object_masks.find(tree, task=task)
    else:
        found = pairs.find(tree)
    if found is None:
        raise DataError(
            f"{tree.root} does not hold the layout '{name}'; it holds {_seen(tree)}",
            expected=LAYOUTS[name],
            do="Leave the layout out to have it found",
        )
    return found


def _tables(tree: Tree, choice: str) -> list[Table]:
    if not choice:
        return tables(tree)
    if choice not in tree.files:
        texts = [path for path in tree.files if suffix(path) in (".csv", ".tsv")]
        raise DataError(
            f"{tree.root} has no table '{choice}'", expected="a CSV or TSV file in it", do=suggest(choice, texts)
        )
    found = read_table(tree, choice)
    if found is None or "path" not in found.columns:
        header = some([show_path(cell) for cell in found.header]) if found else "nothing"
        raise DataError(
            f"{tree.root / choice} has the columns {header}",
            expected=f"the columns path and {TARGET_COLUMNS}",
            do="Rename the column of image files to 'path'",
        )
    return [found]


def _looked_for(tree: Tree, task: TaskName | None, classes: tuple[str, ...] | None) -> Found:
    container = idx.find_files(tree) or cifar.find_batches(tree)
    paired = object_masks.find(tree, task=task) or pairs.find(tree)
    written = tables(tree)
    targets = {
        TARGET_FORMS[name].columns[0]
        for name in (TASK_NAMES if task is None else (task, *TARGET_FORMS[task].also_from))
    }
    usable = [entry for entry in written if targets & entry.columns.keys()]
    found: list[Found] = [container] if container else []
    if (listed := table_rows.find(tree, usable, task=task, classes=classes)) is not None:
        found.append(listed)
    if task in (None, "detection") and (annotated := coco.find(tree, classes=classes)) is not None:
        found.append(annotated)
    if paired is not None and not (task == "classification" and class_folders.lie_beside_pairs(tree)):
        found.append(paired)
    elif not found or (class_folders.looks_like(tree) and not (listed and listed.masks)):
        in_folders = _in_folders(tree, classes, written if not usable else [], task)
        found.extend([in_folders] if in_folders else [])
    found = [_for_task(entry, task) for entry in found]
    fitting = [entry for entry in found if task in (None, _task(entry))]
    if not fitting and not usable:
        table_rows.find(tree, written, task=task, classes=classes)  # says which columns are missing
    if not found:
        raise _unknown(tree)
    if len(fitting) > 1:
        names = [_name(entry) for entry in fitting]
        raise DataError(
            f"{tree.root} can be read in {len(names)} ways: {', '.join(names)}",
            expected="one layout",
            do=f'Choose one, layout="{names[0]}" (--layout {names[0]}), or give the folder of one data set',
        )
    return fitting[0] if fitting else found[0]


def _in_folders(
    tree: Tree, classes: tuple[str, ...] | None, written: list[Table], task: TaskName | None
) -> Listing | None:
    """Look for class folders; where they are none, a table that names the images was meant, whatever it lacks."""
    try:
        return class_folders.find(tree, classes=classes)
    except DataError:
        table_rows.find(tree, written, task=task, classes=classes)  # says which columns are missing
        raise


def _task(found: Found) -> TaskName:
    return found.task if isinstance(found, Listing) else "classification"


def _name(found: Found) -> str:
    if isinstance(found, Listing):
        return found.layout
    return idx.NAME if isinstance(found, idx.IdxFiles) else cifar.NAME


def _unfit(tree: Tree, name: str, able: TaskName, wanted: TaskName) -> DataError:
    form = TARGET_FORMS[wanted]
    return DataError(
        f"{tree.root} holds the layout '{name}', which serves {able}; {wanted} needs {form.need}",
        expected=LAYOUTS[form.layout],
        do=f'Choose task="{able}", or add what is missing',
    )


def _seen(tree: Tree) -> str:
    if not tree.files:
        return "no usable files"
    pictures = sum(map(is_image, tree.files))
    tops = sorted({path.split("/", 1)[0] + "/" for path in tree.files if "/" in path})
    where = f" in {some([show_path(name) for name in tops], 5)}" if tops else ""
    return f"{counted(pictures, 'image')} among {counted(len(tree.files), 'file')} ({count_kinds(tree.files)}){where}"


def _unknown(tree: Tree) -> DataError:
    ways = "".join(f"\n  {name}: {text}" for name, text in LAYOUTS.items())
    return DataError(
        f"{tree.root}: how its images belong to classes or masks cannot be told; it holds {_seen(tree)}",
        do=f"{_hint(tree)}. The layouts are:{ways}",
    )


def _hint(tree: Tree) -> str:
    pictures = [path for path in tree.files if is_image(path)]
    outside = [path for path, reason in tree.skipped if reason.startswith("a link out")]
    if not pictures and outside:
        lead = "1 link leads" if len(outside) == 1 else f"{len(outside):,} links lead"
        return f"{lead} out of the folder, not followed ({some(outside, 3)}): copy the files"
    archives = [path for path in tree.files if path.lower().endswith(_ARCHIVES)]
    if not pictures and archives:
        return f"Unpack {show_path(archives[0])} first"
    tops = {path.split("/", 1)[0] for path in tree.files if "/" in path}
    if len(tops) == 1 and all("/" in path for path in tree.files):
        return f"Did you mean {tree.root / next(iter(tops))}"
    headers = [path for path in tree.files if "/" not in path and suffix(path) in (".csv", ".tsv")]
    if headers:
        return f"If {show_path(headers[0])} names the images, call its columns path and {TARGET_COLUMNS}"
    if pictures:
        return "Put the images of each class into a folder of its own, or write a table"
    return "Images are read from JPEG, PNG, TIFF, BMP and WebP files: convert others to PNG or TIFF"
