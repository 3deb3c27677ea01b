"""The folder of a new or resumed run: chosen, found fit, and held while a process works in it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pixelwise.errors import RunError, UsageError
from pixelwise.runs.folder import CONFIG_NAME, MANIFEST_NAME
from pixelwise.runs.lock import LOCK_NAME, lock_run
from pixelwise.storage.atomic import check_writable
from pixelwise.training import distributed

RUNS_FOLDER = Path("runs")


def choose_folder(out: Path | str | None, name: str, *, may_exist: bool) -> Path:
    """Return ``out``, or ``runs/NAME``: numbered where it is taken, unless a run that lies there ``may_exist``.

    Raises:
        UsageError: several processes, which would each choose their own.

    """
    if out is not None:
        return Path(out)
    if distributed.world_size() > 1:
        raise UsageError("no run folder", expected="one, which all processes know", do="Give out=FOLDER")
    folder, number = RUNS_FOLDER / name, 2
    if may_exist and (folder / CONFIG_NAME).exists():
        return folder
    while folder.exists():
        folder, number = RUNS_FOLDER / f"{name}-{number}", number + 1
    return folder


@contextmanager
def claimed(folder: Path, *, is_new: bool) -> Iterator[None]:
    """Hold the run folder; a new one that has not become a run by the end is taken away again.

    Raises:
        RunError: it is not empty where a new run is to begin, or another process works in it.
        OutputError: it cannot be written.

    """
    if distributed.rank() > 0:
        yield
        return
    was_there = folder.exists()
    if is_new:
        _refuse_occupied(folder)
    check_writable(folder)
    try:
        with lock_run(folder):
            yield
    finally:
        if not was_there and not (folder / CONFIG_NAME).exists():
            (folder / LOCK_NAME).unlink(missing_ok=True)
            with suppress(OSError):  # something else was put there meanwhile: it stays
                folder.rmdir()


def _refuse_occupied(folder: Path) -> None:
    if (folder / CONFIG_NAME).exists():
        raise RunError(
            f"{folder} already holds a run",
            expected="a new folder",
            do=f"`pixelwise resume {folder}` goes on with it; or choose another folder",
        )
    if folder.is_dir() and any(not _is_left_over(path.name) for path in folder.iterdir()):
        raise RunError(f"{folder} is not empty", expected="a new or empty folder", do="Choose another folder")


def _is_left_over(name: str) -> bool:
    """Whether a file comes from a run that was killed before it had begun."""
    return name in (LOCK_NAME, MANIFEST_NAME) or name.startswith(".pixelwise-tmp-")
