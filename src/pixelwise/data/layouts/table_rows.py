"""The layout "table": one row per image in a CSV or TSV file, with path and target, and perhaps split and group."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pixelwise.data.layouts.cells import READERS, Target
from pixelwise.data.layouts.file_finder import FileFinder
from pixelwise.data.layouts.listing import TABLE, Fault, Listing, stem
from pixelwise.data.layouts.table import Table
from pixelwise.data.layouts.table_task import served_task, unused_columns
from pixelwise.data.layouts.tree import Tree
from pixelwise.data.names import natural_key, show_path, some, split_code
from pixelwise.data.task_names import TARGET_FORMS, TaskName
from pixelwise.errors import DataError

NAME = TABLE


def find(
    tree: Tree, found: Sequence[Table], *, task: TaskName | None, classes: tuple[str, ...] | None
) -> Listing | None:
    """List the rows of one table, or of one table per split (``train.csv``, ``val.csv``, ``test.csv``).

    Raises:
        DataError: no rows, columns missing, several candidates, columns for several tasks and none chosen, or too few
            classes.

    """
    if not found:
        return None
    splits = [split_code(stem(table.name)) for table in found]
    if len(found) > 1 and not (all(splits) and len(set(splits)) == len(splits)):
        names = [show_path(table.name) for table in found]
        raise DataError(
            f"{tree.root} holds several tables: {some(names)}",
            expected="one table, or one per split named train, val, test",
            do=f'Choose one: layout="table:{names[0]}"',
        )
    if not any(table.rows for table in found):
        raise DataError(
            f"{tree.root}: {some([show_path(table.name) for table in found])} has no rows",
            expected="one row for each image below the header",
            do="Write them",
        )
    served = served_task(tree, found, task)
    if served == "localisation" and task is None and any(map(_repeats_pictures, found)):
        served = "detection"
    listing = Listing(layout=NAME, task=served)
    finder = FileFinder(tree)
    targets: list[Target] = []
    seen: dict[str, tuple[str, int]] = {}
    for table, split in zip(found, splits if len(found) > 1 else [0], strict=True):
        for row in _rows(table, served, split, finder, listing.faults):
            where = f"{show_path(table.name)} line {row.line}"
            if row.path in seen:
                first, place = seen[row.path]
                if served == "detection" and (listing.splits[place], listing.groups[place]) == (row.split, row.group):
                    targets[place] += row.target
                else:
                    also = " with another split or group" if served == "detection" else ""
                    listing.faults.append((where, f"{show_path(row.path)} stands already in {first}{also}"))
                continue
            seen[row.path] = where, len(targets)
            listing.paths.append(row.path)
            listing.splits.append(row.split)
            listing.groups.append(row.group)
            targets.append(row.target)
        listing.notes.append(table.describe())
        if unused := unused_columns(table, served):
            listing.notes.append(f"{show_path(table.name)}: not used for {served}: {some(unused)}.")
    listing.notes.extend(finder.notes())
    if TARGET_FORMS[served].by_pixel:
        return replace(listing, masks=[target.mask for target in targets])
    return _with_classes(tree, listing, targets, classes)


def _repeats_pictures(table: Table) -> bool:
    """Whether several rows name one picture: a picture with several objects has a row for each."""
    names = [cells[table.columns["path"]] for _, cells in table.rows if len(cells) > table.columns["path"]]
    return len(set(names)) < len(names)


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    path: str
    target: Target
    split: int
    group: str


def _rows(table: Table, task: TaskName, split: int, finder: FileFinder, faults: list[Fault]) -> Iterator[_Row]:
    """Rows whose files are there; the others become faults with file name and line."""
    for line, cells in table.rows:
        where = f"{show_path(table.name)} line {line}"
        if len(cells) != len(table.header):
            faults.append((where, f"{len(cells)} cells, the header has {len(table.header)}"))
            continue
        row = {role: cells[place].strip() for role, place in table.columns.items()}
        path = finder.find(row["path"])
        code = split or split_code(row.get("split", ""))
        if path is None:
            faults.append((where, finder.why_not(row["path"])))
            continue
        target = READERS[task](row, finder)
        if isinstance(target, str):
            faults.append((where, target))
        elif row.get("split") and not code:
            faults.append((where, f"'{show_path(row['split'])}' is no split: use train, val or test"))
        else:
            yield _Row(line, path, target, code, show_path(row.get("group", "")))


def _with_classes(tree: Tree, listing: Listing, targets: Sequence[Target], classes: tuple[str, ...] | None) -> Listing:
    """Number the classes, and give each row its own: rows with a class that is not in the table become faults."""
    form = TARGET_FORMS[listing.task]
    names = sorted({name for target in targets for name in target.names}, key=natural_key)
    if classes is None and len(names) < form.fewest_classes and targets:
        raise _too_few(tree, names, form.columns[0])
    table = tuple(names) if classes is None else classes
    place = {name: index for index, name in enumerate(table)}
    kept = []
    for row, target in enumerate(targets):
        foreign = next((name for name in target.names if name not in place), None)
        if foreign is None:
            kept.append(row)
        else:
            listing.faults.append((show_path(listing.paths[row]), f"the label '{foreign}' is not among the classes"))
    indices = [tuple(place[name] for name in targets[row].names) for row in kept]
    return replace(
        listing,
        classes=table,
        paths=[listing.paths[row] for row in kept],
        labels=[] if form.shows_several else [of_row[0] for of_row in indices],
        shown=indices if form.shows_several else [],
        boxes=[box for row in kept if (box := targets[row].box) is not None],
        box_lists=[targets[row].boxes for row in kept] if listing.task == "detection" else [],
        splits=[listing.splits[row] for row in kept],
        groups=[listing.groups[row] for row in kept],
    )


def _too_few(tree: Tree, names: list[str], column: str) -> DataError:
    if not names:
        return DataError(
            f"{tree.root}: no row names a class", expected=f"names in the column '{column}'", do="Fill the column in"
        )
    return DataError(
        f"{tree.root} holds images of one class only ('{names[0]}')",
        expected="at least two classes in the column of labels",
        do="Add rows of other classes",
    )
