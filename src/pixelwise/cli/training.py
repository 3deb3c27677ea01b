"""``pixelwise train`` and ``pixelwise resume``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pixelwise.cli.options import (
    Data,
    Device,
    KeepMemory,
    Layout,
    MaskMeaning,
    Quiet,
    RunFolder,
    Settings,
    parse_batch,
    parse_fractions,
    parse_settings,
)

if TYPE_CHECKING:
    from pixelwise.runs.folder import Run


def train(
    data: Data,
    net: Annotated[
        str | None,
        typer.Option(help="Network (`pixelwise nets` lists them); by default resnet20_cifar or resnet18, or unet16."),
    ] = None,
    recipe: Annotated[str, typer.Option(help="How to train (see docs/reference/recipes.md).")] = "quick",
    settings: Settings = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; by default runs/DATA-NETWORK.")] = None,
    task: Annotated[
        Literal["classification", "segmentation"] | None, typer.Option(help="By default found by looking.")
    ] = None,
    layout: Layout = None,
    mask_kind: MaskMeaning = None,
    split: Annotated[
        str, typer.Option(metavar="TRAIN,VAL,TEST", help="Shares, where the folder has no splits of its own.")
    ] = "0.8,0.1,0.1",
    group_by: Annotated[
        str | None, typer.Option(help="Keep pictures of one group in one split: folder, folder:N or column.")
    ] = None,
    class_weights: Annotated[
        Literal["balanced"] | None, typer.Option(help="balanced: rare classes count more in the loss.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Start from these weights (.safetensors or .pth).")] = None,
    bad_images: Annotated[
        Literal["refuse", "skip"], typer.Option(help="What to do with unreadable pictures.")
    ] = "refuse",
    batch: Annotated[str, typer.Option(help="Pictures per forward pass: a number, or auto.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of weights, splits, order, augmentation, dropout.")] = 0,
    device: Device = "auto",
    precision: Annotated[Literal["auto", "float32", "bfloat16"], typer.Option(help="Of the arithmetic.")] = "auto",
    workers: Annotated[int, typer.Option(help="Processes that prepare batches; the result does not depend on it.")] = 0,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Refuse GPU kernels that do not repeat.")
    ] = False,
    checkpoint_minutes: Annotated[float, typer.Option(help="Between checkpoints within an epoch.")] = 5.0,
    keep_memory: KeepMemory = True,
    quiet: Quiet = False,
) -> None:
    """Train a network on a folder of pictures, evaluate it, and keep everything in a run folder."""
    from pixelwise.training.session import train as start
    from pixelwise.training.start import DataOptions

    options = DataOptions(
        task=task, layout=layout, mask_kind=mask_kind, group_by=group_by, fractions=parse_fractions(split)
    )
    run = start(
        data,
        net,
        recipe=recipe,
        settings=parse_settings(settings),
        out=out,
        options=options,
        class_weights=class_weights,
        weights=weights,
        bad_images=bad_images,
        batch=parse_batch(batch),
        seed=seed,
        device=device,
        precision=precision,
        workers=workers,
        deterministic=deterministic,
        checkpoint_seconds=60 * checkpoint_minutes,
        keep_memory=keep_memory,
        quiet=quiet,
    )
    _show(run, quiet=quiet)


def resume(
    run: RunFolder,
    settings: Settings = None,
    data: Annotated[Path | None, typer.Option(help="Where the data lie now, if they were moved.")] = None,
    device: Annotated[
        str | None, typer.Option(help="Another device: the same bits are then not to be expected.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Another number of processes that prepare batches.")] = None,
    quiet: Quiet = False,
) -> None:
    """Go on with an interrupted run, to the same bits as if it had not been interrupted."""
    from pixelwise.training.session import resume as go_on

    finished = go_on(run, settings=parse_settings(settings), data=data, device=device, workers=workers, quiet=quiet)
    _show(finished, quiet=quiet)


def _show(run: "Run", *, quiet: bool) -> None:
    if quiet:
        return
    from pixelwise.cli.scores import print_scores
    from pixelwise.evaluation.scores import Scores
    from pixelwise.storage.atomic import read_json

    print_scores(Scores.from_json(read_json(run.path / "scores.json")))
    typer.echo(f"\nRun: {run.path}    next: pixelwise report {run.path}")
