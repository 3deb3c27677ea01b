"""One walk over a data folder: every usable file, in natural order, and what was left aside with the reason."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pixelwise.data.names import natural_key, show_path
from pixelwise.data.zarr_pictures import is_zarr_name
from pixelwise.errors import DataError, suggest

_ODD_FOLDERS: Final = frozenset(
    ["__MACOSX", "__pycache__", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"]
)
_ODD_FILES: Final = frozenset(["thumbs.db", "desktop.ini", "ehthumbs.db"])


@dataclass(frozen=True, slots=True)
class Tree:
    """What a data folder holds.

    Attributes:
        root: the folder.
        files: paths relative to ``root``, POSIX separators, in natural order; bytes that are not UTF-8 as surrogates.
            A folder ``NAME.zarr`` is one of them: it is a picture, and what lies in it no file of its own.
        folders: paths of the folders entered and of Zarrs, in the same order.
        skipped: (path, reason) of odd and hidden entries and of links that are not followed.
        faults: (path, reason) of what should be data and cannot be reached: closed folders, broken links.

    """

    root: Path
    files: tuple[str, ...]
    folders: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    faults: tuple[tuple[str, str], ...]


def walk(root: Path) -> Tree:
    """List a data folder.

    Links are followed as long as they stay inside ``root``; a link to a folder that holds the link itself, or found
    inside a linked folder, is not.

    Raises:
        DataError: not there, not a folder, closed, or empty.

    """
    _check_folder(root)
    walker = _Walker(root)
    walker.walk()
    if not walker.files and not walker.skipped and not walker.faults:
        raise DataError(f"{root} is empty", expected="a folder with images", do="Check the path")
    return Tree(root, tuple(walker.files), tuple(walker.folders), tuple(walker.skipped), tuple(walker.faults))


def _check_folder(root: Path) -> None:
    expected = "a folder with images"
    if root.is_dir():
        return
    if root.exists():
        raise DataError(f"{root} is a file", expected=expected, do=f"Give the folder that holds it: {root.parent}")
    near = ""
    if root.parent.is_dir():
        siblings: Iterable[str] = (entry.name for entry in root.parent.iterdir() if entry.is_dir())
        hint = suggest(root.name, (name for name in siblings if not name.startswith(".")))
        near = hint if hint.startswith("Did you mean") else ""
    raise DataError(f"{root} does not exist", expected=expected, do=near or "Check the path")


class _Walker:
    def __init__(self, root: Path) -> None:
        self.top = os.fspath(root)
        self.real_top = os.path.realpath(root)
        self.files: list[str] = []
        self.folders: list[str] = []
        self.skipped: list[tuple[str, str]] = []
        self.faults: list[tuple[str, str]] = []

    def walk(self) -> None:
        waiting = [("", False)]
        while waiting:  # not recursive: folders may lie deeper than Python's stack
            waiting.extend(reversed(self._enter(*waiting.pop())))

    def _enter(self, folder: str, linked: bool) -> list[tuple[str, bool]]:
        """Take up one folder's files; return its folders, each with whether a link leads there."""
        here = os.path.join(self.top, folder) if folder else self.top  # noqa: PTH118 - 100,000 Path objects cost seconds
        try:
            with os.scandir(here) as found:
                entries = sorted(found, key=lambda entry: natural_key(entry.name))
        except OSError as error:
            if not folder:
                raise DataError(f"{here} cannot be opened: {error.strerror}", do="Check its access rights") from None
            self.faults.append((show_path(folder), f"the folder cannot be opened: {error.strerror}"))
            return []
        if folder:
            self.folders.append(folder)
        folders: list[tuple[str, bool]] = []
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if self._is_odd(entry, path):
                continue
            through_link = entry.is_symlink()
            if through_link and not self._may_follow(entry, path, here, linked):
                continue
            if entry.is_dir() and is_zarr_name(path):
                self.folders.append(path)
                self.files.append(path)
            elif entry.is_dir():
                folders.append((path, linked or through_link))
            elif entry.is_file():
                self.files.append(path)
            else:
                self.skipped.append((show_path(path), "neither a file nor a folder"))
        return folders

    def _is_odd(self, entry: os.DirEntry[str], path: str) -> bool:
        name = entry.name
        kind = "folder" if entry.is_dir(follow_symlinks=False) else "file"
        if name.startswith("."):
            self.skipped.append((show_path(path), f"hidden {kind}"))
        elif (kind == "folder" and name in _ODD_FOLDERS) or (kind == "file" and name.lower() in _ODD_FILES):
            self.skipped.append((show_path(path), f"{kind} of another program"))
        else:
            return False
        return True

    def _may_follow(self, entry: os.DirEntry[str], path: str, here: str, linked: bool) -> bool:
        target = os.path.realpath(entry.path)
        if not os.path.exists(target):  # noqa: PTH110 - realpath gave a string
            self.faults.append((show_path(path), "a link that leads nowhere"))
        elif not _inside(target, self.real_top):
            self.skipped.append((show_path(path), "a link out of the data folder, not followed"))
        elif entry.is_dir() and _inside(os.path.realpath(here), target):
            self.skipped.append((show_path(path), "a link to a folder around it (a loop), not followed"))
        elif entry.is_dir() and linked:
            self.skipped.append((show_path(path), "a link inside a linked folder, not followed"))
        else:
            return True
        return False


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
