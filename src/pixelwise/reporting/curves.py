"""The journal as curves: losses, the task's scores on the validation split, learning rate and speed."""

import math

from pixelwise.reporting.charts import LineChart, Series, line_chart
from pixelwise.reporting.record import Event, Record, number, section
from pixelwise.reporting.wording import label

_SCORE_CHARTS = 3
"""Validation scores beside the metric that get a chart of their own."""


def curves(record: Record) -> list[LineChart]:
    """Return the charts that the journal has numbers for; none when nothing was trained yet."""
    epochs = record.of("epoch")
    steps = record.of("step")
    charts = [_losses(epochs, steps), *_validation(record, epochs), _rate(epochs, steps)]
    charts.append(_speed(epochs, "Patches" if record.form.dimensions == 3 else "Images"))
    return [chart for chart in charts if chart is not None]


def best_epoch(record: Record) -> tuple[float, float] | None:
    """Return (epochs done, value) of the weights that were kept; None before the first validation."""
    best = record.of("best")
    if not best:
        return None
    value = number(best[-1].get("value"))
    done = _epochs_done(best[-1], record.of("epoch"))
    return None if math.isnan(value) or done is None else (done, value)


def _epochs_done(event: Event, epochs: list[Event]) -> float | None:
    """Find the epoch event of the same step; its place in the journal is the number of epochs done."""
    for place, epoch in enumerate(epochs, start=1):
        if epoch.get("step") == event.get("step"):
            return float(place)
    return None


def _points(epochs: list[Event], key: str) -> tuple[tuple[float, float], ...]:
    return tuple((float(place), number(epoch.get(key))) for place, epoch in enumerate(epochs, start=1))


def _step_points(epochs: list[Event], steps: list[Event], key: str) -> tuple[tuple[float, float], ...]:
    """Place steps on the epochs' axis as fractions; by their own numbers before the first epoch ends."""
    scale = number(epochs[-1].get("step")) / len(epochs) if epochs else 1.0
    if not scale > 0:
        return ()
    points = ((number(step.get("step")) / scale, number(step.get(key))) for step in steps)
    return tuple((x, y) for x, y in points if math.isfinite(x))


def _losses(epochs: list[Event], steps: list[Event]) -> LineChart | None:
    series = [
        Series("each step", "faint", _step_points(epochs, steps, "loss")),
        Series("training", "second", _points(epochs, "train_loss")),
        Series("validation", "main", _points(epochs, "val_loss")),
    ]
    return line_chart("Loss", series, x_label=_x_label(epochs), whole_x=True)


def _validation(record: Record, epochs: list[Event]) -> list[LineChart | None]:
    """One chart for the metric, with the best epoch marked, then a few of the other scores."""
    names = list(dict.fromkeys(name for epoch in epochs for name in section(epoch, "val")))
    best = record.of("best")
    metric = str(best[-1].get("metric")) if best else ""
    names.sort(key=lambda name: name != metric)
    charts = []
    for name in names[: 1 + _SCORE_CHARTS]:
        points = tuple((float(at), number(section(epoch, "val").get(name))) for at, epoch in enumerate(epochs, start=1))
        marked = best_epoch(record) if name == metric else None
        mark = (*marked, f"Best: {marked[1]:.4g} after epoch {marked[0]:g}") if marked else None
        caption = mark[2] if mark else ""
        series = [Series("validation", "main", points)]
        charts.append(
            line_chart(label(name), series, x_label=_x_label(epochs), whole_x=True, mark=mark, caption=caption)
        )
    return charts


def _rate(epochs: list[Event], steps: list[Event]) -> LineChart | None:
    points = _step_points(epochs, steps, "lr") or _points(epochs, "lr")
    return line_chart(
        "Learning rate", [Series("learning rate", "second", points)], x_label=_x_label(epochs), whole_x=True
    )


def _speed(epochs: list[Event], noun: str) -> LineChart | None:
    points = _points(epochs, "images_per_second")
    if len(points) < 2:
        return None  # one number is no curve
    return line_chart(f"{noun} per second", [Series("training", "second", points)], x_label="epoch", whole_x=True)


def _x_label(epochs: list[Event]) -> str:
    return "epoch" if epochs else "step"
