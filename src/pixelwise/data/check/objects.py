"""Findings about numbered objects: how many, how large, how many touch, and numbers that were given twice."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelwise.data.check.findings import Findings, counted
from pixelwise.data.check.survey import evenly
from pixelwise.data.manifest import Manifest
from pixelwise.data.names import show_path
from pixelwise.data.objects import objects_apart
from pixelwise.data.reading import SampleReader
from pixelwise.errors import DataError

MOST_MASKS: Final = 200
"""Looked at, evenly spaced."""
_TINY_PX: Final = 5
_TORN: Final = 0.02


@dataclass(slots=True)
class _Seen:
    """What the masks that were looked at hold."""

    rows: list[int] = field(default_factory=list)
    """Places in the manifest."""
    numbers: list[int] = field(default_factory=list)
    """Objects of each."""
    areas: list[int] = field(default_factory=list)
    """Pixels of every object."""
    torn: list[int] = field(default_factory=list)
    """Places of masks with an object in several pieces."""


def report_objects(root: Path, manifest: Manifest, findings: Findings) -> None:
    """Report on the objects of data for instances; on nothing else."""
    if manifest.task != "instances":
        return
    reader = SampleReader(root, manifest)
    seen, touching, faults = _Seen(), 0, list[tuple[int, str, str]]()
    for row in evenly(len(manifest), MOST_MASKS).tolist():
        try:
            objects = reader.objects(row)
        except DataError as error:
            faults.append((row, error.came, error.do or "Mend the mask"))
            continue
        own = np.bincount(objects.ravel())[1:]
        seen.rows.append(row)
        seen.numbers.append(int((own > 0).sum()))
        seen.areas += own[own > 0].tolist()
        touching += len(_touching(objects))
        if any(_in_pieces(inside) for _, inside in objects_apart(objects)):
            seen.torn.append(row)
    for row, came, remedy in faults:
        findings.add("error", "unread-objects", f"{came}.", remedy, (manifest.masks[row],))
    if not seen.rows:
        return
    median = np.median(seen.areas) if seen.areas else 0
    findings.add(
        "info",
        "objects",
        f"{counted(len(seen.areas), 'object')} in {counted(len(seen.rows), 'picture')}: {min(seen.numbers):,} to "
        f"{max(seen.numbers):,} in one, {median:,.0f} px in the median; {touching:,} touch another one.",
        "Nothing must be done",
    )
    _report_odd(manifest, findings, seen)


def _report_odd(manifest: Manifest, findings: Findings, seen: _Seen) -> None:
    rows, torn = seen.rows, seen.torn
    empty = [row for row, number in zip(rows, seen.numbers, strict=True) if not number]
    if empty:
        findings.add(
            "warning" if 2 * len(empty) > len(rows) else "info",
            "no-object",
            f"{counted(len(empty), 'picture')} of {len(rows):,} without any object.",
            "Nothing must be done if they truly show none",
            (manifest.masks[row] for row in empty),
        )
    tiny = sum(area < _TINY_PX for area in seen.areas)
    if tiny:
        findings.add(
            "warning",
            "tiny-object",
            f"{counted(tiny, 'object')} of less than {_TINY_PX} px.",
            "Check for stray pixels; what is as small as that is hardly found",
        )
    if len(torn) > _TORN * len(rows):
        findings.add(
            "warning",
            "torn-object",
            f"{counted(len(torn), 'mask')} with an object in several pieces, the first being "
            f"{show_path(manifest.masks[torn[0]])}.",
            "Give each object a number of its own, unless something truly lies across it",
            (manifest.masks[row] for row in torn),
        )


def _touching(objects: NDArray[np.int32]) -> set[int]:
    """Numbers of the objects that share a side with another one."""
    found: set[int] = set()
    for one, other in ((objects[1:], objects[:-1]), (objects[:, 1:], objects[:, :-1])):
        meets = (one != other) & (one > 0) & (other > 0)
        found.update(one[meets].tolist(), other[meets].tolist())
    return found


def _in_pieces(inside: NDArray[np.bool_]) -> bool:
    return int(cv2.connectedComponents(inside.astype(np.uint8), connectivity=8)[0]) > 2
