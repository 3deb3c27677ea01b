"""Standard output whose failures are told apart from those of other files: full, or with nobody left to read it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, TextIO, cast

from pixelwise.errors import Interrupted, OutputError

SIGPIPE = 13
"""The signal that a program gets for writing to a pipe that nobody reads; Windows has no such name for it."""


class GuardedOutput:
    """A stream that raises this program's own errors where writing fails, from the first failure to the end."""

    def __init__(self, stream: IO[Any]) -> None:
        self._stream = stream
        self._failure: Interrupted | OutputError | None = None

    @property
    def buffer(self) -> "GuardedOutput":
        """The bytes below a stream of text, guarded as well."""
        return GuardedOutput(self._stream.buffer)  # type: ignore[attr-defined] # text has one

    def write(self, content: str | bytes) -> int:
        """Write as the stream does.

        Raises:
            Interrupted: by SIGPIPE: whoever read this went away.
            OutputError: it cannot be written.

        """
        with self._translated():
            return self._stream.write(content)

    def flush(self) -> None:
        """Flush as the stream does; raises as :meth:`write`."""
        with self._translated():
            self._stream.flush()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as fault:
            _discard_rest(self._stream)
            what = f"Standard output could not be written: {fault.strerror}"
            is_closed = isinstance(fault, BrokenPipeError)
            self._failure = Interrupted(SIGPIPE) if is_closed else OutputError(what, do="Free space, or redirect it")
        if self._failure is not None:  # also later: some who write swallow the first failure
            raise self._failure

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def guarded_output() -> Iterator[None]:
    """Guard ``sys.stdout``, where there is one, and flush it at the end."""
    stream = sys.stdout
    if stream is None:
        yield
        return
    guard = GuardedOutput(stream)
    sys.stdout = cast("TextIO", guard)
    try:
        yield
    finally:
        sys.stdout = stream
        guard.flush()


def complain(message: str) -> None:
    """Write a line to standard error, if that can be written."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(f"{message}\n")
        sys.stderr.flush()
    except OSError:
        _discard_rest(sys.stderr)


def _discard_rest(stream: IO[Any]) -> None:
    """Let what is still in the buffer go nowhere; else Python would try again at its end, and complain."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
