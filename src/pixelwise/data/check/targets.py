"""Findings about targets that are more than one class: boxes, and sets of classes."""

from collections.abc import Callable
from typing import Final

import numpy as np

from pixelwise.data.boxes import parse_box
from pixelwise.data.check.findings import Findings, counted
from pixelwise.data.manifest import Manifest
from pixelwise.data.names import show_path
from pixelwise.data.task_names import TaskName

_SMALL_PX: Final = 2.0
_WHOLE: Final = 0.95
_MOSTLY: Final = 0.5


def report_targets(manifest: Manifest, findings: Findings) -> None:
    """Report on boxes, and on pictures that show no class at all."""
    if manifest.task in _REPORTS:
        _REPORTS[manifest.task](manifest, findings)


def _sets(manifest: Manifest, findings: Findings) -> None:
    bare = np.flatnonzero(~manifest.column("presence").any(axis=1))
    if len(bare):
        findings.add(
            "warning" if len(bare) > _MOSTLY * len(manifest) else "info",
            "no-class",
            f"{counted(len(bare), 'picture')} of {len(manifest):,} without any class.",
            "Nothing must be done if they truly show none: an empty cell says so",
            (manifest.paths[row] for row in bare.tolist()),
        )


def _boxes(manifest: Manifest, findings: Findings) -> None:
    boxes = np.array([parse_box(text) for text in manifest.annotations.texts()])
    sides = np.stack([boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]], axis=1)
    pictures = np.stack([manifest.column("width"), manifest.column("height")], axis=1)
    small = np.flatnonzero(sides.min(axis=1) < _SMALL_PX)
    if len(small):
        row = int(small[0])
        findings.add(
            "warning",
            "small-box",
            f"{_boxes_text(len(small))} of less than {_SMALL_PX:g} px: that of {show_path(manifest.paths[row])} is "
            f"{sides[row, 0]:g} x {sides[row, 1]:g} px.",
            "Give boxes in pixels of the picture, not as shares of it; leave out objects that cannot be seen",
            (manifest.paths[row] for row in small.tolist()),
        )
    whole = np.flatnonzero((sides >= _WHOLE * pictures).all(axis=1))
    if len(whole) > _MOSTLY * len(manifest):
        findings.add(
            "warning",
            "whole-box",
            f"{_boxes_text(len(whole))} of {len(manifest):,} around the whole picture: there is little to find.",
            "Check the boxes, or train for classification",
            (manifest.paths[row] for row in whole.tolist()),
        )


def _boxes_text(number: int) -> str:
    return "1 box" if number == 1 else f"{number:,} boxes"


_REPORTS: Final[dict[TaskName, Callable[[Manifest, Findings], None]]] = {"multilabel": _sets, "localisation": _boxes}
