"""A folder of masks, one file for each object of a picture, as one mask of numbered objects.

So lie the 2018 Data Science Bowl's pictures (NAME/images/NAME.png, NAME/masks/*.png) and what many tools export. In a
file everything above 0 belongs to its object, whatever the value. Objects are numbered by the natural order of the
files' names; a file that shows nothing is no object.
"""

import dataclasses
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.images import IMAGE_SUFFIXES, MAX_PIXELS, ImageInfo, probe, read_stored
from pixelwise.data.names import natural_key, show_path
from pixelwise.data.zarr_pictures import is_zarr_name
from pixelwise.errors import MaskError

FORMAT: Final = "folder of masks"
"""In the place of a picture's format."""

_WITH_ALPHA: Final = ("LA", "RGBA")


def is_object_folder(path: Path) -> bool:
    """Tell whether a mask is a folder of masks."""
    return not is_zarr_name(path) and path.is_dir()


def probe_object_folder(path: Path, *, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """Return what the first file's header declares, for all of them.

    Raises:
        MaskError: there is no picture in the folder.
        ImageError: the header cannot be read.

    """
    info = probe(_files(path)[0], max_pixels=max_pixels)
    return dataclasses.replace(info, format=FORMAT, channels=1, dtype="int32", frames=1)


def read_object_folder(path: Path, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.int32]:
    """Put the masks of a folder together: (H, W), 0 for none, else the place of the object's file, from 1.

    Raises:
        MaskError: masks of several sizes, masks that overlap, or no picture in the folder.
        ImageError: a file cannot be read.

    """
    files = _files(path)
    inside = _inside(files[0], max_pixels)
    labels = inside.astype(np.int32)
    for number, file in enumerate(files[1:], start=2):
        inside = _inside(file, max_pixels)
        if inside.shape != labels.shape:
            raise MaskError(
                f"{show_path(str(path))}: {show_path(file.name)} has {_size(inside)} pixels",
                expected=f"{_size(labels)}, as {show_path(files[0].name)}",
                do="Correct it: every object's mask has the size of the picture",
            )
        taken = labels[inside]
        if taken.any():
            other = files[int(taken.max()) - 1]
            raise MaskError(
                f"{show_path(str(path))}: {show_path(file.name)} and {show_path(other.name)} overlap in "
                f"{np.count_nonzero(taken == taken.max()):,} pixels",
                expected="masks that do not overlap, as a pixel belongs to one object",
                do="Correct one of them, or remove the one that was drawn twice",
            )
        labels[inside] = number
    return labels


def _files(path: Path) -> list[Path]:
    found = [file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.name[0] != "."]
    if not found:
        raise MaskError(
            f"{show_path(str(path))} holds no mask", expected="one for each object", do="Add them, or leave it out"
        )
    return sorted(found, key=lambda file: natural_key(file.name))


def _inside(path: Path, max_pixels: int) -> NDArray[np.bool_]:
    header, values = read_stored(path, max_pixels=max_pixels)
    colours = values[..., :-1] if header.mode in _WITH_ALPHA else values
    return np.asarray((colours != 0).any(axis=2))


def _size(mask: NDArray[np.generic]) -> str:
    return f"{mask.shape[0]} x {mask.shape[1]}"
