"""The best and the worst predictions, with their pictures."""

import math
from dataclasses import dataclass
from typing import Any

from pixelwise.data.manifest import Manifest
from pixelwise.data.reading import SampleReader
from pixelwise.reporting.exhibits import EXHIBITS
from pixelwise.reporting.record import Record, entries, number
from pixelwise.reporting.shots import ClassShot, MaskShot, Picture, Reading, RunModel, key_of
from pixelwise.reporting.wording import clip

PICTURE_LIMIT_BYTES = 90_000
"""Most that one picture may take, however few there are."""
_PICTURE_MINIMUM_BYTES = 3_000


@dataclass(frozen=True, slots=True)
class Gallery:
    """Groups (heading, shots) of the task's kind; ``unavailable`` says why there are no pictures."""

    groups: tuple[tuple[str, tuple[ClassShot | MaskShot, ...]], ...]
    legend: tuple[tuple[str, str], ...]
    unavailable: str
    has_panels: bool = False
    """Each shot shows several pictures side by side."""
    is_large: bool = False
    """Each shot's picture is shown larger than usual."""


def gallery(record: Record, budget_bytes: int) -> Gallery | None:
    """Choose, read and draw the best and worst predictions of the run's scores.

    Args:
        record: the run.
        budget_bytes: most characters that all pictures' addresses may have together.

    Returns:
        None when there are no scores of single samples.

    """
    exhibit = EXHIBITS.get(record.task, EXHIBITS["classification"])
    worst, best = _choose(entries(record.scores, "samples"), exhibit.worst, exhibit.best)
    if not worst:
        return None
    limit = min(PICTURE_LIMIT_BYTES, budget_bytes // ((len(worst) + len(best)) * exhibit.panels))
    reader, unavailable = _reader(record)
    if limit < _PICTURE_MINIMUM_BYTES:
        reader, unavailable = None, "There is no room for pictures: the tables fill this file."
    has_panels = exhibit.panels > 1
    if has_panels and reader is None:
        return Gallery((), (), unavailable, has_panels)
    places = {} if reader is None else _places(reader.manifest, [*worst, *best])
    model = RunModel(record.path)
    groups = []
    for heading, samples in (("Worst", worst), ("Best", best)):
        pictures = ((sample, Picture(reader, places.get(key_of(sample)), limit)) for sample in samples)
        shots = tuple(exhibit.shoot(record, sample, picture, model) for sample, picture in pictures)
        if shots:
            groups.append((heading, shots))
    return Gallery(tuple(groups), exhibit.legend(record), unavailable, has_panels, exhibit.is_large)


def _choose(samples: list[dict[str, Any]], worst: int, best: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the samples with the lowest and with the highest scores, each extreme first; no sample is in both.

    The best are of different classes, as far as there are enough: the easiest class alone would say little.
    """
    scored = [sample for sample in samples if math.isfinite(number(sample.get("score")))]
    scored.sort(key=lambda sample: number(sample["score"]))
    low = scored[: min(worst, math.ceil(len(scored) * worst / (worst + best)))]
    firsts: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    seen: set[str] = set()
    for sample in reversed(scored[len(low) :]):
        truth = str(sample.get("truth"))
        (others if truth in seen else firsts).append(sample)
        seen.add(truth)
    return low, [*firsts, *others][:best]


def _reader(record: Record) -> tuple[Reading | None, str]:
    root = record.root
    if record.manifest is None:
        return None, "The run's manifest cannot be read, so the pictures are not known."
    if root is None:
        where = clip(str(record.data.get("root", "")))
        return None, f"The pictures are left out: the data folder {where} is not there any more."
    return Reading(record.manifest, SampleReader(root, record.manifest)), ""


def _places(manifest: Manifest, samples: list[dict[str, Any]]) -> dict[tuple[str, int], int]:
    """Find the manifest's indices of a few samples."""
    wanted = {key_of(sample) for sample in samples}
    return {(item.path, item.frame): item.index for item in manifest if (item.path, item.frame) in wanted}
