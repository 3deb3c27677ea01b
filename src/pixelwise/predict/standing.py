"""Results that are there already, and folders that are no place for any."""

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

from pixelwise.data.names import show_path
from pixelwise.errors import UsageError
from pixelwise.runs.folder import CONFIG_NAME


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


def refuse_place(out: Path, inputs: Sequence[str | Path]) -> None:
    """Refuse a folder of results that holds what is predicted, or a run.

    Raises:
        UsageError: results would lie among them.

    """
    if out.is_dir() and out.resolve() in {Path(given).resolve() for given in inputs}:
        raise UsageError(
            f"--out {show_path(str(out))} is the folder of the pictures",
            expected="a folder for the results alone",
            do="Choose another --out",
        )
    if (out / CONFIG_NAME).is_file():
        raise UsageError(
            f"--out {show_path(str(out))} is a run", expected="a folder for the results", do="Choose another --out"
        )


def earlier_results(folders: Iterable[str], tables: Iterable[str]) -> Callable[[Path, PurePosixPath], bool]:
    """Tell results of earlier predictions from the pictures that they lie among.

    Args:
        folders: names of those that predictions fill.
        tables: names of the tables beside these, one of which tells that they are such.

    Returns:
        Takes a folder and the path of a file in it.

    """
    own, named = frozenset(folders), tuple(tables)

    @functools.cache
    def holds_table(folder: Path) -> bool:
        return any((folder / name).is_file() for name in named)

    def is_result(root: Path, name: PurePosixPath) -> bool:
        return any(part.name in own and holds_table(root / part.parent) for part in name.parents)

    return is_result
