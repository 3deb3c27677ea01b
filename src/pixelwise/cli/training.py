"""``pixelwise train`` and ``pixelwise resume``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pixelwise.cli.options import (
    BadImages,
    Classes,
    Data,
    Device,
    Ignore,
    KeepMemory,
    Layout,
    MaskMeaning,
    MissingChunks,
    Quiet,
    RunFolder,
    Settings,
    TaskOption,
    parse_batch,
    parse_class_weights,
    parse_classes,
    parse_fractions,
    parse_ignore,
    parse_names,
    parse_settings,
)
from pixelwise.errors import UsageError

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
    name: Annotated[str | None, typer.Option(help="The run's name; by default the last part of its folder.")] = None,
    task: TaskOption = None,
    layout: Layout = None,
    classes: Classes = None,
    mask_kind: MaskMeaning = None,
    ignore: Ignore = 255,
    split: Annotated[
        str, typer.Option(metavar="TRAIN,VAL,TEST", help="Shares, where the folder has no splits of its own.")
    ] = "0.8,0.1,0.1",
    group_by: Annotated[
        str | None, typer.Option(help="Keep pictures of one group in one split: file, folder, folder:N or column.")
    ] = None,
    metadata: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN,COLUMN", help="Columns of a table in DATA that the network is told of each picture (FiLM)."
        ),
    ] = None,
    class_weights: Annotated[
        str | None,
        typer.Option(
            help="Factors in the loss: one number for each class (1,2.5), or balanced or enet (masks): rare count more."
        ),
    ] = None,
    separate: Annotated[
        Literal["border", "weights", "none"] | None,
        typer.Option(help="Instances: keep touching objects apart by their rims, by the U-Net's weights, or not."),
    ] = None,
    post: Annotated[
        str | None,
        typer.Option(
            metavar="STEPS",
            help="Steps after the network, stored with the model (see docs/reference/post-processing.md).",
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Start from these weights: .safetensors, .pth, or a run.")
    ] = None,
    adapt: Annotated[
        str | None,
        typer.Option(
            metavar="head,input", help="Fit the weights to other classes (a fresh head), to other channels, or to both."
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            metavar="SUM", help="Such as ce+dice or 0.5*bce+tversky(alpha=0.3,beta=0.7): see docs/reference/losses.md."
        ),
    ] = None,
    freeze: Annotated[
        str | None,
        typer.Option(
            metavar="head|stage:N|none", help="What does not learn: all before the head, or the first N stages."
        ),
    ] = None,
    bad_images: BadImages = "refuse",
    missing: MissingChunks = "refuse",
    batch: Annotated[str, typer.Option(help="Pictures per forward pass: a number, or auto.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of weights, splits, order, augmentation, dropout.")] = 0,
    device: Device = "auto",
    precision: Annotated[Literal["auto", "float32", "bfloat16"], typer.Option(help="Of the arithmetic.")] = "auto",
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that prepare batches; the result does not depend on it.")
    ] = 0,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Refuse GPU kernels that do not repeat.")
    ] = False,
    checkpoint_minutes: Annotated[float, typer.Option(min=0, help="Between checkpoints within an epoch.")] = 5.0,
    resume_existing: Annotated[
        bool, typer.Option("--resume-existing", help="If a run of the same request lies in the folder, go on with it.")
    ] = False,
    keep_memory: KeepMemory = True,
    quiet: Quiet = False,
) -> None:
    """Train a network on a folder of pictures, evaluate it, and keep everything in a run folder."""
    from pixelwise.training.session import train as start
    from pixelwise.training.source import DataOptions

    options = DataOptions(
        task=task, layout=layout, classes=parse_classes(classes), mask_kind=mask_kind, ignore=parse_ignore(ignore),
        missing=missing,
        group_by=group_by, fractions=parse_fractions(split), metadata=parse_names(metadata),
    )  # fmt: skip
    if loss is not None and not loss.strip():
        raise UsageError("--loss is empty", expected="a sum such as ce+dice", do="Leave --loss out for the task's own")
    shorthands = [
        f"{key}={value}"
        for key, value in (("loss", loss), ("freeze", freeze), ("separate", separate), ("post", post))
        if value is not None
    ]
    run = start(
        data,
        net,
        recipe=recipe,
        settings=parse_settings([*(settings or []), *shorthands]),
        out=out,
        name=name,
        options=options,
        class_weights=parse_class_weights(class_weights),
        weights=weights,
        adapt=parse_names(adapt),
        bad_images=bad_images,
        batch=parse_batch(batch),
        seed=seed,
        device=device,
        precision=precision,
        workers=workers,
        deterministic=deterministic,
        checkpoint_seconds=60 * checkpoint_minutes,
        keep_memory=keep_memory,
        on_existing="resume" if resume_existing else "refuse",
        quiet=quiet,
    )
    _show(run, quiet=quiet)


def resume(
    run: RunFolder,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change what may change: patience, and epochs where schedule=constant or exponential (repeatable).",
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Where the data lie now, if they were moved.")] = None,
    device: Annotated[
        str | None, typer.Option(help="Another device: the same bits are then not to be expected.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Another number of processes that prepare batches.")
    ] = None,
    keep_memory: KeepMemory = True,
    quiet: Quiet = False,
) -> None:
    """Go on with an interrupted run, to the same bits as if it had not been interrupted."""
    from pixelwise.training.session import resume as go_on

    finished = go_on(
        run, settings=parse_settings(settings), data=data, device=device, workers=workers, keep_memory=keep_memory,
        quiet=quiet,
    )  # fmt: skip
    _show(finished, quiet=quiet)


def _show(run: "Run", *, quiet: bool) -> None:
    if quiet:
        return
    from pixelwise.cli.scores import print_scores
    from pixelwise.evaluation.scores import Scores
    from pixelwise.storage.atomic import read_json

    print_scores(Scores.from_json(read_json(run.path / "scores.json")))
    typer.echo(f"\nRun: {run.path}    next: pixelwise report {run.path}")
