"""``pixelwise predict`` for pictures larger than memory: which they are, and what is said of each."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pixelwise.errors import DataError, Interrupted, UsageError

if TYPE_CHECKING:
    from pixelwise.predict.large import LargeOptions, LargeSummary
    from pixelwise.predict.predictor import Predictor
    from pixelwise.training.signals import StopRequest

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {f"{letter}i": 2 ** (10 * power) for power, letter in enumerate("kmgt", start=1)}
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", re.IGNORECASE)


def parse_memory(text: str) -> int:
    """Read ``4GB``, ``1.5GiB`` or a number of bytes.

    Raises:
        UsageError: something else.

    """
    found = _MEMORY.fullmatch(text.strip())
    if found is None or found[2].lower() not in _UNITS:
        raise UsageError(f"--memory {text}", expected="a number with its unit", do="For example --memory 4GB")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def split_large(predictor: "Predictor", inputs: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Tell the inputs that are predicted tile by tile from the others; only files that are named outright are.

    Large pictures that the model resizes, or that several models or views are averaged over, are predicted whole.
    """
    from pixelwise.data.regions import is_array, is_large
    from pixelwise.predict.protocols import CENTRE

    model = predictor.model
    is_tiled = model.spec.task == "segmentation" and model.preprocess.resize == "none"
    is_tiled = is_tiled and len(predictor.models) == 1 and predictor.protocol == CENTRE
    large = [given for given in inputs if is_array(Path(given)) or (is_tiled and is_large(Path(given)))]
    return [Path(given) for given in large], [given for given in inputs if given not in large]


def predict_large_pictures(
    predictor: "Predictor",
    paths: Sequence[Path],
    out: Path,
    options: "LargeOptions",
    stop: "StopRequest",
    *,
    device: str,
    quiet: bool,
) -> int:
    """Predict large pictures one after the other; return how many could not be.

    Raises:
        UsageError: several models or views; see :func:`~pixelwise.predict.large.predict_large`.
        OutputError: the disk is full.
        Interrupted: a signal came; what is done is kept.

    """
    from pixelwise.cli.progress import progress_bar
    from pixelwise.predict.large import predict_large
    from pixelwise.predict.member import Member
    from pixelwise.predict.protocols import CENTRE

    if paths and (len(predictor.models) > 1 or predictor.protocol != CENTRE):
        raise UsageError(
            f"{paths[0]} is predicted tile by tile with {len(predictor.models)} models and the protocol "
            f"{predictor.protocol}",
            expected="one model, and the picture as it is",
            do="Leave out --with and --protocol",
        )
    member, failed = Member(predictor.model, device, 1, CENTRE), 0
    for path in paths:
        try:
            with progress_bar(f"predicting {path.name}", quiet=quiet) as progress:
                summary = predict_large(
                    member,
                    path,
                    out,
                    options,
                    pipeline=predictor.pipeline,
                    progress=progress,
                    should_stop=lambda: stop.signal_number is not None,
                )
        except DataError as error:
            failed += 1
            typer.echo(f"pixelwise: {path}: {error}", err=True)
            continue
        if not summary.is_complete:
            assert stop.signal_number is not None  # nothing else stops it
            raise Interrupted(stop.signal_number, _what_is_left(path, summary))
        if not quiet:
            typer.echo(describe(path, summary))
    return failed


def describe(path: Path, summary: "LargeSummary") -> str:
    """Say in a line what came of a picture."""
    from pixelwise.predict.large import peak_memory_bytes

    plan, total = summary.plan, max(sum(summary.areas_px.values()), 1)
    areas = ", ".join(f"{name} {area / total:.1%}" for name, area in summary.areas_px.items())
    size = " x ".join(f"{side:,}" for side in plan.size)
    notes = "".join(f"; {note}" for note in summary.notes)
    if summary.counts is not None:
        areas = ", ".join(f"{name} {count:,}" for name, count in summary.counts.items())
    return (
        f"{path}: {size} px in {plan.summary()}; {plan.redundancy:.2f} pixels computed per pixel kept{notes}. {areas}. "
        f"{summary.seconds:,.0f} s, at most {peak_memory_bytes() / 1e9:.2f} GB. Results: {summary.places.summary}"
    )


def _what_is_left(path: Path, summary: "LargeSummary") -> str:
    done, total = summary.tiles_done, len(summary.plan)
    return f"{done:,} of {total:,} tiles of {path} are done and kept: the same command goes on from there."
