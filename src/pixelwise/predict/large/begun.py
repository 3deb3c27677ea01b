"""What a prediction was begun with, and going on with it only where that is the same."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.regions import RegionSource
from pixelwise.predict.large.journal import RunJournal, first_entry, is_earlier
from pixelwise.predict.large.places import Places
from pixelwise.predict.postprocess import Pipeline
from pixelwise.runs.model import Model
from pixelwise.storage.atomic import output_error

Begun = dict[str, Any]
"""Plain JSON, by what it is about."""


def begun_with(
    model: Model, source: RegionSource, places: Places, pipeline: Pipeline, numbers: NDArray[np.float32] | None
) -> Begun:
    """Say what is predicted: whatever changes what the tiles leave on the disk changes this, the plan excepted.

    Args:
        model: the model.
        source: the picture.
        places: of the results.
        pipeline: steps after the network.
        numbers: what the network is told of the picture.

    """
    is_masked_last = places.labels is None and bool(pipeline.of_objects)
    threshold = pipeline.threshold
    return {
        "model": _model_digest(model),
        "input": source.identity,
        "outputs": {"format": places.fmt, "probabilities": places.answers is not None, "mask": not is_masked_last},
        "post": None if is_masked_last or threshold is None else Pipeline((threshold,)).to_json(),
        "told": None if numbers is None else [float(number) for number in numbers],
    }


def memory_of_earlier(begun: Begun, records: Mapping[Path, bool]) -> int | None:
    """Return the budget that the same prediction was begun with, so that its plan comes out the same; None without one.

    Args:
        begun: as :func:`begun_with` says.
        records: journals (False) and summaries (True) that may be of it.

    """
    for path, is_summary in records.items():
        found = read_begun(path) if is_summary else first_entry(path)
        if found is not None and all(found.get(key) == value for key, value in begun.items()):
            memory_bytes = found.get("memory_bytes")
            if isinstance(memory_bytes, int):
                return memory_bytes
    return None


def read_begun(summary: Path) -> Begun | None:
    """Return what a summary says that its prediction was begun with; None where there is none."""
    try:
        content = json.loads(summary.read_text(encoding="utf-8"))
        begun = content["begun"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return begun if isinstance(begun, dict) else None


def open_journal(places: Places, begun: Begun, *, overwrite: bool) -> RunJournal:
    """Go on with what the same command began, or begin anew.

    Raises:
        UsageError: results that are there already, or an unfinished output of another prediction.
        RunError: another process is at work on it, or the journal is damaged.
        OutputError: it cannot be written.

    """
    if not overwrite and first_entry(places.journal) is None:
        places.refuse_standing()

    def prepare(is_resumed: bool) -> None:
        try:
            if not is_resumed:
                places.clear(whole_ones=overwrite)
            places.sweep()
        except OSError as error:
            raise output_error(places.mask, error) from error

    return RunJournal(places.journal, begun, prepare, overwrite=overwrite)


def take_over_journal(places: Places) -> None:
    """Give a journal of the time when each format of outputs had its own the name that it has now.

    Raises:
        OutputError: the place cannot be written.

    """
    for path in places.earlier_journals:
        if is_earlier(first_entry(path)) and not places.journal.exists():
            try:
                path.rename(places.journal)
            except OSError as error:
                raise output_error(places.journal, error) from error


def _model_digest(model: Model) -> str:
    """Return a sha256 over weights, network, task and preprocessing."""
    parts = {"spec": model.spec.to_json(), "task": model.task.to_json(), "preprocess": model.preprocess.to_json()}
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for name, tensor in sorted(model.network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
