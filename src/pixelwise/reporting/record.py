"""What a run folder says, read once and without changing it: the report's only source besides the pictures.

A run that is going on, was interrupted or failed has no scores and maybe no model: what is there is read, and what is
missing or damaged is named, so that the report can say so instead of failing.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pixelwise.data.manifest import Manifest
from pixelwise.data.task_names import TARGET_FORMS, TargetForm
from pixelwise.errors import PixelwiseError, RunError
from pixelwise.runs.folder import MODEL_FOLDER, SCORES_NAME, Run
from pixelwise.storage.atomic import read_json

FORMAT = 1
"""Newest format of scores.json that this program reads."""

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that a run folder holds, in the forms of its files."""

    path: Path
    run: dict[str, Any]
    """``run.json``; a run that was killed before it could say so counts as interrupted."""
    events: tuple[Event, ...]
    """The journal, in order."""
    scores: dict[str, Any] | None
    manifest: Manifest | None
    card: dict[str, Any]
    """``model/model.json``; empty when no model was written yet."""
    faults: tuple[str, ...]
    """Files that are there but could not be read, each with the reason."""

    def of(self, event: str) -> list[Event]:
        """Return the journal's events of one kind, in order."""
        return [entry for entry in self.events if entry["event"] == event]

    @property
    def data(self) -> dict[str, Any]:
        """The part of run.json about the data; empty when there is none."""
        return section(self.run, "data")

    @property
    def task(self) -> str:
        """What was trained for."""
        named = section(self.run, "task").get("name") or (self.scores or {}).get("task")
        return str(named or (self.manifest.task if self.manifest else "classification"))

    @property
    def form(self) -> TargetForm:
        """What the targets of the task are like; those of a classification where the task is not known."""
        return form_of(self.task)

    @property
    def noun(self) -> str:
        """What the samples are called, one of them: image or volume."""
        return self.form.sample

    @property
    def root(self) -> Path | None:
        """The folder that the run was trained on, when it is still there."""
        given = self.data.get("root")
        if not given:
            return None
        try:
            return next((root for root in (Path(given), self.path / given) if root.exists()), None)
        except (OSError, ValueError):  # not a path at all
            return None


def read_record(path: Path) -> Record:
    """Read a run folder.

    Raises:
        RunError: it is not a run folder, its run.json is damaged, or a newer program wrote it.

    """
    opened = Run.open(path)
    faults: list[str] = []
    scores = _optional_json(path / SCORES_NAME, faults)
    if scores is not None:
        _check_format(path / SCORES_NAME, scores)
    return Record(
        path=path,
        run=opened.config.to_json() | {"status": opened.status},
        events=_events(opened, faults),
        scores=scores,
        manifest=_manifest(opened, faults),
        card=_optional_json(path / MODEL_FOLDER / "model.json", faults) or {},
        faults=tuple(faults),
    )


def form_of(task: str) -> TargetForm:
    """Return what the targets of a task are like; those of a classification where the task is not known."""
    return next((form for name, form in TARGET_FORMS.items() if name == task), TARGET_FORMS["classification"])


def section(source: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the object under ``key``, or an empty one."""
    value = source.get(key)
    return value if isinstance(value, dict) else {}


def entries(source: dict[str, Any] | None, key: str) -> list[dict[str, Any]]:
    """Return the objects of the list under ``key``, or an empty list."""
    value = (source or {}).get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def number(value: object) -> float:
    """Return ``value`` as a float; NaN for what is no number (a journal writes a NaN loss as null)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.nan
    return float(value)


def moment(entry: Event) -> datetime | None:
    """When an event was written; None when it does not say."""
    try:
        return datetime.fromisoformat(str(entry.get("time")))
    except ValueError:
        return None


def flatten(source: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield the leaves of nested objects as (dotted name, value); lists are leaves."""
    for key, value in source.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{name}.")
        else:
            yield name, value


def _check_format(path: Path, content: dict[str, Any]) -> None:
    found = content.get("format", FORMAT)
    if not isinstance(found, int) or found > FORMAT:
        raise RunError(
            f"{path} has format {found}",
            expected=f"format {FORMAT} or older",
            do="Update pixelwise: a newer version wrote this run",
        )


def _events(run: Run, faults: list[str]) -> tuple[Event, ...]:
    try:
        return tuple(entry for entry in run.journal if isinstance(entry, dict) and "event" in entry)
    except RunError as error:
        faults.append(str(error))
        return ()


def _optional_json(path: Path, faults: list[str]) -> dict[str, Any] | None:
    """Read a file that a run may not have yet; a damaged one counts as absent and is named."""
    if not path.exists():
        return None
    try:
        content = read_json(path)
    except RunError as error:
        faults.append(str(error))
        return None
    if not isinstance(content, dict):
        faults.append(f"{path} is damaged: it is not an object.")
        return None
    return content


def _manifest(run: Run, faults: list[str]) -> Manifest | None:
    try:
        return run.manifest
    except PixelwiseError as error:
        faults.append(str(error))
        return None
