"""``pixelwise check``: the data doctor."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from pixelwise.cli.options import (
    BadImages,
    Classes,
    Data,
    Ignore,
    Layout,
    MaskMeaning,
    MissingChunks,
    Quiet,
    TaskOption,
    parse_classes,
    parse_ignore,
)

if TYPE_CHECKING:
    from pixelwise.data.check import CheckReport

_MOST_CLASSES = 50


def check(
    data: Data,
    task: TaskOption = None,
    layout: Layout = None,
    classes: Classes = None,
    mask_kind: MaskMeaning = None,
    ignore: Ignore = 255,
    bad_images: BadImages = "refuse",
    missing: MissingChunks = "refuse",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Say what a data set is and everything that is wrong or odd in it, each with its fix (exit code 1 on errors)."""
    from pixelwise.cli.progress import progress_bar
    from pixelwise.data.check import check_data

    with progress_bar("checking", quiet=quiet or as_json) as progress:
        report = check_data(
            data, task=task, layout=layout, classes=parse_classes(classes), mask_kind=mask_kind,
            ignore=parse_ignore(ignore), bad_images=bad_images, missing=missing, progress=progress,
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=1, ensure_ascii=False))
    elif not quiet:
        _print_report(report)
    raise typer.Exit(1 if report.has_errors else 0)


def _print_report(report: "CheckReport") -> None:
    from pixelwise.cli.tables import print_table
    from pixelwise.data.names import counted, show_name

    typer.echo(f"{report.root}: {report.num_samples:,} samples, {report.task or 'unknown task'}")
    for note in report.notes:
        typer.echo(note)
    if report.classes:
        splits = [split for split in ("train", "val", "test", "") if report.splits.get(split)]
        headers = ["class", *(split or "no split" for split in splits)]
        rows: list[list[object]] = [
            [show_name(row.name), *(row.images.get(split, 0) for split in splits)] for row in report.classes
        ]
        if report.classes[0].pixels is not None:
            headers += ["voxels" if report.task == "volumes" else "pixels", "  share"]
            for cells, row in zip(rows, report.classes, strict=True):
                cells += [row.pixels, None if row.pixel_share is None else f"{100 * row.pixel_share:5.1f} %"]
        typer.echo()
        print_table(headers, rows[:_MOST_CLASSES])
        if len(rows) > _MOST_CLASSES:
            typer.echo(f"… and {len(rows) - _MOST_CLASSES} more classes: --json lists all")
    for severity, code, message, paths, fix in report.rows():
        if code == "reading":
            continue  # the notes at the top
        typer.echo(f"\n{severity.upper()} {code}: {message}")
        if paths:
            typer.echo(f"  where: {paths}")
        typer.echo(f"  fix:   {fix}")
    counts = [sum(finding.severity == severity for finding in report.findings) for severity in ("error", "warning")]
    typer.echo(f"\n{counted(counts[0], 'error')}, {counted(counts[1], 'warning')}")
