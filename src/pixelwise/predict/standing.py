"""Results that are there already."""

from collections.abc import Iterable
from pathlib import Path

from pixelwise.data.names import show_path
from pixelwise.errors import UsageError


def refuse_standing(paths: Iterable[Path]) -> None:
    """Refuse to replace files.

    Raises:
        UsageError: one of them exists.

    """
    standing = [path for path in paths if path.exists()]
    if standing:
        others = f" and {len(standing) - 1} more" if len(standing) > 1 else ""
        raise UsageError(
            f"{show_path(str(standing[0]))}{others} would be replaced",
            expected="a folder without results",
            do="Choose another --out, or allow it with --overwrite",
        )
