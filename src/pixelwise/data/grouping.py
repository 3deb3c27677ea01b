"""Which samples must not be parted: exact duplicates, and those of one group (patient, specimen, folder, stack)."""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pixelwise.data.manifest import Manifest
from pixelwise.errors import DataError, UsageError

_FOLDER: Final = re.compile(r"folder(?::([1-9][0-9]{0,2}))?")
_WAYS: Final = "column, file, folder or folder:N"
Codes = NDArray[np.int64]


def group_codes(manifest: Manifest, group_by: str | None) -> Codes | None:
    """One number for each group, -1 for samples in none; ``None`` when there are no groups.

    Args:
        manifest: the samples.
        group_by: "column" (the table's column ``group``; also the meaning of ``None`` where there is one), "file" (all
            frames of a file), "folder" (the name of the innermost folder) or "folder:N" (the name of the N-th folder
            below the data folder, from 1). Folders of equal names count as one group wherever they lie: a patient's
            folder under two classes stays together.

    Raises:
        UsageError: another word.
        DataError: the table has no groups, or no path has so many folders.

    """
    if group_by is None:
        return _from_column(manifest)
    if group_by == "column":
        codes = _from_column(manifest)
    elif group_by == "file":
        return manifest.column("path").astype(np.int64)
    elif (match := _FOLDER.fullmatch(group_by)) is not None:
        codes = _from_folders(manifest, int(match[1]) if match[1] else None)
    else:
        raise UsageError(f"Samples cannot be grouped by '{group_by}'", expected=_WAYS)
    if codes is None:
        remedy = "Fill the column 'group' of the table, or use file, folder or folder:N"
        raise DataError(
            f"No sample has a group when grouped by {group_by}",
            expected="a group for at least some",
            do=remedy if group_by == "column" else f"Use {_WAYS}",
        )
    return codes


def _from_column(manifest: Manifest) -> Codes | None:
    table = manifest.groups.table()
    if table in ([], [""]):
        return None
    codes = manifest.column("group").astype(np.int64)
    codes[codes == (table.index("") if "" in table else -1)] = -1
    return codes


def _from_folders(manifest: Manifest, level: int | None) -> Codes | None:
    place: dict[str, int] = {}
    of_path: list[int] = []
    for path in manifest.paths.table():
        folders = path.split("/")[:-1]
        deep_enough = bool(folders) if level is None else len(folders) >= level
        name = folders[-1 if level is None else level - 1] if deep_enough else ""
        of_path.append(place.setdefault(name, len(place)) if deep_enough else -1)
    return np.array(of_path, np.int64)[manifest.column("path")] if place else None


def atoms(manifest: Manifest, groups: Codes | None) -> Codes:
    """Number the sets of samples that must stay together, 0, 1, ...: joined by group, by equal content, or by both."""
    count = len(manifest)
    digests = np.ascontiguousarray(manifest.column("sha256")[:, :8]).view(np.uint64)[:, 0]
    _, same_content = np.unique(digests, return_inverse=True)
    num_contents = int(same_content.max()) + 1 if count else 0
    if groups is None:
        return same_content.astype(np.int64)
    grouped = np.flatnonzero(groups >= 0)
    num_groups = int(groups.max()) + 1
    rows, columns = same_content[grouped], num_contents + groups[grouped]
    nodes = num_contents + num_groups
    links = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(nodes, nodes))
    _, joined = connected_components(links, directed=False)
    _, numbered = np.unique(joined[same_content], return_inverse=True)
    return numbered.astype(np.int64)
