"""``pixelwise evaluate``, ``predict`` and ``report``: what a finished run is used for."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from pixelwise.cli.options import Device, KeepMemory, Quiet, RunFolder, parse_names
from pixelwise.errors import Interrupted, UsageError

Protocol = Annotated[
    str, typer.Option(metavar="TEXT", help="Views of a picture, such as 10-crop (see docs/how-to/test-protocols.md).")
]


def evaluate(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN [RUN...] [DATA]",
            help="A run, or several to be averaged; then another labelled folder, else the first run's held-out split.",
            show_default=False,
        ),
    ],
    split: Annotated[
        Literal["train", "val", "test", "all"] | None,
        typer.Option(help="Which pictures; by default test, else val, else all."),
    ] = None,
    bad_images: Annotated[
        Literal["refuse", "skip"] | None,
        typer.Option(help="What to do with unreadable pictures of another folder; by default as the run did."),
    ] = None,
    protocol: Protocol = "centre",
    scores: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="Also these, which take longer: hausdorff, hausdorff_95, average_surface_distance, boundary_f, f2.",
        ),
    ] = "",
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="What a picture may take; larger ones go through the network in exact tiles; default: half of what is "
            "free.",
        ),
    ] = None,
    tile: Annotated[int | None, typer.Option(min=1, metavar="PX", help="Longest side of a tile.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    device: Device = "auto",
    keep_memory: KeepMemory = True,
    quiet: Quiet = False,
) -> None:
    """Score a run's model, or several averaged, on labelled pictures, with 95 % intervals."""
    from pixelwise.cli.large import parse_memory
    from pixelwise.cli.progress import progress_bar
    from pixelwise.evaluation import evaluate_run
    from pixelwise.runtime import keep_freed_memory

    if keep_memory:
        keep_freed_memory()
    members, data = _runs_and_data(runs)
    with progress_bar("evaluating", quiet=quiet or as_json) as progress:
        found = evaluate_run(
            members, data, split=split, protocol=protocol, further=[name for name in scores.split(",") if name],
            device=device, bad_images=bad_images, tile=tile,
            memory_bytes=None if memory is None else parse_memory(memory), progress=progress,
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=1, allow_nan=False))
    elif not quiet:
        from pixelwise.cli.scores import print_scores

        print_scores(found)


def predict(
    run: RunFolder,
    inputs: Annotated[list[str], typer.Argument(help="Pictures, folders or patterns.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the results.", show_default=False)],
    table: Annotated[Literal["csv", "jsonl"], typer.Option("--format", help="Of the table of results.")] = "csv",
    overlays: Annotated[bool, typer.Option("--overlays", help="Also draw masks or boxes over the pictures.")] = False,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also write the probability of every class at every pixel as TIFF.")
    ] = False,
    write: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="Further results: geojson or coco (outlines of objects and classes), overlays, probabilities.",
        ),
    ] = "",
    post: Annotated[
        str | None,
        typer.Option(
            metavar="STEPS",
            help="Steps after the network, such as fill_holes,remove_small(area=30), or none; by default the model's.",
        ),
    ] = None,
    pixel_size: Annotated[
        float | None, typer.Option(metavar="MICROMETRES", help="Side of a pixel: areas of objects also in um2.")
    ] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(help="CSV or TSV with what is said of each picture (column path), for models that are told."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results of an earlier prediction.")] = False,
    protocol: Protocol = "centre",
    others: Annotated[
        list[Path] | None,
        typer.Option("--with", metavar="RUN", help="Average with this run's probabilities (repeatable)."),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="What a picture may take; larger ones go through the network in exact tiles; default: half of what is "
            "free, and for large pictures at most 4GB.",
        ),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(min=1, metavar="PX", help="Longest side of a tile.", show_default=False),
    ] = None,
    large_format: Annotated[
        Literal["tiff", "zarr"], typer.Option(help="Large pictures: format of masks and probabilities.")
    ] = "tiff",
    missing: Annotated[
        Literal["refuse", "fill"],
        typer.Option(help="Large pictures: what to do about tiles or chunks that a file leaves out (fill: with 0)."),
    ] = "refuse",
    device: Device = "auto",
    keep_memory: KeepMemory = True,
    quiet: Quiet = False,
) -> None:
    """Predict new pictures; one bad file does not stop the others (exit code 3: some were bad, 2: all).

    Pictures of 16 million pixels or more, Zarr and mapped arrays are predicted tile by tile; the same command goes on
    with one that was stopped.
    """
    from pixelwise.cli.large import LargePictures, parse_memory
    from pixelwise.cli.progress import progress_bar
    from pixelwise.predict.files import predict_files
    from pixelwise.predict.large import LargeOptions
    from pixelwise.predict.predictor import Predictor
    from pixelwise.predict.results import OUTLINES
    from pixelwise.runtime import keep_freed_memory
    from pixelwise.training.signals import StopRequest

    if keep_memory:
        keep_freed_memory()
    further = parse_names(write)
    memory_bytes = None if memory is None else parse_memory(memory)
    options = LargeOptions(
        memory_bytes=memory_bytes, tile=tile, fmt=large_format, missing=missing, overwrite=overwrite,
        probabilities=probabilities or "probabilities" in further,
        outlines=tuple(name for name in OUTLINES if name in further), pixel_size_um=pixel_size,
    )  # fmt: skip
    predictor = Predictor.load(
        [run, *(others or [])],
        device=device,
        protocol=protocol,
        post=post,
        tile=tile,
        memory_bytes=memory_bytes,
    )
    with StopRequest() as stop:
        stop.defer()  # the picture or tile at hand is finished, and what was done is kept
        tiles = LargePictures(predictor, out, options, stop, device=device, quiet=quiet)
        with progress_bar("predicting", quiet=quiet) as progress:
            summary = predict_files(
                predictor, inputs, out, fmt=table, overlays=overlays, probabilities=probabilities,
                write=further, pixel_size_um=pixel_size, metadata=metadata, overwrite=overwrite, tiles=tiles,
                progress=progress,
                should_stop=lambda: stop.signal_number is not None,
            )  # fmt: skip
    for picture, reason in summary.failures:
        typer.echo(f"pixelwise: {reason if reason.startswith(picture) else f'{picture}: {reason}'}", err=True)
    if not quiet:
        notes = "".join(f"; {note}: {count}" for note, count in summary.notes.items())
        notes += "" if protocol == "centre" else f"; protocol {predictor.protocol}"
        notes += f"; {len(predictor.models)} runs averaged" if others else ""
        results = f"Results: {summary.table}" if summary.predicted else "No results"
        typer.echo(f"{summary.predicted} predicted, {len(summary.failures)} failed{notes}. {results}")
    if stop.signal_number is not None:
        raise Interrupted(stop.signal_number)
    raise typer.Exit(summary.exit_code)


def _runs_and_data(folders: list[Path]) -> tuple[list[Path], Path | None]:
    """Tell runs from the data folder that may stand behind them: the last of several, if it holds no run and no model.

    Raises:
        UsageError: a folder between the first and the last is no run; the last one is not there.

    """
    from pixelwise.runs.folder import CONFIG_NAME, MODEL_FOLDER
    from pixelwise.runs.model import RECORD_FILE

    marks = (CONFIG_NAME, RECORD_FILE, f"{MODEL_FOLDER}/{RECORD_FILE}")
    for folder in folders[1:]:
        if any((folder / mark).is_file() for mark in marks):
            continue
        if folder is not folders[-1]:
            raise UsageError(
                f"{folder} holds no run", expected="runs, and at most one data folder behind them", do="Check the order"
            )
        if not folder.exists():
            raise UsageError(f"{folder} is not there", expected="a run or a data folder", do="Check the path")
        return folders[:-1], folder
    return folders, None


def report(
    run: RunFolder,
    out: Annotated[Path | None, typer.Option(help="The HTML file; by default report.html in the run.")] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Also write the run's events for TensorBoard into this folder.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write one self-contained HTML file about a run: data, curves, scores, best and worst predictions."""
    from pixelwise.reporting import write_report, write_tensorboard

    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {out}", expected="a file that ends in .html", do=f"For example --out {out}.html")
    written = write_report(run, out)
    if tensorboard is not None:
        write_tensorboard(run, tensorboard)
    if not quiet:
        typer.echo(f"Report: {written.resolve().as_uri()}")
