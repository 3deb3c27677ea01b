"""One finding of the data doctor, and the list that gathers them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pixelwise.data.names import show_path

Severity = Literal["error", "warning", "info"]

MOST_PATHS: Final = 100
_ORDER: Final[Mapping[Severity, int]] = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong ("error": training would fail or mislead), doubtful ("warning") or worth knowing ("info").

    Attributes:
        severity: see above.
        code: a short word for programs, such as ``truncated``.
        message: what was found, with numbers; one or two sentences.
        paths: the first 100 files that it concerns, printable, relative to the data folder.
        fix: what to do, or why nothing needs doing.

    """

    severity: Severity
    code: str
    message: str
    paths: tuple[str, ...]
    fix: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "paths": list(self.paths),
            "fix": self.fix,
        }


class Findings:
    """A growing list of findings."""

    def __init__(self) -> None:
        self._found: list[Finding] = []

    def add(self, severity: Severity, code: str, message: str, fix: str, paths: Iterable[str] = ()) -> None:
        """Append a finding; ``paths`` may be many and hold any bytes."""
        shown = tuple(show_path(path) for path, _ in zip(paths, range(MOST_PATHS), strict=False))
        self._found.append(Finding(severity, code, message, shown, fix))

    def ordered(self) -> tuple[Finding, ...]:
        """Return errors first, then warnings, each in order of discovery."""
        return tuple(sorted(self._found, key=lambda finding: _ORDER[finding.severity]))


def counted(count: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun: ``1 file``, ``1,234 files``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
