"""What a table says of pictures besides their targets, as numbers that a network can be conditioned on.

A column whose cells are all numbers is standardised: mean 0, standard deviation 1 over the training pictures. Any other
column is categorical: one number for each of its values, 1 for the picture's own and 0 for the others. How is measured
once, on the training pictures, and stored with the model.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.layouts.cells import as_number
from pixelwise.data.layouts.file_finder import FileFinder
from pixelwise.data.layouts.table import Table, tables
from pixelwise.data.layouts.tree import Tree, walk
from pixelwise.data.names import show_path, some
from pixelwise.errors import DataError, UsageError, suggest

if TYPE_CHECKING:
    from torch import Tensor

Cells = Mapping[str, str | float]
"""What is said of one picture, by column."""

MOST_VALUES: Final = 64
"""Of a categorical column: more are names, dates or numbers with units."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MetadataColumn:
    """How one column becomes numbers."""

    name: str
    values: tuple[str, ...] = ()
    """Of a categorical column, in their order; empty for numbers."""
    mean: float = 0.0
    std: float = 1.0

    @property
    def width(self) -> int:
        """How many numbers it becomes."""
        return len(self.values) or 1

    def encode(self, cell: str | float, picture: str) -> list[float]:
        """Return the numbers for one cell.

        Raises:
            DataError: no number where numbers were trained on, or a value that was not.

        """
        if not self.values:
            number = as_number(cell)
            if number is None:
                raise DataError(
                    f"{picture}: {self.name} is '{show_path(str(cell))}'",
                    expected="a number, as in training",
                    do="Correct the cell",
                )
            return [(number - self.mean) / self.std]
        text = str(cell).strip()
        if text not in self.values:
            raise DataError(
                f"{picture}: {self.name} is '{show_path(text)}'",
                expected="a value that a training picture had",
                do=suggest(text, self.values) or "Correct the cell, or train with pictures of that value",
            )
        return [float(text == value) for value in self.values]


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """How the columns that a model is conditioned on become numbers."""

    columns: tuple[MetadataColumn, ...]

    @property
    def width(self) -> int:
        """How many numbers all columns become."""
        return sum(column.width for column in self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(column.name for column in self.columns)

    def encode(self, cells: Cells | None, picture: str) -> NDArray[np.float32]:
        """Return (width,) what is said of one picture, as numbers.

        Args:
            cells: by column; others than the model's are passed over.
            picture: for messages.

        Raises:
            UsageError: a column is missing, or nothing is said at all.
            DataError: a cell that does not fit.

        """
        missing = [name for name in self.names if cells is None or name not in cells]
        if cells is None or missing:
            raise UsageError(
                f"Nothing is said of {some(missing)} for {picture}",
                expected=f"{some(list(self.names))}, which the model was trained with",
                do="Give a table with the columns path and these (--metadata FILE.csv; from Python metadata={...})",
            )
        numbers = [number for column in self.columns for number in column.encode(cells[column.name], picture)]
        return np.array(numbers, np.float32)

    def to_json(self) -> list[dict[str, Any]]:
        """Return plain JSON; :meth:`from_json` is the way back."""
        return [asdict(column) for column in self.columns]

    @classmethod
    def from_json(cls, content: Sequence[Mapping[str, Any]]) -> Self:
        """Rebuild from :meth:`to_json`."""
        return cls(
            columns=tuple(
                MetadataColumn(
                    name=str(one["name"]),
                    values=tuple(map(str, one["values"])),
                    mean=float(one["mean"]),
                    std=float(one["std"]),
                )
                for one in content
            )
        )


def measure_metadata(names: Sequence[str], cells: Sequence[Sequence[str]]) -> Metadata:
    """Settle how columns become numbers, from what is said of the training pictures.

    Args:
        names: of the columns.
        cells: of each training picture, one for each column.

    Raises:
        DataError: a column that says the same of every picture, or has too many values to be categorical.

    """
    columns = []
    for name, column in zip(names, zip(*cells, strict=True), strict=True):
        numbers = [number for cell in column if (number := as_number(cell)) is not None]
        values = sorted({cell.strip() for cell in column})
        are_numbers = len(numbers) == len(column)
        if len(set(numbers) if are_numbers else values) < 2:
            raise DataError(
                f"The column '{name}' says '{values[0]}' of every training picture",
                expected="a column that tells pictures apart",
                do="Leave it out",
            )
        if are_numbers:
            columns.append(MetadataColumn(name=name, mean=float(np.mean(numbers)), std=float(np.std(numbers))))
        elif len(values) > MOST_VALUES:
            raise DataError(
                f"The column '{name}' has {len(values)} values that are not all numbers",
                expected=f"numbers, or at most {MOST_VALUES} values",
                do="Correct its cells, or leave it out",
            )
        else:
            columns.append(MetadataColumn(name=name, values=tuple(values)))
    return Metadata(columns=tuple(columns))


def find_cells(root: Path, names: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Find what the data folder's tables say of pictures.

    Args:
        root: the data folder, with one or more CSV or TSV files that have a column of paths and those of ``names``.
        names: the wanted columns.
        paths: the pictures, relative to the folder.

    Returns:
        For each picture a JSON list of its cells, one for each of ``names``.

    Raises:
        DataError: no table has the columns, or pictures about which one says nothing, or rows contradict each other.

    """
    tree = walk(root)
    found = [table for table in tables(tree) if all(name in table.header for name in names)]
    if not found:
        held = sorted({name for table in tables(tree) for name in table.header})
        raise DataError(
            f"{root} has no table with the columns path and {some(list(names))}",
            expected="a CSV or TSV file in it, with a row for each picture",
            do=(suggest(names[0], held) if held else "") or "Add metadata.csv",
        )
    said = _said(row for table in found for row in _rows(table, names, FileFinder(tree)))
    for path, told in said.items():
        for name, cells in told.items():
            if len(cells) > 1:
                raise DataError(
                    f"{root}: {name} of {show_path(path)} is {_contradiction(cells)}",
                    expected="rows that say the same of a picture",
                    do="Correct the table",
                )
    rows = {path: [cells[0] for cells in told.values()] for path, told in said.items()}
    silent = [show_path(path) for path in paths if not all(rows.get(path, [""]))]
    if silent:
        raise DataError(
            f"{root}: {some(list(names))} of {some(silent)} is not said",
            expected="a row for each picture, without empty cells",
            do="Fill the table in",
        )
    return [json.dumps(rows[path]) for path in paths]


def read_cells(path: Path) -> dict[str, dict[str, str]]:
    """Read a table of what is said of pictures that are to be predicted.

    Returns:
        The rows by the cell of their path, and by the file's name where only one path has it. Where rows contradict
        each other, the cell says so, and is one that no model takes.

    Raises:
        DataError: it cannot be read, or has no column of paths.

    """
    if not path.is_file():
        raise UsageError(f"--metadata {path} does not exist", expected="a CSV or TSV file", do="Check the path")
    tree = Tree(path.parent, (path.name,), (), (), ())
    table = next(iter(tables(tree)), None)
    if table is None:
        raise DataError(
            f"{path} is no table of pictures", expected="CSV or TSV with a column 'path'", do="Name its columns"
        )
    rows = (
        (cells[table.columns["path"]].strip(), dict(zip(table.header, cells, strict=False))) for _, cells in table.rows
    )
    by_path = {
        given: {name: cells[0] if len(cells) == 1 else _contradiction(cells) for name, cells in told.items()}
        for given, told in _said(rows).items()
    }
    names = Counter(Path(given).name for given in by_path)
    by_name = {Path(given).name: said for given, said in by_path.items() if names[Path(given).name] == 1}
    return by_name | by_path


def with_numbers(batch: "Tensor", numbers: "Tensor | None") -> "Tensor":
    """Return (N, C + M, ...): each of (N, M) numbers as a further channel of one value."""
    import torch

    if numbers is None:
        return batch
    planes = numbers.to(batch)[(..., *[None] * (batch.ndim - 2))].expand(-1, -1, *batch.shape[2:])
    return torch.cat([batch, planes], dim=1)


def _said(rows: Iterable[tuple[str, dict[str, str]]]) -> dict[str, dict[str, list[str]]]:
    """Return the different cells of each picture's rows, by column."""
    said: dict[str, dict[str, list[str]]] = {}
    for path, told in rows:
        known = said.setdefault(path, {})
        for name, cell in told.items():
            cells = known.setdefault(name, [])
            if cell.strip() not in cells:
                cells.append(cell.strip())
    return said


def _contradiction(cells: Sequence[str]) -> str:
    return f"{show_path(cells[0])} in one row, {show_path(cells[1])} in another"


def _rows(table: Table, names: Sequence[str], finder: FileFinder) -> Iterator[tuple[str, dict[str, str]]]:
    places = [table.header.index(name) for name in names]
    for _, cells in table.rows:
        path = finder.find(cells[table.columns["path"]].strip()) if len(cells) == len(table.header) else None
        if path is not None:
            yield path, {name: cells[place] for name, place in zip(names, places, strict=True)}
