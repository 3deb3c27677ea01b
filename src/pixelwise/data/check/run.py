"""The examination as a whole: index, look, judge."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from pixelwise.data.assembly import BadImages
from pixelwise.data.check.classes import class_rows, count_classes, report_classes
from pixelwise.data.check.duplicates import find_duplicates
from pixelwise.data.check.fallback import report_without_index
from pixelwise.data.check.files import (
    Fault,
    report_empty_chunks,
    report_failures,
    report_faults,
    report_headers,
    report_skipped,
    report_turned_pairs,
)
from pixelwise.data.check.findings import Findings, Severity
from pixelwise.data.check.objects import report_objects
from pixelwise.data.check.pictures import report_pictures
from pixelwise.data.check.report import CheckReport
from pixelwise.data.check.survey import CONTAINERS, Survey, survey_pictures, without_failures
from pixelwise.data.check.targets import report_targets
from pixelwise.data.check.volumes import report_volumes
from pixelwise.data.cifar import Batches
from pixelwise.data.indexing import Progress
from pixelwise.data.layouts.class_names import Colour
from pixelwise.data.layouts.detect import find_layout
from pixelwise.data.layouts.tree import Tree, walk
from pixelwise.data.manifest import Manifest, build_manifest
from pixelwise.data.masks import IGNORE, MaskKind
from pixelwise.data.names import SPLITS, show_path
from pixelwise.data.regions import Missing
from pixelwise.data.target_columns import BACKGROUND_ONLY
from pixelwise.data.task_names import TaskName
from pixelwise.errors import DataError

DECODED: Final = 50_000
_ELSE: Final = "If that is not meant, choose with layout or classes (--layout, --classes)"
_ELSE_MASKS: Final = (
    "If that is not meant, choose with layout, classes, mask_kind or ignore "
    "(--layout, --classes, --mask-kind, --ignore)"
)


def check_data(
    root: Path | str,
    *,
    task: TaskName | None = None,
    layout: str | None = None,
    classes: tuple[str, ...] | None = None,
    mask_kind: MaskKind | None = None,
    colours: tuple[Colour, ...] = (),
    ignore: int | None = IGNORE,
    bad_images: BadImages = "refuse",
    missing: Missing = "refuse",
    use_cache: bool = True,
    cache_folder: Path | None = None,
    max_decoded: int | None = DECODED,
    progress: Progress | None = None,
) -> CheckReport:
    """Examine a data folder and report everything in one pass. Bad data never raise; they are what is reported.

    Every file is opened, hashed, and its header read; each picture and mask is decoded once, up to ``max_decoded`` of
    them, evenly spaced (the report says when it was not all).

    Args:
        root: the data folder.
        task: what the folder is for, where it would serve several tasks.
        layout: how the images lie; found by looking when ``None``.
        classes: the class table in its order; from the data when ``None``.
        mask_kind: how masks are to be read; judged by their values when ``None``.
        colours: for RGB masks, the colour of each class.
        ignore: the mask value that no loss and no metric counts.
        bad_images: with "skip", bad files are warnings instead of errors, and everything else in the report holds for
            the data without them.
        missing: "refuse" Zarr pictures without some of their chunks, or "fill" these.
        use_cache: whether to keep and use what the index knows of each file.
        cache_folder: where; by default the user's cache folder.
        max_decoded: the most samples to decode; ``None`` for all.
        progress: called with (done, in all), first for indexing, then for decoding.

    Returns:
        The report; `CheckReport.has_errors` decides over exit code 1.

    """
    root = Path(root)
    findings = Findings()
    severity: Severity = "error" if bad_images == "refuse" else "warning"
    index = partial(
        build_manifest,
        root,
        task=task,
        layout=layout,
        classes=classes,
        mask_kind=mask_kind,
        colours=colours,
        ignore=ignore,
        bad_images="skip",
        missing=missing,
        use_cache=use_cache,
        cache_folder=cache_folder,
    )
    undecodable: tuple[Fault, ...] = ()
    try:
        tree = walk(root)
        manifest = index(progress=progress)
        survey = survey_pictures(root, manifest, most=max_decoded, progress=progress)
        if survey.failures:
            undecodable = tuple((show_path(path), reason) for path, reason in survey.failures)
            can_skip = bad_images == "skip" and manifest.layout not in CONTAINERS
            report_failures(undecodable, findings, severity="warning" if can_skip else "error")
            if can_skip:
                manifest, survey = _again(
                    root, manifest, survey, index(exclude=dict(undecodable)), most=max_decoded, progress=progress
                )
    except DataError as error:
        return report_without_index(root, error, task=task, layout=layout, classes=classes, most=max_decoded)
    harmless = _harmless(tree, task, layout, classes)
    harmless |= {entry for entry in manifest.skipped if entry[1] == BACKGROUND_ONLY}
    faults = [entry for entry in manifest.skipped if entry not in harmless and entry not in undecodable]
    report_faults(faults, findings, severity=severity)
    report_skipped([entry for entry in manifest.skipped if entry in harmless], findings)
    report_headers(survey.infos, survey.mask_infos, findings)
    report_empty_chunks(root, manifest.masks.table(), findings)
    report_turned_pairs(_pairs(manifest), survey.infos, survey.mask_infos, findings)
    (report_volumes if manifest.form.dimensions == 3 else report_pictures)(manifest, survey, findings)
    counts = count_classes(manifest)
    report_classes(manifest, counts, survey, findings)
    report_targets(manifest, findings)
    report_objects(root, manifest, findings)
    find_duplicates(root, manifest, survey, findings)
    _report_reading(manifest, survey, findings)
    split = manifest.column("split")
    return CheckReport(
        root=show_path(str(root)),
        layout=manifest.layout,
        task=manifest.task,
        num_samples=len(manifest),
        num_decoded=len(survey.rows),
        classes=class_rows(manifest, counts, survey),
        splits={SPLITS[code]: int((split == code).sum()) for code in (1, 2, 3, 0) if (split == code).any()},
        findings=findings.ordered(),
        notes=manifest.notes,
        undecodable=undecodable,
    )


def _again(
    root: Path, before: Manifest, survey: Survey, after: Manifest, *, most: int | None, progress: Progress | None
) -> tuple[Manifest, Survey]:
    """Carry a survey over to the manifest without the bad files; where more has changed than rows, look once more."""
    moved, kept = without_failures(survey, before)
    if len(after) != kept.sum() or after.classes != before.classes or after.mask_reading != before.mask_reading:
        moved = survey_pictures(root, after, most=most, progress=progress)
    return after, moved


def _harmless(
    tree: Tree, task: TaskName | None, layout: str | None, classes: tuple[str, ...] | None
) -> frozenset[Fault]:
    """What the walk and the layout set aside without blaming it."""
    found = find_layout(tree, task=task, layout=layout, classes=classes)
    return frozenset(tree.skipped if isinstance(found, Batches) else (*tree.skipped, *found.skipped))


def _pairs(manifest: Manifest) -> Iterator[tuple[str, str]]:
    images, masks = manifest.paths, manifest.masks
    codes = dict.fromkeys(zip(images.codes.tolist(), masks.codes.tolist(), strict=True))
    pairs = ((images.distinct(image), masks.distinct(mask)) for image, mask in codes)
    return (pair for pair in pairs if pair[1])


def _report_reading(manifest: Manifest, survey: Survey, findings: Findings) -> None:
    for note in manifest.notes:
        findings.add("info", "reading", note, _ELSE if manifest.mask_reading is None else _ELSE_MASKS)
    left = len(manifest) - len(survey.rows) - len(survey.failures)
    if left > 0:
        how = "a container is checked as a whole" if manifest.layout in CONTAINERS else "raise max_decoded for all"
        findings.add(
            "info",
            "sample",
            f"Pixels were looked at in {len(survey.rows):,} of {len(manifest):,} samples, evenly spaced.",
            f"Nothing must be done ({how})",
        )
