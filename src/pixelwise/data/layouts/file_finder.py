"""The file that a table's cell means."""

import posixpath
from collections.abc import Iterator

from pixelwise.data.layouts.listing import stem
from pixelwise.data.layouts.table import ENCODINGS
from pixelwise.data.layouts.tree import Tree
from pixelwise.data.names import counted, show_path


class FileFinder:
    """Finds the file that a cell means: as written, with the other separators, or by a name that only one file has."""

    def __init__(self, tree: Tree) -> None:
        self.root = posixpath.abspath(tree.root.as_posix())
        self.files = frozenset(tree.files)
        self.by_name: dict[str, list[str]] = {}
        for path in tree.files:
            name = path.rpartition("/")[2]
            for key in {name, stem(name)}:
                self.by_name.setdefault(key, []).append(path)
        self.by_bare_name = 0
        self.known: dict[str, str | None] = {}

    def find(self, cell: str) -> str | None:
        """Return the file's path in the data folder; None when there is none, or more than one."""
        if cell not in self.known:
            self.known[cell] = self._search(cell)
        return self.known[cell]

    def why_not(self, cell: str) -> str:
        """Say why :meth:`find` finds nothing."""
        alike = self.by_name.get(cell, ())
        if len(alike) > 1:
            return f"{len(alike)} files are named {show_path(cell)}: write the path with its folder"
        path = posixpath.normpath(cell.replace("\\", "/"))
        if path.startswith("../") or (path.startswith("/") and not path.startswith(self.root + "/")):
            return f"{show_path(cell)} lies outside the data folder"
        return f"{show_path(cell) or 'an empty path'} is not there"

    def notes(self) -> list[str]:
        """Say how many files were found otherwise than by their path."""
        return [f"Found by name alone: {counted(self.by_bare_name, 'file')}."] if self.by_bare_name else []

    def _search(self, cell: str) -> str | None:
        for spelling in self._spellings(cell):
            if spelling in self.files:
                return spelling
        alike = self.by_name.get(cell, ())
        if len(alike) != 1:
            return None
        self.by_bare_name += 1
        return alike[0]

    def _spellings(self, cell: str) -> Iterator[str]:
        for text in dict.fromkeys((cell, cell.replace("\\", "/"))):
            path = posixpath.normpath(text)
            path = path.removeprefix(self.root + "/")
            yield path
            for encoding in ENCODINGS[1:]:  # a name in another encoding than UTF-8, as the disk has it
                yield path.encode(encoding, "replace").decode("utf-8", "surrogateescape")
