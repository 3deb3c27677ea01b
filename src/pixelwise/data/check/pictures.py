"""Findings about sizes, channels, depths and value ranges."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.check.findings import Findings, counted
from pixelwise.data.check.forms import paths_of, report_blank, report_channels
from pixelwise.data.check.survey import Survey
from pixelwise.data.manifest import DTYPES, Manifest
from pixelwise.data.names import show_path
from pixelwise.data.regions import LARGE_PIXELS
from pixelwise.data.task_names import TaskName

_SMALL_PX: Final = 16
_SLENDER: Final = 3.0
_DIFFERENT_ASPECT: Final = 2.0
_UINT16_TOP: Final = 65535
_ANY_WAY: Final = "Choose how pictures are brought to one size (resize: crop, pad or stretch), or train on crops"
_TO_ONE_SIZE: Final[dict[TaskName, str]] = {
    "localisation": "Choose how pictures are brought to one size (resize: pad or stretch; crop may cut objects off)",
    "sequence": "Nothing must be done: pictures are brought to one height, and filled up to the width of the widest",
}


def report_pictures(manifest: Manifest, survey: Survey, findings: Findings) -> None:
    """Report on the forms of all images, and on the values of the decoded ones."""
    _sizes(manifest, findings)
    report_channels(manifest, findings)
    _dtypes(manifest, findings)
    _ranges(manifest, survey, findings)


def _span(sides: NDArray[np.int64]) -> str:
    low, high = int(sides.min()), int(sides.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _sizes(manifest: Manifest, findings: Findings) -> None:
    height = manifest.column("height").astype(np.int64)
    width = manifest.column("width").astype(np.int64)
    sizes = np.unique(np.stack([height, width], axis=1), axis=0)
    if len(sizes) > 1:
        findings.add(
            "info",
            "mixed-sizes",
            f"{len(sizes):,} different sizes: {_span(height)} px high, {_span(width)} px wide, in the middle "
            f"{int(np.median(height)):,} x {int(np.median(width)):,}.",
            _TO_ONE_SIZE.get(manifest.task, _ANY_WAY),
        )
    small = np.flatnonzero(np.minimum(height, width) < _SMALL_PX)
    if len(small):
        row = int(small[0])
        findings.add(
            "warning",
            "tiny",
            f"{counted(len(small), 'picture')} of less than {_SMALL_PX} px: "
            f"{show_path(manifest.paths[row])} is {height[row]} x {width[row]} px.",
            "Check that they are not icons or remains; most networks need 32 px",
            paths_of(manifest, small),
        )
    large = np.flatnonzero(height * width > LARGE_PIXELS)
    if len(large):
        row = int(large[0])
        findings.add(
            "info",
            "large",
            f"{counted(len(large), 'picture')} of more than 4096 x 4096 px: "
            f"{show_path(manifest.paths[row])} is {height[row]:,} x {width[row]:,} px.",
            "Segmentation and the training of numbered instances read windows of TIFF and Zarr; cut others into tiles",
            paths_of(manifest, large),
        )
    aspect = width / height
    slender = np.flatnonzero(np.maximum(aspect, 1 / aspect) >= _SLENDER)
    if manifest.task == "sequence":
        return  # lines of text are long by nature, and are neither cropped nor stretched
    if len(slender):
        row = int(slender[0])
        findings.add(
            "warning",
            "slender",
            f"{counted(len(slender), 'picture')} at least {_SLENDER:g} times as long as wide: "
            f"{show_path(manifest.paths[row])} is {height[row]} x {width[row]} px.",
            "Stretching distorts them and a central crop drops most of them: pad, or cut them first",
            paths_of(manifest, slender),
        )
    elif aspect.max() / aspect.min() >= _DIFFERENT_ASPECT:
        findings.add(
            "info",
            "mixed-aspect",
            f"Aspect ratios (width / height) from {aspect.min():.2f} to {aspect.max():.2f}.",
            "Prefer crop or pad to stretch",
        )


def _dtypes(manifest: Manifest, findings: Findings) -> None:
    codes, counts = np.unique(manifest.column("dtype"), return_counts=True)
    if len(codes) > 1:
        fewer = np.flatnonzero(manifest.column("dtype") == codes[counts.argmin()])
        told = ", ".join(f"{count:,} of {DTYPES[code]}" for code, count in zip(codes, counts, strict=True))
        findings.add(
            "error",
            "mixed-depths",
            f"Pictures have different depths: {told}. One value range cannot fit both.",
            "Save all with the same number of bits",
            paths_of(manifest, fewer),
        )


def _ranges(manifest: Manifest, survey: Survey, findings: Findings) -> None:
    if not len(survey.rows):
        return
    report_blank(manifest, survey, findings)
    codes = manifest.column("dtype")[survey.rows]
    for code, dtype in enumerate(DTYPES):
        here = codes == code
        if here.any():
            low, high = float(survey.low[here].min()), float(survey.high[here].max())
            if dtype == "uint16":
                _deep(low, high, findings)
            elif dtype == "float32":
                findings.add(
                    "info",
                    "float-range",
                    f"Real-valued pictures, {low:g} to {high:g}.",
                    "Nothing must be done: the range measured in training images becomes 0..1, kept in the model",
                )
            elif high <= 1 and len(survey.rows) > 1:
                findings.add(
                    "warning",
                    "dark",
                    f"8-bit pictures whose largest value is {high:g}: nearly black.",
                    "They may hold 0..1 where 0..255 was meant: check how they were saved",
                )


def _deep(low: float, high: float, findings: Findings) -> None:
    bits = max(1, int(high).bit_length())
    share = high / _UINT16_TOP
    used = f"16-bit pictures with values {low:,.0f} to {high:,.0f} ({bits} bits, {share:.1%} of the range)."
    if bits <= 12:
        findings.add(
            "warning",
            "unused-depth",
            used,
            "Nothing must be done: scaled by all 16 bits they would be nearly black, so the measured range is used",
        )
    else:
        findings.add("info", "16-bit", used, "Nothing must be done: values are scaled, never cut")
