"""Blocks of a file that are not there: left out because they are empty, or lost. Only the user can know which."""

from collections.abc import Sequence
from typing import Literal

from pixelwise.errors import ImageError

Missing = Literal["refuse", "fill"]
"""What to do about blocks that a file leaves out: refuse it, or take them as its fill value (0)."""

_SHOWN = 4


def refuse_missing(name: str, kind: str, absent: Sequence[str], missing: Missing, total: int = 0) -> None:
    """Refuse a file without some of its blocks, unless they are to be filled.

    Args:
        name: of the file.
        kind: what its blocks are called, in the plural.
        absent: those that are not there; at least the first few.
        missing: what to do.
        total: number of absent blocks; by default that of ``absent``.

    Raises:
        ImageError: there are some, and they are not to be filled.

    """
    if not absent or missing == "fill":
        return
    count = max(total, len(absent))
    shown = ", ".join(absent[:_SHOWN]) + (f" and {count - _SHOWN} more" if count > _SHOWN else "")
    raise ImageError(
        f"{name} lacks {count} of its {kind}: {shown}",
        expected="every one of them",
        do="Copy the file again; or, where its writer leaves out what is empty, allow it with --missing fill",
    )
