"""Atomic writing: a reader sees the old file or the new one, never a half.

The temporary file lies in the target's own folder (a rename across file systems would be a copy), is fsynced, renamed
over the target, and the folder is fsynced so that the rename itself survives a power cut.
"""

import errno
import json
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from pixelwise.errors import OutputError, RunError

_PREFIX = ".pixelwise-tmp-"
_TEMPORARY = re.compile(rf"^{re.escape(_PREFIX)}\d+-")
_SURROGATE = re.compile("[\ud800-\udfff]")


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file for writing; on leaving without an error it becomes ``path``.

    On any error, a full disk included, ``path`` is as it was and nothing is left beside it.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.

    """
    temporary = path.parent / f"{_PREFIX}{os.getpid()}-{path.name}"
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        with suppress(OSError):  # a successful rename has already taken it away; a dead disk cannot be tidied
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_file(path) as file:
        file.write(content)


def write_text(path: Path, content: str) -> None:
    """Write a whole UTF-8 text atomically."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, content: object) -> None:
    """Write an object as indented JSON atomically. NaN and infinity are refused: they are not JSON."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    # File names may hold bytes that are no UTF-8; as \udcff JSON keeps them, and nothing else needs escaping.
    write_text(path, _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file of ours.

    Raises:
        RunError: the file is missing or damaged.

    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path} is missing", expected="a file that pixelwise wrote", do="Check the path") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is damaged ({error})", expected="JSON", do="Restore it from a copy") from None


def make_folder(path: Path) -> None:
    """Create a folder and its parents, or say why not.

    Raises:
        OutputError: the folder cannot be made, or is a file.

    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(path, error) from error


def check_writable(folder: Path) -> None:
    """Prove that files can be written into ``folder``, before hours of work depend on it.

    Raises:
        OutputError: they cannot.

    """
    make_folder(folder)
    probe = folder / f"{_PREFIX}{os.getpid()}-probe"
    try:
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        raise output_error(folder, error) from error


def sweep_temporaries(folder: Path, names: Collection[str] | None = None) -> list[Path]:
    """Remove what a killed writer left in ``folder``.

    Args:
        folder: where to look; call only while holding its lock.
        names: of files, where the lock is theirs alone: only what was to become one of them is removed.

    """
    stale = [
        path for path in sorted(folder.glob(f"{_PREFIX}*")) if names is None or _TEMPORARY.sub("", path.name) in names
    ]
    for path in stale:
        path.unlink(missing_ok=True)
    return stale


def output_error(path: Path, error: OSError) -> OutputError:
    """Turn the system's refusal to write ``path`` into a message that says what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutputError(
            f"The disk is full: {path} could not be written", do="Free some space; what was there before is unharmed"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"{path} could not be written: {error.strerror}", do="Choose a folder that you may write to")
    return OutputError(f"{path} could not be written: {error.strerror or error}", do="Check the path and the disk")


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, so that a rename survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
