"""The scores of a run as the page shows them: tiles, tables, confusion matrix and calibration."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.names import show_name
from pixelwise.reporting.charts import CalibrationChart, calibration_chart
from pixelwise.reporting.record import entries, form_of, number, section
from pixelwise.reporting.wording import PERCENT, clip, is_fraction, label, range_text, score_text, share_text

MATRIX_LIMIT = 100
"""Most classes that one heat map can show; of more, those with the most mistakes are drawn, the others as one."""
WRITTEN_LIMIT = 12
"""Most classes whose matrix has room for numbers in its cells."""
CLASS_LIMIT = 1000
"""Most rows of the class table."""
CONFUSION_LIMIT = 8
_TILE_LIMIT = 4
_TILE_ORDER = (
    "top1", "mean_iou", "mean_dice", "foreground_iou", "mean_hausdorff_95", "pixel_accuracy", "voxel_accuracy",
    "box_iou", "macro_f1", "exact_match", "top5", "ece", "localisation_error",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScoreView:
    """One score: the exact number for machines, the rounded one for people, and its 95 % interval."""

    name: str
    label: str
    value: float | None
    text: str
    range_text: str
    """The interval, or empty."""
    n: int | None
    span: tuple[float, float, float] | None
    """(low, value, high) in per cent of the scale from 0 to 1, for the little interval bar."""


def score_views(scores: dict[str, Any] | None) -> list[ScoreView]:
    """Return all scores, the metric that picked the weights first, then in the order of the file."""
    views = [_view(entry) for entry in entries(scores, "scores")]
    metric = (scores or {}).get("metric")
    return sorted(views, key=lambda view: view.name != metric)


def tiles(views: Sequence[ScoreView]) -> list[ScoreView]:
    """Choose the few scores that stand large at the top: the metric, then the usual ones of the task."""
    ranked = sorted(views[1:], key=lambda v: _TILE_ORDER.index(v.name) if v.name in _TILE_ORDER else len(_TILE_ORDER))
    return [*views[:1], *ranked[: _TILE_LIMIT - 1]]


def _view(entry: dict[str, Any]) -> ScoreView:
    unit, n = str(entry.get("unit") or ""), entry.get("n")
    value, low, high = (number(entry.get(key)) for key in ("value", "low", "high"))
    bounded = all(math.isfinite(bound) for bound in (value, low, high))
    on_scale = bounded and 0 <= low <= high <= 1 and score_text(value, unit).endswith("%")
    observations = n if isinstance(n, int) else None
    return ScoreView(
        name=str(entry.get("name", "")),
        label=label(str(entry.get("name", ""))),
        value=None if math.isnan(value) else value,
        text=score_text(value, unit, observations),
        range_text=range_text(low, high, unit, observations) if bounded else "",
        n=observations,
        span=(round(100 * low, 2), round(100 * value, 2), round(100 * high, 2)) if on_scale else None,
    )


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the class table."""

    text: str
    sort: str
    share: float | None
    """Per cent of the cell that is tinted; None: no tint."""


@dataclass(frozen=True, slots=True)
class ClassTable:
    """One row per class; the first column is the name."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    left_out: int


def class_table(scores: dict[str, Any] | None, task: str) -> ClassTable | None:
    """Lay out the per-class scores: counts as they are, fractions as per cent, undefined ones as a dash.

    A score whose mean over the classes has a unit, such as a distance in px, has the same.
    """
    found = entries(scores, "classes")
    if not found:
        return None
    keys = list(dict.fromkeys(key for entry in found for key in entry if key not in ("name", "n", "interval")))
    keys = [key for key in keys if any(math.isfinite(number(entry.get(key))) for entry in found)]
    means = {str(entry.get("name")): str(entry.get("unit") or "") for entry in entries(scores, "scores")}
    units = {key: means.get(f"mean_{key}", "") for key in keys}
    rows = []
    for entry in found[:CLASS_LIMIT]:
        cells = [_cell(entry.get("n"), tinted=False), *(_cell(entry.get(key), units[key], tinted=True) for key in keys)]
        rows.append((clip(show_name(str(entry.get("name", ""))), 80), tuple(cells)))
    return ClassTable(
        (form_of(task).unit.capitalize(), *(label(key) for key in keys)), tuple(rows), len(found) - len(rows)
    )


def _cell(value: object, unit: str = "", *, tinted: bool) -> Cell:
    amount = number(value)
    if math.isnan(amount):
        return Cell("–", "", None)
    if not is_fraction(unit):
        return Cell(score_text(amount, unit), repr(value), None)
    if isinstance(value, int) and not (tinted and value in (0, 1)):
        return Cell(f"{value:,}", repr(value), None)
    return Cell(f"{100 * amount:.1f}{PERCENT}", repr(value), round(100 * min(max(amount, 0), 1), 1) if tinted else None)


@dataclass(frozen=True, slots=True)
class Shade:
    """All cells of one strength of colour, as one path: 10,000 rectangles would be half a megabyte."""

    right: bool
    opacity: float
    path: str


@dataclass(frozen=True, slots=True)
class Rate:
    """The per cent written into a cell, by the cell's middle."""

    x: float
    y: float
    text: str
    strong: bool
    """The cell's colour is so strong that the number must be light."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """Rows are the truth, columns the prediction; colours show the share of the row."""

    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    cell: int
    left: int
    label_px: float
    shades: tuple[Shade, ...]
    rates: tuple[Rate, ...]
    side: int
    pairs: tuple[tuple[str, str, str, str], ...]
    """The most frequent mistakes: truth, prediction, count, share of the truth."""
    total_classes: int


def confusion(scores: dict[str, Any] | None) -> Confusion | None:
    """Lay out the confusion matrix; of more than :data:`MATRIX_LIMIT` classes the rest is summed up as "others"."""
    given = (scores or {}).get("confusion")
    names = [show_name(str(entry.get("name", ""))) for entry in entries(scores, "classes")]
    if not isinstance(given, list) or not given or len(given) != len(names):
        return None
    counts = np.array(given, dtype=np.int64)
    pairs = _mistakes(counts, names)
    total_classes = len(names)
    if len(names) > MATRIX_LIMIT:
        counts, names = _most_mistaken(counts, names)
    size = len(names)
    cell = 40 if size <= WRITTEN_LIMIT else 24 if size <= 30 else 14 if size <= 60 else 8
    label_px = min(12.0, cell - 1.0)
    shown = [clip(name, 22 if size <= 60 else 18) for name in names]
    left = round(max(len(name) for name in shown) * label_px * 0.56) + 22
    paths: dict[tuple[bool, float], list[str]] = {}
    rates = []
    for row, line in enumerate(counts.tolist()):
        whole = sum(line)
        for column, value in enumerate(line):
            if not value:
                continue
            x, y = left + column * cell, left + row * cell
            opacity = round(0.1 + 0.9 * round((value / whole) ** 0.6 * 20) / 20, 3)
            paths.setdefault((row == column, opacity), []).append(f"M{x} {y}h{cell - 1}v{cell - 1}h{1 - cell}z")
            if size <= WRITTEN_LIMIT:
                text = f"{100 * value / whole:.0f}"
                rates.append(Rate(x + cell / 2 - 0.5, y + cell / 2 + 3.5, text, opacity > 0.55))
    return Confusion(
        names=tuple(shown),
        counts=tuple(tuple(line) for line in counts.tolist()),
        cell=cell,
        left=left,
        label_px=label_px,
        shades=tuple(Shade(right, opacity, "".join(pieces)) for (right, opacity), pieces in sorted(paths.items())),
        rates=tuple(rates),
        side=left + size * cell + 4,
        pairs=pairs,
        total_classes=total_classes,
    )


def _mistakes(counts: NDArray[np.int64], names: list[str]) -> tuple[tuple[str, str, str, str], ...]:
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSION_LIMIT]
    cells = [(int(row), int(column)) for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True)]
    return tuple(
        (
            clip(names[row], 60),
            clip(names[column], 60),
            f"{wrong[row, column]:,}",
            share_text(int(wrong[row, column]), int(counts[row].sum())),
        )
        for row, column in cells
        if wrong[row, column]
    )


def _most_mistaken(counts: NDArray[np.int64], names: list[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Keep the classes that most mistakes lead to or away from, in class order; sum the others up."""
    mistakes = counts.sum(0) + counts.sum(1) - 2 * np.diag(counts)
    kept = np.sort(np.argsort(-mistakes, kind="stable")[: MATRIX_LIMIT - 1])
    group = np.full(len(counts), len(kept))
    group[kept] = np.arange(len(kept))
    summed = np.zeros((MATRIX_LIMIT, MATRIX_LIMIT), np.int64)
    np.add.at(summed, (group[:, None], group[None, :]), counts)
    return summed, [*(names[index] for index in kept), f"{len(counts) - len(kept)} others"]


def calibration(scores: dict[str, Any] | None) -> CalibrationChart | None:
    """Lay out the reliability diagram."""
    bins = []
    for entry in entries(section(scores or {}, "calibration"), "bins"):
        low, high, confidence, accuracy = (number(entry.get(key)) for key in ("low", "high", "confidence", "accuracy"))
        n = entry.get("n")
        if isinstance(n, int) and all(map(math.isfinite, (low, high, confidence, accuracy))):
            bins.append((low, high, confidence, accuracy, n))
    return calibration_chart(bins)
