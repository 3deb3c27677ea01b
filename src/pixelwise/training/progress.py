"""What a person sees while a run goes on: a bar on a terminal, one line per epoch elsewhere, or nothing."""

import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TextIO

from torch import Tensor

_REDRAW_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class EpochLine:
    """The outcome of an epoch, as it is told."""

    epoch: int
    epochs: int
    train_loss: float
    val_loss: float | None
    metric: str
    value: float | None
    images_per_second: float
    seconds_left: float
    is_best: bool
    noun: str = "images"
    """What the network is shown, for the speed."""

    def __str__(self) -> str:
        parts = [f"epoch {self.epoch}/{self.epochs}", f"loss {self.train_loss:.4f}"]
        best = " (best)" if self.is_best else ""
        if self.val_loss is not None:
            parts.append(f"val loss {self.val_loss:.4f}{best if self.value is None else ''}")
            parts.append(f"no {self.metric}" if self.value is None else f"{self.metric} {self.value:.4f}{best}")
        parts += [format_rate(self.images_per_second, self.noun), f"{format_seconds(self.seconds_left)} left"]
        return "  ".join(parts)


class Progress(Protocol):
    """Told of every batch and every epoch."""

    def batch(self, *, epoch: int, done: int, total: int, images: int, loss: Tensor, noun: str = "images") -> None:
        """Hear of a batch; ``loss`` may still be on its way on the device, so reading it costs a wait."""

    def epoch(self, line: EpochLine) -> None:
        """Hear of a finished epoch."""

    def say(self, message: str) -> None:
        """Hear of something else that a person should know."""

    def close(self) -> None:
        """Leave the terminal in order."""


class Silent:
    """Tells nothing."""

    def batch(self, *, epoch: int, done: int, total: int, images: int, loss: Tensor, noun: str = "images") -> None:
        """Tell nothing."""

    def epoch(self, line: EpochLine) -> None:
        """Tell nothing."""

    def say(self, message: str) -> None:
        """Tell nothing."""

    def close(self) -> None:
        """Tell nothing."""


class Lines(Silent):
    """Writes one line per epoch."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def epoch(self, line: EpochLine) -> None:
        """Write the epoch's line."""
        self.say(str(line))

    def say(self, message: str) -> None:
        """Write a line; where that fails (closed terminal, full disk), the training is worth more than the line."""
        with suppress(OSError):
            print(message, file=self._stream, flush=True)


class Bar:
    """Draws a bar with loss, images per second and time left of the epoch, above it the finished epochs."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        console = Console(file=stream)
        columns = (
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f}  {task.fields[metric]}  {task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        self._bar = RichProgress(*columns, console=console, auto_refresh=False, transient=True)
        self._task = self._bar.add_task("", total=None, epoch=1, loss=float("nan"), metric="", rate="")
        self._epoch, self._images, self._metric = -1, 0, ""
        self._began = self._drawn = time.monotonic()

    def batch(self, *, epoch: int, done: int, total: int, images: int, loss: Tensor, noun: str = "images") -> None:
        """Move the bar, at most four times a second."""
        now = time.monotonic()
        if epoch != self._epoch:
            self._bar.start()  # only now: what is said before the first batch needs no bar
            self._bar.reset(self._task, total=total)
            # The clock starts when the first batch is done, so that batch is not counted.
            self._epoch, self._images, self._began, self._drawn = epoch, -images, now, 0.0
        self._images += images
        if now - self._drawn < _REDRAW_SECONDS:
            return
        self._drawn = now
        rate = self._images / (now - self._began) if now > self._began else 0.0
        self._bar.update(
            self._task, completed=done, epoch=epoch + 1, loss=loss.item(), metric=self._metric,
            rate=format_rate(rate, noun), refresh=True,
        )  # fmt: skip

    def epoch(self, line: EpochLine) -> None:
        """Write the epoch's line above the bar."""
        self._metric = "" if line.value is None else f"{line.metric} {line.value:.4f}"
        self.say(str(line))

    def say(self, message: str) -> None:
        """Write a line above the bar."""
        self._bar.console.print(message, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


def tell(progress: Progress, lines: Iterable[str]) -> None:
    """Say one line after another."""
    for line in lines:
        progress.say(line)


def make_progress(*, is_quiet: bool, stream: TextIO | None = None) -> Progress:
    """Return a bar when ``stream`` (standard error) is a terminal, else lines; nothing when asked for quiet."""
    stream = stream or sys.stderr
    if is_quiet:
        return Silent()
    return Bar(stream) if stream.isatty() else Lines(stream)


def format_rate(rate: float, noun: str) -> str:
    """Return a speed as ``1,658 images/s``; with two digits below 10: ``3.0 images/s``, ``0.43 patches/s``."""
    if rate >= 9.95:
        return f"{rate:,.0f} {noun}/s"
    return f"{rate:.1f} {noun}/s" if rate >= 0.995 else f"{rate:.2g} {noun}/s"


def format_seconds(seconds: float) -> str:
    """Return a duration as ``42 s``, ``3:20 min`` or ``2:05 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
