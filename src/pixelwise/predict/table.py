"""The table of predictions: one row a picture, as CSV or as JSON lines, whole or absent."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

from pixelwise.data.names import show_path
from pixelwise.predict.inputs import WHOLE, InputItem
from pixelwise.predict.prediction import Prediction
from pixelwise.storage.atomic import atomic_file

TableFormat = Literal["csv", "jsonl"]
TABLE_FORMATS: tuple[TableFormat, ...] = ("csv", "jsonl")


class Row(Protocol):
    """What a table says of one picture: a prediction, or what is left of one of a picture larger than memory."""

    @property
    def has_mask(self) -> bool:
        """Whether there is a file with an answer for every pixel."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the picture."""

    def cells(self) -> list[object]:
        """Return a row's cells under the columns of the kind of predictions."""

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain JSON."""


AddRow = Callable[[InputItem, str, Row], None]
"""Takes a picture, the path of its mask relative to the table ("" for none) and what is said of it."""


@contextmanager
def open_table(path: Path, kind: type[Prediction], classes: tuple[str, ...], form: TableFormat) -> Iterator[AddRow]:
    """Open a table for rows of one kind of predictions; it appears when the block is left without an error.

    Raises:
        OutputError: it cannot be written.

    """
    with atomic_file(path) as file:
        if form == "csv":
            mask = ["mask"] if kind.has_mask else []
            file.write(csv_line(["path", "frame", *mask, *kind.columns(classes), "notes"]))

        def add(item: InputItem, mask: str, prediction: Row) -> None:
            file.write(
                csv_line(_cells(item, mask, prediction)) if form == "csv" else _json_line(item, mask, prediction)
            )

        yield add


def _cells(item: InputItem, mask: str, prediction: Row) -> list[object]:
    place = [show_path(str(item.path)), "" if item.frame == WHOLE else item.frame]
    file = [show_path(mask)] if prediction.has_mask else []
    return [*place, *file, *prediction.cells(), "; ".join(prediction.notes)]


def csv_line(cells: list[object] | list[str]) -> bytes:
    """Return one line of a CSV file."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode()


def _json_line(item: InputItem, mask: str, prediction: Row) -> bytes:
    row: dict[str, Any] = {"path": show_path(str(item.path)), "frame": None if item.frame == WHOLE else item.frame}
    row |= {"mask": show_path(mask)} if mask else {}
    row |= prediction.to_json() | {"notes": list(prediction.notes)}
    return (json.dumps(row, ensure_ascii=False) + "\n").encode()
