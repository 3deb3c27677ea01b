"""CSV and TSV files as tables: encoding, delimiter, header, and the roles of the columns."""

import csv
import io
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pixelwise.data.layouts.listing import suffix
from pixelwise.data.layouts.tree import Tree
from pixelwise.data.names import counted, show_path
from pixelwise.errors import DataError

_COLUMNS: Final = {
    "path": ("path", "image", "image_path", "file", "filename", "file_name", "filepath"),
    "label": ("label", "class", "category"),
    "labels": ("labels", "classes", "categories", "tags"),
    "x_min": ("x_min", "xmin", "x1", "left"),
    "y_min": ("y_min", "ymin", "y1", "top"),
    "x_max": ("x_max", "xmax", "x2", "right"),
    "y_max": ("y_max", "ymax", "y2", "bottom"),
    "mask": ("mask", "mask_path"),
    "text": ("text", "string", "transcription"),
    "split": ("split", "subset"),
    "group": ("group",),
}
_DELIMITERS: Final = ",;\t|"
ENCODINGS: Final = ("utf-8", "cp1252", "latin-1")  # tried in this order; the last decodes every byte
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_HEADER_BYTES: Final = 65536


@dataclass(frozen=True, slots=True)
class Table:
    """A delimited text, read.

    Attributes:
        name: the file's path in the data folder.
        columns: role (``path``, ``label``, ...) to place in a row.
        twins: roles that more than one column has, to the places of all of them.
        header: the first line's cells.
        rows: (line number, cells).
        encoding: how the bytes were decoded.
        delimiter: the character between cells.

    """

    name: str
    columns: dict[str, int]
    twins: dict[str, tuple[int, ...]]
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    encoding: str
    delimiter: str

    def describe(self) -> str:
        """Say how many rows were read, and how."""
        delimiter = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}[self.delimiter]
        return f"{show_path(self.name)}: {counted(len(self.rows), 'row')}, {delimiter}, {self.encoding}."


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
    places = _roles(header)
    columns = {role: found[0] for role, found in places.items()}
    twins = {role: found for role, found in places.items() if len(found) > 1}
    return Table(path, columns, twins, header, tuple(rows[1:]), encoding, delimiter)


def _delimiter(path: str, first_line: str) -> str:
    return "\t" if suffix(path) == ".tsv" else max(_DELIMITERS, key=first_line.count)


def _roles(header: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """The places of the columns that have a role, by role."""
    lowered = [cell.lower() for cell in header]
    places = {
        role: tuple(place for place, cell in enumerate(lowered) if cell in names) for role, names in _COLUMNS.items()
    }
    return {role: found for role, found in places.items() if found}


def decode_text(content: bytes) -> tuple[str, str]:
    """Decode a text whose encoding is not known: by its byte-order mark, as UTF-8, or as Windows-1252; name which."""
    if content.startswith(_UTF16_MARKS):
        return content.decode("utf-16", "replace"), "utf-16"
    content = content.removeprefix(b"\xef\xbb\xbf")
    for encoding in ENCODINGS[:-1]:
        with suppress(UnicodeDecodeError):
            return content.decode(encoding), encoding
    return content.decode(ENCODINGS[-1]), ENCODINGS[-1]
