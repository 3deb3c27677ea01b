"""CSV and TSV manifests: one row per image, with the columns path and label (or mask), split and group."""

import csv
import io
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pixelwise.data.layouts.listing import Fault, Listing, stem, suffix
from pixelwise.data.layouts.tree import Tree
from pixelwise.data.names import counted, natural_key, show_path, some, split_code
from pixelwise.data.task_names import TaskName
from pixelwise.errors import DataError

NAME = "table"
_COLUMNS: Final = {
    "path": ("path", "image", "image_path", "file", "filename", "file_name", "filepath"),
    "label": ("label", "class", "category"),
    "mask": ("mask", "mask_path"),
    "split": ("split", "subset"),
    "group": ("group",),
}
_DELIMITERS: Final = ",;\t|"
_ENCODINGS: Final = ("utf-8", "cp1252", "latin-1")  # tried in this order; the last decodes every byte
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_HEADER_BYTES: Final = 65536


@dataclass(frozen=True, slots=True)
class Table:
    """A delimited text, read.

    Attributes:
        name: the file's path in the data folder.
        columns: role (``path``, ``label``, ...) to place in a row.
        header: the first line's cells.
        rows: (line number, cells).
        encoding: how the bytes were decoded.
        delimiter: the character between cells.

    """

    name: str
    columns: dict[str, int]
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    encoding: str
    delimiter: str


def tables(tree: Tree) -> list[Table]:
    """Every CSV or TSV in the top folder whose header names a column of image paths."""
    texts = [path for path in tree.files if "/" not in path and suffix(path) in (".csv", ".tsv")]
    found = [read_table(tree, path) for path in texts if "path" in _roles(_header(tree, path))]
    return [table for table in found if table is not None]


def _header(tree: Tree, path: str) -> tuple[str, ...]:
    """The cells of the first line, without reading the rest: a text of pixels may have gigabytes."""
    with (tree.root / path).open("rb") as file:
        start = file.read(_HEADER_BYTES)
    text, _ = decode_text(start if start.startswith(_UTF16_MARKS) else start.split(b"\n", 1)[0])
    line = text.split("\n", 1)[0]
    return tuple(cell.strip(' \r"') for cell in line.split(_delimiter(path, line)))


def read_table(tree: Tree, path: str) -> Table | None:
    """Read one table; ``None`` for an empty file.

    Raises:
        DataError: it is not a delimited text.

    """
    content = (tree.root / path).read_bytes()
    text, encoding = decode_text(content)
    delimiter = _delimiter(path, text.lstrip("\r\n").split("\n", 1)[0])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        rows = [(reader.line_num, tuple(row)) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise DataError(
            f"{tree.root / path} cannot be read at line {reader.line_num}: {error}",
            expected="comma-, semicolon- or tab-separated text",
            do="Save it again as CSV",
        ) from None
    if not rows:
        return None
    header = tuple(cell.strip() for cell in rows[0][1])
    return Table(path, _roles(header), header, tuple(rows[1:]), encoding, delimiter)


def find(
    tree: Tree, found: Sequence[Table], *, task: TaskName | None, classes: tuple[str, ...] | None
) -> Listing | None:
    """List the rows of one table, or of one table per split (``train.csv``, ``val.csv``, ``test.csv``).

    Raises:
        DataError: columns missing, several candidates, both labels and masks without a task, one class only.

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
    wanted = _target_column(tree, found, task)
    listing = Listing(layout=NAME, task="segmentation" if wanted == "mask" else "classification")
    finder = _FileFinder(tree)
    labels: list[str] = []
    seen: dict[str, str] = {}
    for table, split in zip(found, splits if len(found) > 1 else [0], strict=True):
        for row in _rows(table, wanted, split, finder, listing.faults):
            where = f"{show_path(table.name)} line {row.line}"
            if row.path in seen:
                listing.faults.append((where, f"{show_path(row.path)} stands already in {seen[row.path]}"))
                continue
            seen[row.path] = where
            listing.paths.append(row.path)
            listing.splits.append(row.split)
            listing.groups.append(row.group)
            if wanted == "mask":
                listing.masks.append(finder.find(row.target) or "")
            else:
                labels.append(show_path(row.target))
        listing.notes.append(_note(table))
    listing.notes.extend(finder.notes())
    return listing if wanted == "mask" else _with_labels(tree, listing, labels, classes)


def _delimiter(path: str, first_line: str) -> str:
    return "\t" if suffix(path) == ".tsv" else max(_DELIMITERS, key=first_line.count)


def _roles(header: tuple[str, ...]) -> dict[str, int]:
    lowered = [cell.lower() for cell in header]
    places = {role: [lowered.index(name) for name in names if name in lowered] for role, names in _COLUMNS.items()}
    return {role: found[0] for role, found in places.items() if found}


def decode_text(content: bytes) -> tuple[str, str]:
    """Decode a text whose encoding is not known: by its byte-order mark, as UTF-8, or as Windows-1252; name which."""
    if content.startswith(_UTF16_MARKS):
        return content.decode("utf-16", "replace"), "utf-16"
    content = content.removeprefix(b"\xef\xbb\xbf")
    for encoding in _ENCODINGS[:-1]:
        with suppress(UnicodeDecodeError):
            return content.decode(encoding), encoding
    return content.decode(_ENCODINGS[-1]), _ENCODINGS[-1]


def _target_column(tree: Tree, found: Sequence[Table], task: TaskName | None) -> str:
    columns = set.intersection(*(set(table.columns) for table in found))
    names = some([show_path(table.name) for table in found])
    header = some([show_path(cell) for cell in found[0].header])
    targets = {"label": "classification", "mask": "segmentation"}
    if not columns & targets.keys():
        raise DataError(
            f"{tree.root}: {names} has the columns {header}",
            expected="the columns path and label (or mask)",
            do="Rename the column of classes to 'label', or that of masks to 'mask'",
        )
    fitting = [column for column in targets if column in columns and task in (None, targets[column])]
    if len(fitting) > 1:
        raise DataError(
            f"{tree.root}: {names} has both labels and masks",
            expected="one aim",
            do='Choose with task="classification" or task="segmentation" (--task)',
        )
    if not fitting:
        need = "label" if task == "classification" else "mask"
        raise DataError(f"{tree.root}: {names} has the columns {header}", expected=f"a column '{need}' for {task}")
    return fitting[0]


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    path: str
    target: str
    split: int
    group: str


def _rows(table: Table, wanted: str, split: int, finder: "_FileFinder", faults: list[Fault]) -> Iterator[_Row]:
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
        elif not row[wanted]:
            faults.append((where, f"no {wanted} for {show_path(path)}"))
        elif wanted == "mask" and finder.find(row["mask"]) is None:
            faults.append((where, finder.why_not(row["mask"])))
        elif row.get("split") and not code:
            faults.append((where, f"'{show_path(row['split'])}' is no split: use train, val or test"))
        else:
            yield _Row(line, path, row[wanted], code, show_path(row.get("group", "")))


class _FileFinder:
    """Finds the file that a cell means: as written, with the other separators, or by a name that only one file has."""

    def __init__(self, tree: Tree) -> None:
        self.root = posixpath.abspath(tree.root.as_posix())
        self.files = frozenset(tree.files)
        self.by_name: dict[str, list[str]] = {}
        for path in tree.files:
            name = path.rpartition("/")[2]
            for key in {name, stem(name)}:
                self.by_name.setdefault(key, []).append(path)
        self.by_bare_name = 0
        self.known: dict[str, str | None] = {}

    def find(self, cell: str) -> str | None:
        if cell not in self.known:
            self.known[cell] = self._search(cell)
        return self.known[cell]

    def _search(self, cell: str) -> str | None:
        for spelling in self._spellings(cell):
            if spelling in self.files:
                return spelling
        alike = self.by_name.get(cell, ())
        if len(alike) != 1:
            return None
        self.by_bare_name += 1
        return alike[0]

    def _spellings(self, cell: str) -> Iterator[str]:
        for text in dict.fromkeys((cell, cell.replace("\\", "/"))):
            path = posixpath.normpath(text)
            path = path.removeprefix(self.root + "/")
            yield path
            for encoding in _ENCODINGS[1:]:  # a name in another encoding than UTF-8, as the disk has it
                yield path.encode(encoding, "replace").decode("utf-8", "surrogateescape")

    def why_not(self, cell: str) -> str:
        alike = self.by_name.get(cell, ())
        if len(alike) > 1:
            return f"{len(alike)} files are named {show_path(cell)}: write the path with its folder"
        path = posixpath.normpath(cell.replace("\\", "/"))
        if path.startswith("../") or (path.startswith("/") and not path.startswith(self.root + "/")):
            return f"{show_path(cell)} lies outside the data folder"
        return f"{show_path(cell) or 'an empty path'} is not there"

    def notes(self) -> list[str]:
        return [f"Found by name alone: {counted(self.by_bare_name, 'file')}."] if self.by_bare_name else []


def _note(table: Table) -> str:
    delimiter = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}[table.delimiter]
    return f"{show_path(table.name)}: {counted(len(table.rows), 'row')}, {delimiter}, {table.encoding}."


def _with_labels(tree: Tree, listing: Listing, labels: list[str], classes: tuple[str, ...] | None) -> Listing:
    names = sorted(set(labels), key=natural_key)
    if classes is None and len(names) == 1:
        raise DataError(
            f"{tree.root} holds images of one class only ('{names[0]}')",
            expected="at least two classes in the column of labels",
            do="Add rows of other classes",
        )
    table = tuple(names) if classes is None else classes
    place = {name: index for index, name in enumerate(table)}
    kept = [row for row, label in enumerate(labels) if label in place]
    listing.faults.extend(
        (show_path(listing.paths[row]), f"the label '{label}' is not among the classes")
        for row, label in enumerate(labels)
        if label not in place
    )
    return Listing(
        layout=NAME,
        task="classification",
        classes=table,
        paths=[listing.paths[row] for row in kept],
        labels=[place[labels[row]] for row in kept],
        splits=[listing.splits[row] for row in kept],
        groups=[listing.groups[row] for row in kept],
        faults=listing.faults,
        notes=listing.notes,
    )
