"""Every error that a user can cause, in one tree.

::

    PixelwiseError (ValueError)      exit code 2
    ├── UsageError                   an option, name or value on the command line or in a call
    │   └── TooLittleMemoryError     a budget of memory that does not suffice
    ├── DataError                    a data set as a whole: layout, classes, splits, manifest
    │   ├── ImageError               one picture
    │   └── MaskError                one mask
    ├── SpecError                    a network's fields, or an input that the network cannot take
    ├── WeightsError                 a weights file
    ├── RecipeError                  a recipe's fields
    ├── RunError                     a run folder: locked, of a newer format, changed data or spec
    │   └── CheckpointError          one checkpoint
    ├── DeviceError                  a device that is not there
    ├── TrainingError                training cannot go on (NaN loss, out of memory)
    └── OutputError                  something cannot be written: disk full, read-only       exit code 4

    Interrupted (Exception)          asked to stop by a signal: exit code 128 + signal number

Each message answers three questions: what came, what was expected, what to do.
"""

import difflib
from collections.abc import Iterable
from typing import ClassVar, Final


class PixelwiseError(ValueError):
    """A fault that the user can mend.

    Args:
        came: what was found, with the name of the file or option that it concerns.
        expected: what would have been right.
        do: the next step that mends it.

    """

    exit_code: ClassVar[int] = 2

    def __init__(self, came: str, *, expected: str = "", do: str = "") -> None:
        self.came, self.expected, self.do = came, expected, do
        parts = [came, f"Expected {expected}" if expected else "", do]
        super().__init__(" ".join(_as_sentence(part) for part in parts if part))

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from the three parts, so that an error crosses from a worker process unharmed."""
        return _rebuild, (type(self), self.came, self.expected, self.do)


def _as_sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _rebuild(kind: type[PixelwiseError], came: str, expected: str, do: str) -> PixelwiseError:
    return kind(came, expected=expected, do=do)


class UsageError(PixelwiseError):
    """An option, name or value on the command line or in a call is wrong."""


class TooLittleMemoryError(UsageError):
    """A budget of memory does not suffice for one tile."""


class DataError(PixelwiseError):
    """A data set cannot be used as it is."""


class ImageError(DataError):
    """One picture cannot be read or has the wrong form."""


class MaskError(DataError):
    """One mask cannot be read, or holds values that mean nothing."""


class SpecError(PixelwiseError):
    """A network cannot be built from these fields, or cannot take this input."""


class WeightsError(PixelwiseError):
    """A weights file is missing, damaged, unsafe or belongs to another network."""


class RecipeError(PixelwiseError):
    """A recipe's field is unknown or impossible."""


class RunError(PixelwiseError):
    """A run folder cannot be used."""


class CheckpointError(RunError):
    """A checkpoint cannot be used."""


class DeviceError(PixelwiseError):
    """The device asked for is not there."""


class TrainingError(PixelwiseError):
    """Training cannot go on."""


class OutputError(PixelwiseError):
    """Something cannot be written."""

    exit_code: ClassVar[int] = 4


_SIGNALS: Final = {2: "Ctrl-C", 15: "SIGTERM"}


class Interrupted(Exception):  # noqa: N818 - not an error: the user asked for it
    """A signal asked the program to stop, and it did so in good order.

    Args:
        signal_number: which one.
        then: what is left, and how to go on, in a sentence.

    """

    def __init__(self, signal_number: int, then: str = "") -> None:
        self.signal_number = signal_number
        cause = _SIGNALS.get(signal_number, f"signal {signal_number}")
        super().__init__(f"Stopped by {cause}. {then}".rstrip())

    @property
    def exit_code(self) -> int:
        """The shell's convention: 128 + signal number (130 for SIGINT, 143 for SIGTERM)."""
        return 128 + self.signal_number


_BEGINNING = 2
_SAID = 3


def suggest(word: str, options: Iterable[str]) -> str:
    """Say which known names have ``word`` as initials (``lr``), begin with it or resemble it; else list a few names.

    At most three are said. Empty when nothing helps.
    """
    known = sorted(options)
    near = [name for name in known if "_" in name and "".join(part[:1] for part in name.split("_")) == word]
    if not near:
        begun = [name for name in known if len(word) >= _BEGINNING and name.startswith(word)]
        near = [*sorted(begun, key=len), *difflib.get_close_matches(word, known, n=_SAID, cutoff=0.6)]
    if near:
        return f"Did you mean {' or '.join(list(dict.fromkeys(near))[:_SAID])}?"
    return f"Known are: {', '.join(known)}" if len(known) <= 25 else ""
