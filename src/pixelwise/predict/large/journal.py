"""What a prediction has on the disk, so that another process can go on with it.

One JSON object a line, appended and fsynced: first what is predicted (the digests of plan, model and input, and the
form of the outputs), then, after each tile, the blocks of the outputs that it completed, with the number of pixels of
each class in them. A block is noted down only when it is on the disk, so a line never promises what is not there. The
file is locked as long as a process works on it, and removed when the prediction is whole.
"""

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pixelwise.data.names import show_path
from pixelwise.data.regions.sink import Place, Record
from pixelwise.errors import RunError, UsageError
from pixelwise.storage.atomic import make_folder, output_error

FORMAT = 3
_EARLIER_FORMAT = 2
"""Told the same, in a file that was called after the format of the outputs."""
_MEANING = {
    "plan": "its tiles (--memory, --tile)",
    "model": "the model",
    "input": "the input file",
    "outputs": "the outputs (--large-format, --probabilities)",
    "post": "the steps after the network (--post)",
    "told": "what is said of the picture (--metadata)",
    "format": "the version of pixelwise",
}


class RunJournal:
    """Notes of one prediction.

    Args:
        path: the file.
        begun: what is predicted, as plain JSON; a journal of something else is refused.
        prepare: called while the file is locked, before anything is gone on with (True) or begun anew (False).
        overwrite: begin anew instead of refusing a journal of something else.

    Raises:
        UsageError: the journal belongs to another prediction.
        RunError: another process is at work on it, or it is damaged.
        OutputError: it cannot be written.

    """

    def __init__(self, path: Path, begun: dict[str, Any], prepare: Callable[[bool], None], *, overwrite: bool) -> None:
        self.path = path
        make_folder(path.parent)
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise output_error(path, error) from error
        try:
            self._lock()
            begun = {"format": FORMAT, **begun}
            if overwrite and not self._begins_with(begun):
                os.ftruncate(self._handle, 0)
            self.entries = self._read()
            self.is_resumed = bool(self.entries)
            if self.is_resumed:
                self._refuse_other(self.entries.pop(0), begun)
            prepare(self.is_resumed)
            if not self.is_resumed:
                self.add(begun)
        except BaseException:
            os.close(self._handle)
            raise

    @property
    def remedy(self) -> str:
        """What to do where what was left cannot be used."""
        return f"Remove {show_path(str(self.path))} to begin anew"

    def written(self, output: str) -> dict[Place, Record] | None:
        """Return the blocks of an output that are on the disk; None where nothing was begun."""
        if not self.is_resumed:
            return None
        return {tuple(place): tuple(record) for entry in self.entries for place, record in entry[output]}

    def add(self, entry: dict[str, Any]) -> None:
        """Append a line and bring it to the disk.

        Raises:
            OutputError: the disk is full.

        """
        content = (json.dumps(entry, separators=(",", ":"), allow_nan=False) + "\n").encode()
        end = os.lseek(self._handle, 0, os.SEEK_END)
        try:
            while content:
                content = content[os.write(self._handle, content) :]
            os.fsync(self._handle)
        except OSError as error:
            os.ftruncate(self._handle, end)  # half a line would end what may follow it
            raise output_error(self.path, error) from error

    def remove(self) -> None:
        """Forget the prediction, which is whole."""
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._handle)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError(
                f"{show_path(str(self.path))} is in use: another process predicts the same picture",
                expected="one process for each picture",
                do="Wait until it ends, or choose another --out",
            ) from None

    def _begins_with(self, begun: dict[str, Any]) -> bool:
        found = first_entry(self.path)
        return found is not None and not _differences(found, begun)

    def _read(self) -> list[dict[str, Any]]:
        """Return the lines; a last one that was cut short is cut off."""
        content = os.pread(self._handle, os.fstat(self._handle).st_size, 0)
        whole = content.rfind(b"\n") + 1
        os.ftruncate(self._handle, whole)
        try:
            entries = [json.loads(line) for line in content[:whole].splitlines()]
            if all(isinstance(entry, dict) for entry in entries):
                return entries
        except ValueError:
            pass
        raise RunError(
            f"{show_path(str(self.path))} is damaged",
            expected="the notes of a prediction that was stopped",
            do=self.remedy,
        )

    def _refuse_other(self, found: dict[str, Any], begun: dict[str, Any]) -> None:
        differing = _differences(found, begun)
        if differing:
            raise UsageError(
                f"{show_path(str(self.path.parent))} holds the unfinished output of another prediction, which differs "
                f"in {', '.join(differing)}",
                expected="the model, input and options that it was begun with",
                do="Give the same command again to go on with it, choose another --out, or begin anew with --overwrite",
            )


def first_entry(path: Path) -> dict[str, Any] | None:
    """Return what a journal says that it was begun with; None where there is none, or nothing to be read."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.readline())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def is_earlier(begun: dict[str, Any] | None) -> bool:
    """Tell whether a journal that begins so was written when each format of outputs had its own."""
    return begun is not None and begun.get("format") == _EARLIER_FORMAT


def _differences(found: dict[str, Any], begun: dict[str, Any]) -> list[str]:
    differing = [key for key in _MEANING if found.get(key) != begun.get(key)]
    if differing == ["format"] and is_earlier(found):
        return []
    return [_MEANING[key] for key in differing]
