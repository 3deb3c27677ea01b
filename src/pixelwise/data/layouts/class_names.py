"""Class names (and colours) written beside the masks: classes.txt, classes.csv, class_dict.csv, dataset.json ..."""

import json
import re
from dataclasses import dataclass, replace
from typing import Any, Final

from pixelwise.data.layouts.table import Table, decode_text, read_table
from pixelwise.data.layouts.tree import Tree
from pixelwise.data.names import show_path
from pixelwise.errors import DataError

Colour = tuple[int, int, int]

_FILES: Final = (
    "classes.txt",
    "class_names.txt",
    "labels.txt",
    "codes.txt",
    "classes.csv",
    "class_dict.csv",
    "labels.csv",
    "classes.json",
    "dataset.json",
)
_NUMBERED: Final = re.compile(r"(\d{1,9})\s*[:;,\t ]\s*(.+)")
_PAINTED: Final = re.compile(r"(.*\S)[\s,;:]+(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})")  # name and red, green, blue
_MOST_CLASSES: Final = 255


@dataclass(frozen=True, slots=True)
class ClassNames:
    """A class table as a data set's author wrote it; ``colours`` is empty unless every class has one."""

    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    source: str


def find_class_names(tree: Tree) -> ClassNames | None:
    """Read the first class file in the top folder, in the order of likelihood; ``None`` when there is none.

    Raises:
        DataError: the file names a class twice, leaves out an index, or cannot be read.

    """
    for name in _FILES:
        if name in tree.files:
            found = _READERS[name.rpartition(".")[2]](tree, name)
            if found is not None:
                return _checked(tree, found)
    return None


def _from_text(tree: Tree, name: str) -> ClassNames:
    text, _ = decode_text((tree.root / name).read_bytes())
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    painted = [match for line in lines if (match := _PAINTED.fullmatch(line))]
    colours: tuple[Colour, ...] = ()
    if len(painted) == len(lines):
        lines = [match[1] for match in painted]
        colours = tuple((int(match[2]), int(match[3]), int(match[4])) for match in painted)
    numbered = [match for line in lines if (match := _NUMBERED.fullmatch(line))]
    if lines and len(numbered) == len(lines):
        order = [int(match[1]) for match in numbered]
        colours = tuple(colour for _, colour in sorted(zip(order, colours, strict=False)))
        return replace(_by_index(tree, name, [(int(match[1]), match[2]) for match in numbered]), colours=colours)
    return ClassNames(tuple(lines), colours, name)


def _from_csv(tree: Tree, name: str) -> ClassNames | None:
    table = read_table(tree, name)
    header = [cell.lower() for cell in table.header] if table else []
    names = _column(header, "name", "class", "label")
    if table is None or names is None or "path" in table.columns:
        return None
    rows = [cells for _, cells in table.rows if len(cells) == len(header)]
    order = _column(header, "index", "id", "value", "class_id")
    if order is not None:
        rows.sort(key=lambda cells: _whole(tree, name, cells[order]))
        found = _by_index(tree, name, [(_whole(tree, name, cells[order]), cells[names].strip()) for cells in rows])
    else:
        found = ClassNames(tuple(cells[names].strip() for cells in rows), (), name)
    return ClassNames(found.names, _colours(tree, table, header, rows), name)


def _colours(tree: Tree, table: Table, header: list[str], rows: list[tuple[str, ...]]) -> tuple[Colour, ...]:
    places = [_column(header, letter, word) for letter, word in (("r", "red"), ("g", "green"), ("b", "blue"))]
    red, green, blue = places
    if red is None or green is None or blue is None:
        return ()
    return tuple(
        (_whole(tree, table.name, row[red]), _whole(tree, table.name, row[green]), _whole(tree, table.name, row[blue]))
        for row in rows
    )


def _from_json(tree: Tree, name: str) -> ClassNames | None:
    try:
        content: Any = json.loads((tree.root / name).read_bytes())
    except (ValueError, RecursionError) as error:
        raise _wrong(tree, name, f"is not JSON ({error})") from None
    if isinstance(content, dict):
        content = content.get("classes", content.get("labels", content))
    if isinstance(content, list) and all(isinstance(item, str) for item in content):
        return ClassNames(tuple(content), (), name)
    if not isinstance(content, dict):
        return None
    if all(isinstance(value, int) for value in content.values()):  # nnU-Net v2: name to index
        return _by_index(tree, name, [(index, key) for key, index in content.items()])
    if all(isinstance(value, str) and key.isdecimal() for key, value in content.items()):  # v1: index to name
        return _by_index(tree, name, [(int(key), value) for key, value in content.items()])
    return None


def _by_index(tree: Tree, name: str, pairs: list[tuple[int, str]]) -> ClassNames:
    ordered = sorted(pairs)
    if [index for index, _ in ordered] != list(range(len(ordered))):
        found = ", ".join(str(index) for index, _ in ordered[:10])
        raise _wrong(tree, name, f"numbers its classes {found}", "0, 1, 2, ... without gaps")
    return ClassNames(tuple(text for _, text in ordered), (), name)


def _checked(tree: Tree, found: ClassNames) -> ClassNames:
    twice = sorted({text for text in found.names if found.names.count(text) > 1})
    if twice:
        raise _wrong(tree, found.source, f"names a class twice ('{twice[0]}')", "one line for each class")
    if not 2 <= len(found.names) <= _MOST_CLASSES:
        raise _wrong(tree, found.source, f"names {len(found.names)} classes", f"2 to {_MOST_CLASSES} classes")
    if any(not 0 <= value <= 255 for colour in found.colours for value in colour):
        raise _wrong(tree, found.source, "holds a colour beyond 255", "red, green and blue from 0 to 255")
    return replace(found, names=tuple(map(show_path, found.names)))


def _column(header: list[str], *names: str) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _whole(tree: Tree, name: str, cell: str) -> int:
    try:
        return int(cell)
    except ValueError:
        raise _wrong(tree, name, f"holds '{cell}' where a whole number belongs") from None


def _wrong(tree: Tree, name: str, what: str, expected: str = "") -> DataError:
    return DataError(
        f"{tree.root / name} {what}",
        expected=expected,
        do="Mend the class file, or give the class names with classes (--classes A,B,C)",
    )


_READERS: Final = {"txt": _from_text, "csv": _from_csv, "json": _from_json}
