"""The table of predictions: one row a picture, as CSV or as JSON lines, whole or absent."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pixelwise.data.names import show_path
from pixelwise.predict.inputs import WHOLE, InputItem
from pixelwise.predict.prediction import Prediction
from pixelwise.storage.atomic import atomic_file

TableFormat = Literal["csv", "jsonl"]
TABLE_FORMATS: tuple[TableFormat, ...] = ("csv", "jsonl")

AddRow = Callable[[InputItem, str, Prediction], None]
"""Takes a picture, the path of its mask relative to the table ("" for none) and its prediction."""


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

        def add(item: InputItem, mask: str, prediction: Prediction) -> None:
            file.write(
                csv_line(_cells(item, mask, prediction)) if form == "csv" else _json_line(item, mask, prediction)
            )

        yield add


def _cells(item: InputItem, mask: str, prediction: Prediction) -> list[object]:
    place = [show_path(str(item.path)), "" if item.frame == WHOLE else item.frame]
    file = [show_path(mask)] if prediction.has_mask else []
    return [*place, *file, *prediction.cells(), "; ".join(prediction.notes)]


def csv_line(cells: list[object] | list[str]) -> bytes:
    """Return one line of a CSV file."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode()


def _json_line(item: InputItem, mask: str, prediction: Prediction) -> bytes:
    row: dict[str, Any] = {"path": show_path(str(item.path)), "frame": None if item.frame == WHOLE else item.frame}
    row |= {"mask": show_path(mask)} if mask else {}
    row |= prediction.to_json() | {"notes": list(prediction.notes)}
    return (json.dumps(row, ensure_ascii=False) + "\n").encode()
