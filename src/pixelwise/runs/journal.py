"""The journal of a run: one JSON object a line, the source of every curve.

Every line has ``event``, ``time`` (ISO 8601, UTC), ``step`` (optimiser steps done) and ``epoch`` (counted from 0):

- ``start``, ``resume``: a process begins; device, versions, where it stands;
- ``step``: ``loss`` of the batch and ``lr`` (thinned to about 500 lines a run);
- ``epoch``: ``train_loss``, ``val_loss``, ``val`` (metrics by name), ``lr``, ``images_per_second``, ``seconds``;
- ``best``: ``metric`` and its ``value``: the weights in ``model/`` are those of this moment;
- ``thaw``: a frozen ``stage`` begins to learn; the ``module`` that ends it, its ``weights``, stages still ``frozen``;
- ``stop``: ``reason``: early stopping, a signal or a fault; ``end``: ``seconds`` of training in all.

Lines are gathered in memory and appended together. A checkpoint records how long the journal was, and a resumed run
cuts it there, so that no step stands in it twice.
"""

import json
import math
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pixelwise.errors import RunError
from pixelwise.storage.atomic import output_error

JOURNAL_NAME = "journal.jsonl"


class Journal:
    """Appends events to ``journal.jsonl`` of a run folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_NAME
        self._lines: list[str] = []

    def add(self, event: str, *, step: int, epoch: int, fields: dict[str, Any] | None = None) -> None:
        """Note an event; it is on disk after the next :meth:`flush`. Numbers that are not finite become null."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"event": event, "time": time, "step": step, "epoch": epoch, **(fields or {})}
        self._lines.append(json.dumps(_finite(line), ensure_ascii=False, allow_nan=False) + "\n")

    def flush(self) -> int:
        """Append what was gathered, and return the journal's length in bytes.

        Raises:
            OutputError: the disk is full or the folder read-only.

        """
        try:
            with self.path.open("ab") as file:
                file.write("".join(self._lines).encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
                self._lines.clear()
                return file.tell()
        except OSError as error:
            raise output_error(self.path, error) from error

    def truncate(self, length_bytes: int) -> None:
        """Cut the journal to the length that a checkpoint recorded, and forget what was gathered since."""
        self._lines.clear()
        if self.path.exists() and self.path.stat().st_size > length_bytes:
            os.truncate(self.path, length_bytes)


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """Return the events of a run; a last line that a killed process left half-written is passed over.

    Raises:
        RunError: a line before the last is damaged.

    """
    path = folder / JOURNAL_NAME
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    events = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            events.append(json.loads(line))
        except ValueError:
            if number == len(lines):  # no newline after it: the write was cut short
                break
            raise RunError(
                f"{path} is damaged at line {number}", expected="JSON", do="Restore it from a copy"
            ) from None
    return events


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
