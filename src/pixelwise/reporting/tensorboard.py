"""The journal as TensorBoard event files, for those who compare runs there. Needs the extra ``tensorboard``."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pixelwise.errors import UsageError
from pixelwise.reporting.record import Event, moment, number, section
from pixelwise.runs.folder import Run
from pixelwise.storage.atomic import atomic_file, make_folder

_TAGS = {
    "step": {"loss": "loss/step", "lr": "learning_rate"},
    "epoch": {"train_loss": "loss/train", "val_loss": "loss/val", "images_per_second": "speed/images_per_second"},
}


def write_tensorboard(run_path: Path, out: Path) -> Path:
    """Write the losses, validation scores, learning rate and speed of a run's journal as one event file.

    Steps are optimiser steps, times are those of the journal. Writing again replaces the file.

    Args:
        run_path: the run folder; it may still be training.
        out: the folder for TensorBoard's ``--logdir``, made if need be; give each run a folder of its own in it.

    Returns:
        The event file.

    Raises:
        UsageError: TensorBoard is not installed.
        RunError: ``run_path`` is no run folder.
        OutputError: the file cannot be written.

    """
    try:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError:
        raise UsageError(
            "TensorBoard is not installed",
            expected="the extra 'tensorboard'",
            do="Run: pip install 'pixelwise[tensorboard]'",
        ) from None
    run = Run.open(run_path)
    events = [entry for entry in run.journal if moment(entry) is not None]
    begin = _seconds(events[0]) if events else 0.0
    make_folder(Path(out))
    target = Path(out) / f"events.out.tfevents.{int(begin):010d}.pixelwise"
    with atomic_file(target) as file:
        writer = RecordWriter(file)
        writer.write(event_pb2.Event(wall_time=begin, file_version="brain.Event:2").SerializeToString())
        for entry in events:
            values = [summary_pb2.Summary.Value(tag=tag, simple_value=value) for tag, value in scalars(entry)]
            if values:
                summary = summary_pb2.Summary(value=values)
                event = event_pb2.Event(wall_time=_seconds(entry), step=int(entry["step"]), summary=summary)
                writer.write(event.SerializeToString())
    return target


def scalars(entry: Event) -> Iterator[tuple[str, float]]:
    """Yield (tag, value) of one event; numbers that were not finite are null in the journal and left out here."""
    named: list[tuple[str, Any]] = [(tag, entry.get(key)) for key, tag in _TAGS.get(entry["event"], {}).items()]
    named += [(f"val/{name}", value) for name, value in section(entry, "val").items()]
    for tag, value in named:
        if not math.isnan(number(value)):
            yield tag, number(value)


def _seconds(entry: Event) -> float:
    when = moment(entry)
    assert when is not None  # only such events are asked
    return when.timestamp()
