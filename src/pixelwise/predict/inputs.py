"""What is to be predicted: files, folders, patterns, the pages of a TIFF and the pictures of an IDX file.

Hidden files, leftovers of other programs and links out of a folder are left aside, as in training. A file that is named
outright is taken whatever its name is; what it holds is told by its content. In folders and patterns only files with an
image's suffix count.
"""

import functools
import glob
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.headers import unreadable
from pixelwise.data.idx import read_images
from pixelwise.data.images import IMAGE_SUFFIXES, probe, read_image
from pixelwise.data.layouts.tree import walk
from pixelwise.data.names import natural_key, show_path
from pixelwise.data.regions import ARRAY_SUFFIXES, is_array
from pixelwise.data.volumes.nifti import SUFFIXES as NIFTI_SUFFIXES
from pixelwise.data.volumes.reading import STACK_SUFFIXES, read_volume
from pixelwise.data.volumes.volume import Volume
from pixelwise.data.zarr_pictures import is_zarr_name
from pixelwise.errors import DataError, UsageError

WHOLE = -1
"""Frame number of a file that holds one picture."""
_STACK_SUFFIXES = frozenset({".tif", ".tiff", ".lsm"})
_IDX_NAME = re.compile(r"idx[34]-ubyte(\.gz)?$", re.IGNORECASE)
VOLUME_SUFFIXES = (*NIFTI_SUFFIXES, *STACK_SUFFIXES)
_WILD = frozenset("*?[")
_SECOND_SUFFIX = ".ome"


@dataclass(frozen=True, slots=True)
class InputItem:
    """One picture to predict, and where its results go."""

    path: Path
    frame: int
    """Page of a stack or picture of an IDX file, from 0; -1 for a file that holds one picture."""
    target: PurePosixPath
    """Where results lie under the output folder, without suffix."""
    in_space: bool = False
    """The file is a volume, whose pages are its slices."""

    @property
    def name(self) -> str:
        """How messages call it."""
        return show_path(str(self.path)) + ("" if self.frame == WHOLE else f", frame {self.frame}")

    def read(self) -> NDArray[Any] | Volume:
        """Return the picture, (H, W, C), or the volume.

        Raises:
            DataError: it cannot be read.

        """
        if self.in_space:
            return read_volume(self.path)
        if _is_idx(self.path):
            return np.array(_idx_pictures(self.path)[self.frame])
        return read_image(self.path, frame=None if self.frame == WHOLE else self.frame)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was found."""

    items: tuple[InputItem, ...]
    faults: tuple[tuple[str, str], ...]
    """(path, reason) of folders that could not be opened and links that lead nowhere."""
    large: tuple[InputItem, ...] = ()
    """Pictures that are predicted tile by tile, from file to file."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A file, and its path under the output folder."""

    path: Path
    relative: PurePosixPath
    is_named: bool = False
    """The user wrote this very path."""


def find_inputs(
    inputs: Sequence[str | Path],
    *,
    exclude: Iterable[Path] = (),
    leaves_out: Callable[[Path, PurePosixPath], bool] | None = None,
    in_space: bool = False,
    is_large: Callable[[Path], bool] | None = None,
) -> Inputs:
    """Resolve what the user named into pictures, each once, in natural order within a folder.

    Args:
        inputs: files, folders and patterns (``*``, ``?``, ``[]``, ``**``).
        exclude: folders that results go to, whose files are left out.
        leaves_out: tells of a folder that was named and of the path of a file in it whether the file is left out.
        in_space: NIfTI files and TIFF stacks are wanted, each as one volume.
        is_large: tells of a file or a Zarr whether it is predicted tile by tile. Zarrs in folders, and arrays that a
            pattern asks for by their suffix, then count as well. None: nothing is.

    Raises:
        UsageError: something is not there or lies where results go, nothing is found, or two pictures would have the
            same result files.

    """
    faults: list[tuple[str, str]] = []
    several, prunes = len(inputs) > 1, leaves_out or _nothing
    suffixes = VOLUME_SUFFIXES if in_space else IMAGE_SUFFIXES
    ordinary = _is_volume if in_space else _is_picture
    wanted = ordinary if is_large is None else lambda path: ordinary(path) or is_zarr_name(path)
    found = [
        file
        for given in inputs
        for file in _expand(str(given), faults, wanted, prunes, name_root=several, takes_arrays=is_large is not None)
    ]
    barred = [folder.resolve() for folder in exclude]
    kept: dict[Path, _Found] = {}
    for file in found:
        real = file.path.resolve()
        if any(folder in real.parents for folder in barred):
            if file.is_named:
                raise UsageError(
                    f"{show_path(str(file.path))} lies where the results go",
                    expected="inputs from elsewhere",
                    do="Choose another --out",
                )
        elif real not in kept:
            kept[real] = file
    if not kept:
        named = ", ".join(show_path(str(given)) for given in inputs)
        raise UsageError(
            f"No {'volume' if in_space else 'image'} is in {named or 'an empty list of inputs'}",
            expected=f"files that end in {', '.join(sorted(suffixes))}",
            do="Check the paths",
        )
    large = [file for file in kept.values() if is_large is not None and is_large(file.path)]
    others = [file for file in kept.values() if file not in large]
    if in_space:
        items = [InputItem(file.path, WHOLE, _without_suffix(file.relative), in_space=True) for file in others]
    else:
        items = [item for file in others for item in _pictures(file)]
    tiled = [InputItem(file.path, WHOLE, large_target(file.relative)) for file in large]
    told_apart = _without_collisions([*tiled, *items])
    return Inputs(tuple(told_apart[len(tiled) :]), tuple(faults), tuple(told_apart[: len(tiled)]))


def large_target(path: PurePosixPath) -> PurePosixPath:
    """Return the name of a large picture's results: its own without suffix, and without the ``.ome`` before that."""
    name = path.name.removesuffix(path.suffix)
    return path.with_name(name.removesuffix(_SECOND_SUFFIX) or name)


def _expand(
    given: str,
    faults: list[tuple[str, str]],
    is_wanted: Callable[[Path], bool],
    prunes: Callable[[Path, PurePosixPath], bool],
    *,
    name_root: bool,
    takes_arrays: bool,
) -> Iterator[_Found]:
    path = Path(given)
    if path.is_dir() and not (takes_arrays and is_array(path)):
        prefix = PurePosixPath(path.resolve().name if name_root else "")
        tree = walk(path)
        faults.extend((f"{show_path(given)}/{name}", reason) for name, reason in tree.faults)
        for name in tree.files:
            if is_wanted(Path(name)) and not prunes(path, PurePosixPath(name)):
                yield _Found(path / name, prefix / name)
    elif path.exists():
        yield _Found(path, PurePosixPath(path.name), is_named=True)
    elif _WILD & set(given):
        root = _fixed_part(path)
        matches = [Path(match) for match in glob.glob(given, recursive=True)]  # noqa: PTH207 - leaves out hidden files
        for match in sorted(matches, key=lambda match: natural_key(match.as_posix())):
            is_asked = takes_arrays and (path.suffix in ARRAY_SUFFIXES or match.is_dir()) and is_array(match)
            if is_asked or (match.is_file() and is_wanted(match)):
                inside = (part for part in match.relative_to(root).parts if part != "..")
                yield _Found(match, PurePosixPath(*inside))
    else:
        raise UsageError(
            f"{show_path(given)} does not exist", expected="a file, folder or pattern", do="Check the path"
        )


def _nothing(_folder: Path, _name: PurePosixPath) -> bool:
    return False


def _fixed_part(pattern: Path) -> Path:
    """The folder above the first part of a pattern that has a wild card."""
    parts = pattern.parts
    first = next(place for place, part in enumerate(parts) if _WILD & set(part))
    return Path(*parts[:first])


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES or _is_idx(path)


def _is_volume(path: Path) -> bool:
    return path.name.lower().endswith(VOLUME_SUFFIXES)


def _without_suffix(path: PurePosixPath) -> PurePosixPath:
    end = max((len(suffix) for suffix in VOLUME_SUFFIXES if path.name.lower().endswith(suffix)), default=0)
    return path.with_name(path.name[: len(path.name) - end] or path.name)


def _is_idx(path: Path) -> bool:
    return _IDX_NAME.search(path.name) is not None


def _idx_pictures(path: Path) -> NDArray[np.uint8]:
    try:
        return _unpacked(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise unreadable(path, error) from None


@functools.lru_cache(maxsize=1)
def _unpacked(path: Path, modified_ns: int) -> NDArray[np.uint8]:  # noqa: ARG001 - a changed file is another file
    return read_images(path)


def _pictures(file: _Found) -> Iterator[InputItem]:
    """One item a picture. A container that cannot be opened is one item, whose reading then says why."""
    stem = file.relative.with_name(file.relative.name.split(".")[0] if _is_idx(file.path) else file.relative.stem)
    frames = WHOLE
    try:
        if _is_idx(file.path):
            frames = len(_idx_pictures(file.path))
        elif file.path.suffix.lower() in _STACK_SUFFIXES:
            frames = probe(file.path).frames
    except DataError:
        frames = WHOLE
    if frames == WHOLE or (frames == 1 and not _is_idx(file.path)):
        yield InputItem(file.path, WHOLE, stem)
        return
    digits = len(str(frames - 1))
    for frame in range(frames):
        yield InputItem(file.path, frame, stem.with_name(f"{stem.name}_{frame:0{digits}}"))


def _without_collisions(items: list[InputItem]) -> list[InputItem]:
    """Tell ``a.png`` from ``a.jpg`` by their suffixes: ``a_png``, ``a_jpg``.

    Raises:
        UsageError: two would still have the same result files.

    """
    uses = Counter(item.target for item in items)
    told_apart = [
        item
        if uses[item.target] == 1
        else replace(item, target=item.target.with_name(f"{item.target.name}_{item.path.suffix.removeprefix('.')}"))
        for item in items
    ]
    taken: dict[PurePosixPath, InputItem] = {}
    for item in told_apart:
        other = taken.setdefault(item.target, item)
        if other is not item:
            raise UsageError(
                f"{other.name} and {item.name} would both have their results under {show_path(str(item.target))}",
                expected="a name of its own for each picture",
                do="Predict them into different folders",
            )
    return told_apart
