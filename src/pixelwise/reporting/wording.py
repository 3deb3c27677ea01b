"""Numbers, names and times as people read them."""

import math
from datetime import datetime
from typing import Any

TEXT_LIMIT = 160
"""Longest piece of the data's own text (a path, a class, a message) that is shown; the rest is elided."""

PERCENT = "\u00a0%"
"""The sign with its space, which must not break."""

_LABELS = {
    "aggregated_jaccard": "Aggregated Jaccard index (AJI)",
    "ap50": "Average precision at IoU 0.5",
    "ap75": "Average precision at IoU 0.75",
    "mean_ap": "Average precision, mean of IoU 0.5 to 0.95",
    "count_error": "Error of the counts",
    "object_f1": "F1 of the objects",
    "panoptic_quality": "Panoptic quality (PQ)",
    "accuracy": "Accuracy",
    "ap": "Average precision",
    "auc": "AUC",
    "average_surface_distance": "Average surface distance",
    "boundary_f": "Boundary F",
    "box_iou": "IoU of the boxes",
    "character_accuracy": "Characters right",
    "character_error_rate": "Character errors",
    "character_error_rate_greedy": "Character errors, read greedily",
    "cpus": "Processor cores",
    "dice": "Dice",
    "ece": "Calibration error (ECE)",
    "ema_decay": "Weight average (EMA) decay",
    "exact_match": "All labels right",
    "exact_string": "Whole strings right",
    "exact_string_greedy": "Whole strings right, read greedily",
    "f1": "F1",
    "foreground_dice": "Dice, mean without background",
    "foreground_iou": "IoU, mean without background",
    "foreground_recall": "Recall, mean without background",
    "gpu": "GPU",
    "hausdorff": "Hausdorff distance",
    "hausdorff_95": "Hausdorff distance, 95th percentile",
    "high": "Raw value that becomes 1",
    "iou": "IoU",
    "low": "Raw value that becomes 0",
    "localisation_accuracy": "Class and box right",
    "lr": "Learning rate",
    "macro_f1": "Macro F1",
    "map": "Mean average precision",
    "mean_average_surface_distance": "Average surface distance, mean",
    "mean_boundary_f": "Boundary F, mean",
    "mean_dice": "Mean Dice",
    "mean_hausdorff": "Hausdorff distance, mean",
    "mean_hausdorff_95": "Hausdorff distance, 95th percentile, mean",
    "mean_iou": "Mean IoU",
    "pixelwise": "pixelwise",
    "std": "Standard deviation",
    "top1": "Accuracy",
    "top5": "Top-5 accuracy",
    "torch": "PyTorch",
}
VALUE_LIMIT = 400
"""Longest value of a specification or recipe that is shown."""
_FRACTION_UNITS = frozenset({"", "1", "fraction", "proportion", "ratio", "share"})


def label(name: str) -> str:
    """Return the heading for a score or field: ``mean_iou`` becomes "Mean IoU"."""
    known = _LABELS.get(name)
    words = name.replace("_", " ").replace(".", ": ").strip()
    return known or clip(words[:1].upper() + words[1:])


def clip(text: str, limit: int = TEXT_LIMIT) -> str:
    """Shorten a text in the middle to ``limit`` characters: the beginning and the end (a file's name) stay."""
    if len(text) <= limit:
        return text
    head = limit // 3
    return f"{text[:head]}…{text[head + 1 - limit :]}"


def score_text(value: float | None, unit: str, n: int | None = None) -> str:
    """Write a score: fractions as per cent, with as many decimals as ``n`` observations can bear; None is undefined."""
    if value is None or math.isnan(value):
        return "undefined"
    decimals = 2 if n is not None and n >= 1000 else 1
    if is_fraction(unit):
        return f"{100 * value:.{decimals}f}{PERCENT}"
    if unit in ("%", "percent"):
        return f"{value:.{decimals}f}{PERCENT}"
    return f"{value:.4g} {clip(unit, 20)}"


def is_fraction(unit: str) -> bool:
    """Whether scores of this unit lie between 0 and 1 and are shown as per cent."""
    return unit in _FRACTION_UNITS


def range_text(low: float, high: float, unit: str, n: int | None = None) -> str:
    """Write an interval; the per cent sign stands once."""
    return f"{score_text(low, unit, n).removesuffix(PERCENT)} to {score_text(high, unit, n)}"


def probability_text(value: float) -> str:
    """Write a probability; one that is not quite 0 or 1 does not look as if it were."""
    if math.isnan(value):
        return "unknown"
    if 0.9995 <= value < 1:
        return f"> 99.9{PERCENT}"
    return share_text(value, 1)


def share_text(part: float, whole: float) -> str:
    """Write a part of a whole as per cent; an empty whole has no parts."""
    if not whole:
        return "–"
    share = 100 * part / whole
    return f"{share:.1f}{PERCENT}" if share >= 0.1 or not part else f"< 0.1{PERCENT}"


def count(value: object) -> str:
    """Write a whole number in groups of three: 61,706."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def counted(value: int, thing: str) -> str:
    """Write a number with its noun: "1 image", "2,000 images", "3 classes"."""
    plural = f"{thing}es" if thing.endswith("s") else f"{thing}s"
    return f"{value:,} {thing if value == 1 else plural}"


def duration(seconds: float) -> str:
    """Write a time span: "0.4 s", "3 min 05 s", "2 h 07 min"."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def instant(text: object) -> str:
    """Write an ISO 8601 time as "2031-05-04 13:07 UTC"; what is no time stays as it is."""
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError:
        return clip(str(text))
    return f"{when:%Y-%m-%d %H:%M} {when.tzname() or ''}".strip()


def plain(value: Any) -> str:
    """Write a JSON value of a specification or recipe for a reader."""
    if value is None or value in ([], (), {}, ""):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        texts = [f"({plain(item)})" if isinstance(item, (list, tuple)) else plain(item) for item in value]
        return clip(", ".join(texts), VALUE_LIMIT)
    if isinstance(value, dict):
        return clip(", ".join(f"{key} {plain(item)}" for key, item in value.items()), VALUE_LIMIT)
    return clip(str(value), VALUE_LIMIT)
