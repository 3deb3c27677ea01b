"""Findings that pictures and volumes have in common: numbers of channels, and what shows nothing."""

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.check.findings import Findings, counted
from pixelwise.data.check.survey import Survey
from pixelwise.data.manifest import Manifest
from pixelwise.data.names import show_path


def paths_of(manifest: Manifest, rows: NDArray[np.int64]) -> list[str]:
    """Return the files of some samples, each once."""
    return list(dict.fromkeys(manifest.paths[row] for row in rows.tolist()))


def report_channels(manifest: Manifest, findings: Findings) -> None:
    """Report numbers of channels that differ; only of pictures can grey and colour be mixed."""
    values, counts = np.unique(manifest.column("channels"), return_counts=True)
    if len(values) < 2:
        return
    fewer = np.flatnonzero(manifest.column("channels") == values[counts.argmin()])
    told = ", ".join(f"{count:,} of {value}" for value, count in zip(values, counts, strict=True))
    if set(values.tolist()) == {1, 3} and manifest.form.dimensions == 2:
        findings.add(
            "warning",
            "mixed-channels",
            f"Grey and colour pictures are mixed: {told} channels. Grey ones are repeated into three channels.",
            "Check that colour does not tell the classes apart by accident",
            paths_of(manifest, fewer),
        )
        return
    findings.add(
        "error",
        "mixed-channels",
        f"{manifest.form.samples.capitalize()} have different numbers of channels: {told} channels.",
        "Bring all to one number; a network has one",
        paths_of(manifest, fewer),
    )


def report_blank(manifest: Manifest, survey: Survey, findings: Findings) -> None:
    """Report samples of one single value."""
    blank = survey.rows[survey.low == survey.high]
    if len(blank):
        noun = manifest.form.samples.removesuffix("s")
        findings.add(
            "warning",
            "blank",
            f"{counted(len(blank), noun)} of one single value: {show_path(manifest.paths[int(blank[0])])}.",
            "Check that they are meant to be empty",
            paths_of(manifest, blank),
        )
