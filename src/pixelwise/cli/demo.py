"""``pixelwise demo``: the main job end to end on bundled real data."""

from pathlib import Path
from typing import Annotated

import typer

from pixelwise.cli.options import Quiet


def demo(
    out: Annotated[Path, typer.Option(help="Folder for data, runs, predictions and reports.")] = Path("demo"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier demonstration.")] = False,
    seed: Annotated[int, typer.Option(help="Of both runs.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the work, to see that everything runs.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train a classifier and a segmenter on bundled real pictures, score them, and explain them in reports."""
    from pixelwise.demo import FULL, QUICK, run_demo

    result = run_demo(
        out,
        overwrite=overwrite,
        seed=seed,
        size=QUICK if quick else FULL,
        say=None if quiet else typer.echo,
        quiet=quiet,
    )
    accuracy, mean_iou = result.accuracy, result.mean_iou
    typer.echo(f"\nLeNet, held-out accuracy:   {_show(accuracy.value, accuracy.low, accuracy.high, accuracy.n)}")
    typer.echo(f"U-Net, held-out mean IoU:   {_show(mean_iou.value, mean_iou.low, mean_iou.high, mean_iou.n)}")
    typer.echo(f"Predicted masks, drawn:     {result.overlays}")
    for path in result.reports:
        typer.echo(f"Report:                     {path.resolve().as_uri()}")


def _show(value: float | None, low: float | None, high: float | None, n: int) -> str:
    if value is None:
        return "undefined"
    interval = "" if low is None or high is None else f" (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
    return f"{100 * value:.1f} %{interval}, {n} pictures"
