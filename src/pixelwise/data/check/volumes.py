"""Findings about volumes: sizes, spacings, value ranges, and label volumes that hold nothing."""

from typing import Final

import numpy as np

from pixelwise.data.check.findings import Findings, counted
from pixelwise.data.check.forms import paths_of, report_blank, report_channels
from pixelwise.data.check.survey import Survey
from pixelwise.data.manifest import Manifest
from pixelwise.data.names import show_path
from pixelwise.data.volumes.volume import Spacing, show_size, show_spacing

_SMALL_VOXELS: Final = 8
_UNEQUAL: Final = 2.0
_SCALES_APART: Final = 10.0
_SHOWN: Final = 5


def report_volumes(manifest: Manifest, survey: Survey, findings: Findings) -> None:
    """Report on the forms of all volumes, and on the values of the decoded ones."""
    _sizes(manifest, findings)
    _spacings(manifest, findings)
    report_channels(manifest, findings)
    _values(manifest, survey, findings)
    _empty(manifest, findings)


def _sizes(manifest: Manifest, findings: Findings) -> None:
    sizes = manifest.sizes()
    if (sizes != sizes[0]).any():
        low, middle, high = (show_size(tuple(side.astype(int).tolist())) for side in (
            sizes.min(axis=0), np.median(sizes, axis=0), sizes.max(axis=0),
        ))  # fmt: skip
        findings.add(
            "info",
            "mixed-sizes",
            f"{len(np.unique(sizes, axis=0)):,} different sizes: {low} to {high} voxels, in the middle {middle}.",
            "Nothing must be done: training takes patches of one size, and fills small volumes up",
        )
    small = np.flatnonzero(sizes.min(axis=1) < _SMALL_VOXELS)
    if len(small):
        row = int(small[0])
        findings.add(
            "warning",
            "thin",
            f"{counted(len(small), 'volume')} of less than {_SMALL_VOXELS} voxels along a side: "
            f"{show_path(manifest.paths[row])} is {show_size(tuple(sizes[row].tolist()))}.",
            "Check that they are volumes: thin stacks are served better by pictures (--task segmentation)",
            paths_of(manifest, small),
        )


def _spacings(manifest: Manifest, findings: Findings) -> None:
    rows: dict[Spacing | None, list[int]] = {}
    for row in range(len(manifest)):
        rows.setdefault(manifest.spacing(row), []).append(row)
    told = [
        f"{len(places):,} of {'unknown spacing' if spacing is None else show_spacing(spacing)}"
        for spacing, places in sorted(rows.items(), key=lambda entry: -len(entry[1]))
    ]
    if len(rows) > 1:
        more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        middle = np.median([known for known in rows if known is not None], axis=0)
        wanted = ",".join(f"{length:g}" for length in middle)
        common = max(rows, key=lambda spacing: len(rows[spacing]))
        findings.add(
            "warning",
            "mixed-spacings",
            f"{len(rows)} different spacings: {', '.join(told[:_SHOWN])}{more}.",
            f"Bring all to one when training (--set spacing={wanted}), which is refused otherwise",
            (manifest.paths[row] for spacing, places in rows.items() if spacing != common for row in places),
        )
    for spacing, places in rows.items():
        if spacing is not None and max(spacing) >= _UNEQUAL * min(spacing):
            findings.add(
                "info",
                "unequal-spacing",
                f"{counted(len(places), 'volume')} whose voxels are not cubes: {show_spacing(spacing)}.",
                "Nothing must be done: distances are measured in mm; a network sees voxels",
                (manifest.paths[row] for row in places),
            )
    if set(rows) == {None}:
        findings.add(
            "info",
            "unknown-spacing",
            "No volume says how far apart its voxels are.",
            "Nothing must be done: distances are then given in voxels",
        )


def _values(manifest: Manifest, survey: Survey, findings: Findings) -> None:
    if not len(survey.rows):
        return
    report_blank(manifest, survey, findings)
    tops = survey.high[survey.high > survey.low]
    if len(tops) and tops.min() > 0 and tops.max() >= _SCALES_APART * tops.min():
        findings.add(
            "info",
            "mixed-scales",
            f"The largest values run from {tops.min():,.4g} to {tops.max():,.4g}: volumes have scales of their own.",
            "Nothing must be done: each gets its own mean and standard deviation (normalise=picture)",
        )


def _empty(manifest: Manifest, findings: Findings) -> None:
    shown = manifest.shows().toarray() > 0
    bare = np.flatnonzero(~shown[:, 1:].any(axis=1))
    if len(bare):
        findings.add(
            "warning",
            "empty-labels",
            f"{counted(len(bare), 'label volume')} of nothing but '{manifest.classes[0]}': "
            f"{show_path(manifest.masks[int(bare[0])])}.",
            "Check that they were drawn; a volume without any structure is no fault in itself",
            (manifest.masks[row] for row in bare.tolist()),
        )
