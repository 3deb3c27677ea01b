"""What a reader must know before believing the numbers: each note says what is the case and what helps."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pixelwise.data.names import show_name
from pixelwise.reporting.curves import best_epoch
from pixelwise.reporting.record import Record, entries, form_of, moment, number, section
from pixelwise.reporting.wording import clip, counted, duration, label, range_text, score_text

Kind = Literal["warning", "note"]

FEW_IMAGES = 100
WIDE_INTERVAL = 0.1
"""An interval as wide as this, in units of the score, says little."""
RARE_CLASS = 10
_NAMED_CLASSES = 5
_OVERFIT_RATIO = 1.2


@dataclass(frozen=True, slots=True)
class Note:
    """One remark, and what to do about it (may be empty)."""

    kind: Kind
    text: str
    fix: str = ""


def notes(record: Record, now: datetime | None = None) -> list[Note]:
    """Collect the remarks, the most important first: state of the run, scores, training, data, files."""
    return [
        *_state(record, now or datetime.now(UTC)),
        *_scores(record),
        *_training(record),
        *_data(record),
        *(Note("warning", clip(fault, 400)) for fault in record.faults),
    ]


def epochs_done(record: Record) -> int:
    """Epochs that ended with a validation."""
    return len(record.of("epoch"))


def epochs_planned(record: Record) -> int | None:
    """Epochs that the recipe asks for, when it counts in epochs."""
    planned = section(record.run, "recipe").get("epochs")
    return planned if isinstance(planned, int) else None


def _state(record: Record, now: datetime) -> list[Note]:
    status, done, planned = record.run.get("status"), epochs_done(record), epochs_planned(record)
    progress = f" after {counted(done, 'epoch')}" + (f" of {planned}" if planned else "")
    resume = f"Continue it with: pixelwise resume {record.path}"
    if status == "running":
        last = max((when for entry in record.events if (when := moment(entry)) and when.tzinfo), default=None)
        age = f"; its journal was last written {duration(max((now - last).total_seconds(), 0))} ago" if last else ""
        return [
            Note(
                "warning",
                f"The run had not ended when this report was written{progress}{age}. Scores may be missing or old.",
                "Write the report again when it has ended.",
            )
        ]
    if status == "interrupted":
        return [Note("warning", f"The run was interrupted{progress}. What follows is not its final state.", resume)]
    if status == "failed":
        reason = next((str(entry["reason"]) for entry in reversed(record.of("stop")) if entry.get("reason")), "")
        why = f": {clip(reason, 400)}" if reason else ""
        return [Note("warning", f"The run failed{progress}{why}.", resume)]
    return []


def _scores(record: Record) -> list[Note]:
    if record.scores is None:
        return [Note("warning", "There are no scores yet.", f"Compute them with: pixelwise evaluate {record.path}")]
    found = []
    images = record.scores.get("num_images")
    if record.scores.get("split") == "val":
        found.append(
            Note(
                "warning",
                f"Scored on the validation split because there is no test split. Its {record.form.samples} also chose "
                "the best weights, so the scores are somewhat optimistic.",
                "Hold out a test split and evaluate again.",
            )
        )
    elif record.scores.get("split") in ("train", "all"):
        found.append(
            Note("warning", f"Scored on {record.form.samples} that were trained on: this says nothing about new ones.")
        )
    metric = main_score(record)
    width = number(metric.get("high")) - number(metric.get("low"))
    if isinstance(images, int) and (images < FEW_IMAGES or width > WIDE_INTERVAL):
        text = f"Only {counted(images, record.noun)}: wide intervals. Small differences between runs mean nothing here."
        rough = " From so few, the intervals themselves are rough." if images < FEW_IMAGES else ""
        found.append(Note("warning", text + rough, f"Score more {record.form.samples}."))
    said = record.scores.get("notes")
    found += [Note("warning", clip(str(text), 400)) for text in said] if isinstance(said, list) else []
    return found + _class_notes(record.scores, record.task)


def main_score(record: Record) -> dict[str, Any]:
    """Return the score that picked the weights, as scores.json holds it; empty when there is none."""
    metric = (record.scores or {}).get("metric")
    return next((entry for entry in entries(record.scores, "scores") if entry.get("name") == metric), {})


def _class_notes(scores: dict[str, Any], task: str) -> list[Note]:
    classes = entries(scores, "classes")
    absent = [str(entry.get("name")) for entry in classes if entry.get("n") == 0]
    found = []
    if absent:
        text = f"Not among the scored {form_of(task).samples}: {_listed(absent)}. Their scores are undefined"
        rule = scores.get("empty_class_rule")
        found.append(Note("warning", f"{text}. {clip(str(rule), 300)}" if rule else f"{text}."))
    if form_of(task).unit == "images":
        rare = [str(entry.get("name")) for entry in classes if 0 < number(entry.get("n")) < RARE_CLASS]
        if rare:
            few = f"Fewer than {RARE_CLASS} scored pictures: {_listed(rare)}. Their per-class scores are rough."
            found.append(Note("note", few))
    return found


def _training(record: Record) -> list[Note]:
    epochs, best = record.of("epoch"), best_epoch(record)
    losses = [number(epoch.get("val_loss")) for epoch in epochs]
    is_best_last = best is not None and best[0] == len(epochs)
    found = []
    if best and record.run.get("status") == "finished" and len(epochs) > 2 and is_best_last:
        text = f"The best epoch ({best[0]:g}) is the last one: longer training may help."
        found.append(Note("note", text, "Try more epochs, or lower the learning rate to zero at the end."))
    finite = [loss for loss in losses if math.isfinite(loss)]
    if len(finite) > 3 and finite[-1] > _OVERFIT_RATIO * min(finite) and min(finite) > 0 and not is_best_last:
        text = f"The validation loss rose from {min(finite):.3g} to {finite[-1]:.3g} at the end: a sign of overfitting."
        found.append(Note("note", text, "The best weights were kept. Augmentation, weight decay or more data help."))
    stops = [str(event["reason"]) for event in record.of("stop") if event.get("reason")]
    if stops and record.run.get("status") == "finished":
        found.append(Note("note", f"Training stopped before its planned end: {clip(stops[-1], 400)}."))
    resumed = len(record.of("resume"))
    if resumed:
        times = "once" if resumed == 1 else f"{resumed} times"
        found.append(Note("note", f"The run was interrupted and resumed {times}."))
    return found


def _data(record: Record) -> list[Note]:
    skipped = record.data.get("skipped")
    found = []
    if isinstance(skipped, list) and skipped:
        text = f"{counted(len(skipped), 'file')} of the data were skipped and took no part (listed under Data)."
        found.append(Note("warning", text))
    severe = [item for item in entries(record.data, "findings") if item.get("severity") in ("error", "warning")]
    if severe:
        found.append(Note("note", f"The data check warned of {counted(len(severe), 'odd spot')} (listed under Data)."))
    if record.data.get("root") and record.root is None:
        text = f"The data folder {clip(str(record.data['root']))} is not there any more, so there are no pictures here."
        found.append(Note("note", text, "Put it back and write the report again."))
    return found


def _listed(names: list[str]) -> str:
    shown = ", ".join(clip(show_name(name), 40) for name in names[:_NAMED_CLASSES])
    rest = len(names) - _NAMED_CLASSES
    return f"{shown} and {rest} more" if rest > 0 else shown


def lead(record: Record) -> str:
    """Say in one or two sentences what was trained on what, and how well it does."""
    data = record.data
    name = section(record.run, "spec").get("name", "A network")
    splits = section(data, "splits")
    trained = splits.get("train")
    where = str(data.get("root", "")).rstrip("/").rsplit("/", maxsplit=1)[-1]
    pictures = counted(trained, record.noun) if isinstance(trained, int) else f"{record.noun}s"
    text = f"{name} trained on {pictures}" + (f" of {clip(where, 60)}" if where else "")
    done = epochs_done(record)
    text += f" for {counted(done, 'epoch')}." if done else "."
    first = main_score(record)
    if not first or record.scores is None:
        return text
    images, unit = record.scores.get("num_images"), str(first.get("unit") or "")
    observed = first.get("n") if isinstance(first.get("n"), int) else None
    value, low, high = (number(first.get(key)) for key in ("value", "low", "high"))
    text += f" {label(str(first['name']))}: {score_text(value, unit, observed)}"
    if math.isfinite(low) and math.isfinite(high):
        text += f" (95\u00a0% interval {range_text(low, high, unit, observed)})"
    held = {"test": "test", "val": "validation"}.get(str(record.scores.get("split")), str(record.scores.get("split")))
    return text + (f" on {counted(images, f'{held} {record.noun}')}." if isinstance(images, int) else ".")
