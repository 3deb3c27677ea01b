"""What tells a large file from another, or from its own state before a change, without reading all of it."""

import hashlib
import os
from collections.abc import Collection
from pathlib import Path

_ENDS_BYTES = 1 << 16


def file_identity(path: Path, form: str) -> str:
    """Return a sha256 over a file's size, time of change, first and last 64 KiB, and ``form``: its shape and the like.

    The name does not count: a file that was moved is still the same.
    """
    status = path.stat()
    digest = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns} {form} ".encode())
    with path.open("rb") as file:
        digest.update(file.read(_ENDS_BYTES))
        file.seek(max(0, status.st_size - _ENDS_BYTES), os.SEEK_SET)
        digest.update(file.read(_ENDS_BYTES))
    return digest.hexdigest()


def folder_identity(path: Path, form: str, apart: Collection[str]) -> str:
    """Return a sha256 over names, sizes and times of change of all files of a folder, and ``form``.

    The folder's own name does not count, nor do hidden files and those that are called as one of ``apart``.
    """
    digest = hashlib.sha256(form.encode())
    for folder, folders, names in os.walk(path):  # of thousands of chunks, which as Path objects cost seconds
        folders.sort()
        for name in sorted(names):
            if not name.startswith(".") and name not in apart:
                file = os.path.join(folder, name)  # noqa: PTH118 - see above
                status = os.stat(file)  # noqa: PTH116 - see above
                entry = f"{os.path.relpath(file, path)}\0{status.st_size} {status.st_mtime_ns}\n"
                digest.update(entry.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
