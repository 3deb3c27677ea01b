"""``pixelwise predict`` for pictures larger than memory: which they are, and what is said of each."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from pixelwise.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from pixelwise.data.metadata import Cells
    from pixelwise.predict.inputs import InputItem
    from pixelwise.predict.large import LargeOptions, LargeRow, LargeSummary
    from pixelwise.predict.member import Member
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


class LargePictures:
    """Predicts what is larger than memory, or read by region only; see :class:`~pixelwise.predict.files.TilePredictor`.

    Large pictures that the model resizes, or that several models or views are averaged over, are predicted whole.

    Args:
        predictor: the models.
        out: folder of the results.
        options: memory, tiles, formats.
        stop: asked between tiles.
        device: of the model.
        quiet: say nothing.

    """

    def __init__(
        self,
        predictor: "Predictor",
        out: Path,
        options: "LargeOptions",
        stop: "StopRequest",
        *,
        device: str,
        quiet: bool,
    ) -> None:
        from pixelwise.predict.protocols import CENTRE

        model = predictor.model
        self._predictor, self._out, self._options, self._stop = predictor, out, options, stop
        self._device, self._quiet = device, quiet
        self._is_single = len(predictor.models) == 1 and predictor.protocol == CENTRE
        self._takes_tiles = self._is_single and model.spec.task == "segmentation" and model.preprocess.resize == "none"

    def is_large(self, path: Path) -> bool:
        """Tell whether a picture is predicted tile by tile."""
        from pixelwise.data.regions import is_array, is_large

        dimensions: Literal[2, 3] = 3 if self._predictor.model.spec.dimensions == 3 else 2
        return is_array(path) or (self._takes_tiles and is_large(path, dimensions))

    @cached_property
    def _member(self) -> "Member":
        from pixelwise.predict.member import Member
        from pixelwise.predict.protocols import CENTRE

        return Member(self._predictor.model, self._device, 1, CENTRE)

    def predict(
        self, item: "InputItem", cells: "Cells | None", *, keep_finished: bool, begins: Callable[[], object]
    ) -> tuple[str, "LargeRow"]:
        """Predict a picture, and say what came of it.

        Raises:
            UsageError: several models or views; see :func:`~pixelwise.predict.large.predict_large`.
            DataError: the picture cannot be used.
            OutputError: the disk is full.
            Interrupted: a signal came; what is done is kept.

        """
        from pixelwise.cli.progress import progress_bar
        from pixelwise.predict.large import predict_large

        if not self._is_single:
            raise UsageError(
                f"{item.path} is predicted tile by tile with {len(self._predictor.models)} models and the protocol "
                f"{self._predictor.protocol}",
                expected="one model, and the picture as it is",
                do="Leave out --with and --protocol",
            )
        with progress_bar(f"predicting {item.path.name}", quiet=self._quiet) as progress:
            summary = predict_large(
                self._member,
                item.path,
                self._out,
                replace(self._options, keep_finished=keep_finished),
                pipeline=self._predictor.pipeline,
                target=item.target,
                cells=cells,
                begins=begins,
                progress=progress,
                should_stop=lambda: self._stop.signal_number is not None,
            )
        if not summary.is_complete:
            assert self._stop.signal_number is not None  # nothing else stops it
            raise Interrupted(self._stop.signal_number, _what_is_left(item.path, summary))
        if not self._quiet:
            typer.echo(describe(item.path, summary))
        places = summary.places
        return (places.labels or places.mask).relative_to(self._out).as_posix(), summary.row


def describe(path: Path, summary: "LargeSummary") -> str:
    """Say in a line what came of a picture."""
    from pixelwise.predict.large import peak_memory_bytes

    plan, total, seconds = summary.plan, max(sum(summary.areas_px.values()), 1), summary.outcome.seconds
    areas = ", ".join(f"{name} {area / total:.1%}" for name, area in summary.areas_px.items())
    size = " x ".join(f"{side:,}" for side in plan.size)
    notes = "".join(f"; {note}" for note in summary.notes)
    if summary.counts is not None:
        areas = ", ".join(f"{name} {count:,}" for name, count in summary.counts.items())
    return (
        f"{path}: {size} px in {plan.summary()}; {plan.redundancy:.2f} pixels computed per pixel kept{notes}. {areas}. "
        f"{seconds:,.0f} s, at most {peak_memory_bytes() / 1e9:.2f} GB. Results: {summary.places.summary}"
    )


def _what_is_left(path: Path, summary: "LargeSummary") -> str:
    done, total = summary.tiles_done, len(summary.plan)
    return f"{done:,} of {total:,} tiles of {path} are done and kept: the same command goes on from there."
