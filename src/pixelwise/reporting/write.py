"""From a run folder to one HTML file that needs nothing but itself."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2

from pixelwise.reporting import charts, facts, notes, scores
from pixelwise.reporting.curves import curves
from pixelwise.reporting.gallery import Gallery, gallery
from pixelwise.reporting.record import Record, number, read_record, section
from pixelwise.reporting.wording import clip, counted, instant, score_text
from pixelwise.storage.atomic import make_folder, write_bytes

REPORT_NAME = "report.html"
LIMIT_BYTES = 3_000_000
"""No report is larger, whatever the data are."""
_MARGIN_BYTES = 60_000
"""Kept free for what surrounds each picture."""


def write_report(run_path: Path | str, out: Path | str | None = None) -> Path:
    """Write the report of a run: finished, going on or interrupted.

    Args:
        run_path: the run folder; nothing in it is changed but the report itself.
        out: the file, or a folder for ``report.html``; None = the run folder.

    Returns:
        The file that was written (under 3 MB; opening it needs no network).

    Raises:
        RunError: ``run_path`` is no run folder, or a newer program wrote it.
        OutputError: the file cannot be written.

    """
    record = read_record(Path(run_path))
    target = Path(out) if out is not None else record.path
    if target.is_dir():
        target = target / REPORT_NAME
    make_folder(target.parent)
    write_bytes(target, render(record))
    return target


def render(record: Record) -> bytes:
    """Return the page as UTF-8; pictures get the room that everything else leaves."""
    content = _content(record)
    bare = _page(content, None)
    pictures = gallery(record, LIMIT_BYTES - _MARGIN_BYTES - len(bare))
    return bare if pictures is None else _page(content, pictures)


@dataclass(frozen=True, slots=True)
class _Frame:
    """The line charts' view box and plotting area."""

    width: float = charts.WIDTH
    height: float = charts.HEIGHT
    left: float = charts.LEFT
    right: float = charts.WIDTH - charts.RIGHT
    bottom: float = charts.HEIGHT - charts.BOTTOM


def _content(record: Record) -> dict[str, Any]:
    """Everything on the page but the pictures."""
    views = scores.score_views(record.scores)
    ece = number(section(record.scores or {}, "calibration").get("ece"))
    found, findings_left_out = facts.findings(record)
    skipped, skipped_left_out = facts.skipped(record)
    return {
        "title": clip(str(record.run.get("name") or record.path.name), 120),
        "task": record.task,
        "status": clip(str(record.run.get("status", "unknown")), 40),
        "lead": notes.lead(record),
        "created": facts.created(record),
        "training_time": facts.training_time(record),
        "device": clip(str(record.run.get("device") or ""), 60),
        "notes": notes.notes(record),
        "scores": views,
        "scored_on": _scored_on(record),
        "tiles": scores.tiles(views),
        "curves": curves(record),
        "frame": _Frame(),
        "confusion": scores.confusion(record.scores),
        "unit": record.form.unit,
        "noun": record.noun,
        "classes": scores.class_table(record.scores, record.task),
        "empty_class_rule": clip(str((record.scores or {}).get("empty_class_rule") or ""), 600),
        "calibration": scores.calibration(record.scores),
        "ece": None if math.isnan(ece) else ece,
        "ece_text": score_text(ece, ""),
        "splits": facts.splits(record),
        "data_pairs": facts.data_pairs(record),
        "class_counts": facts.class_counts(record),
        "findings": found,
        "findings_left_out": findings_left_out,
        "skipped": skipped,
        "skipped_left_out": skipped_left_out,
        "paper": facts.paper(record),
        "network_pairs": facts.network_pairs(record),
        "task_pairs": facts.task_pairs(record),
        "preprocess_pairs": facts.preprocess_pairs(record),
        "recipe_pairs": facts.recipe_pairs(record),
        "command": facts.command(record),
        "origin_pairs": facts.origin_pairs(record),
        "version": version("pixelwise"),
        "written": instant(datetime.now(UTC).isoformat(timespec="minutes")),
    }


def _scored_on(record: Record) -> str:
    """Say on which pictures the scores were computed."""
    found = record.scores or {}
    split = {"test": "test split", "val": "validation split", "train": "training split", "all": "whole data set"}
    where = split.get(str(found.get("split")), str(found.get("split", "")))
    images = found.get("num_images")
    text = f"On {counted(images, record.noun)} of the {where}" if isinstance(images, int) else f"On the {where}"
    return f"{text}. Ranges are 95 % intervals."


def _contents(content: dict[str, Any], pictures: Gallery | None) -> list[tuple[str, str]]:
    """Anchors and headings of the sections that the page has."""
    sections = (
        ("notes", "Notes", content["notes"]),
        ("scores", "Scores", content["scores"]),
        ("curves", "Curves", content["curves"]),
        ("confusion", "Confusion", content["confusion"]),
        ("classes", "Classes", content["classes"]),
        ("calibration", "Calibration", content["calibration"]),
        ("predictions", "Predictions", pictures),
        ("data", "Data", True),
        ("method", "Network", True),
        ("reproduce", "Reproduce", True),
    )
    return [(anchor, heading) for anchor, heading, there in sections if there]


def _page(content: dict[str, Any], pictures: Gallery | None) -> bytes:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pixelwise.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = content | {"gallery": pictures, "contents": _contents(content, pictures)}
    text = environment.get_template("page.html").render(page=page)
    return text.encode("utf-8", errors="replace")  # a file name may hold bytes that are no UTF-8
