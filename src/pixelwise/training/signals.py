"""Being asked to stop: SIGTERM from a scheduler, SIGINT from Ctrl-C.

Before training there is nothing to save, and the signal stops the program where it stands. During training it is only
noted; the loop polls between batches, in training and validation alike, writes a checkpoint and stops. A second signal
is not caught: it ends the process at once.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from pixelwise.errors import Interrupted, RunError
from pixelwise.runs.folder import CONFIG_NAME
from pixelwise.runs.journal import read_journal
from pixelwise.training import distributed

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Let an interruption say what there is to go on with: the run in ``folder``, if it has become one."""
    try:
        yield
    except Interrupted as stop:
        raise Interrupted(stop.signal_number, _what_is_left(folder)) from None


def _what_is_left(folder: Path) -> str:
    if not (folder / CONFIG_NAME).exists():
        return "The run had not begun: nothing was written."
    try:
        last = (read_journal(folder) or [{"event": "start", "epoch": 0}])[-1]
    except RunError:  # the interruption is the news, and resuming will say what is wrong
        return f"`pixelwise resume {folder}` goes on."
    if last["event"] == "end":
        return f"Training was done: `pixelwise resume {folder}` evaluates the model."
    return f"`pixelwise resume {folder}` goes on from epoch {last['epoch'] + 1}."


class StopRequest:
    """Catches the stop signals while it is entered (in the main thread; elsewhere Python allows no handlers)."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._is_deferred = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()

    def defer(self) -> None:
        """From here on only note a signal; :meth:`poll` acts on it."""
        self._is_deferred = True

    def act_at_once(self) -> None:
        """From here on a signal raises :class:`Interrupted` where it arrives; so does one that was already noted."""
        self._is_deferred = False
        self.poll()

    def poll(self) -> None:
        """Stop here if a signal has come, to this process or to another one of the same training.

        Raises:
            Interrupted: carries the signal's number.

        """
        number = distributed.largest(self.signal_number or 0)
        if number:
            raise Interrupted(number)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.signal_number = number
        self._restore()
        if not self._is_deferred:
            raise Interrupted(number)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type] # what signal.signal returned
        self._before = {}
