"""Arrays that lie unpacked in a file and are mapped into memory: ``.npy``, and raw files with a description.

``NAME.raw`` or ``NAME.dat`` is described by ``NAME.raw.json`` or ``NAME.json`` beside it: ``{"shape": [H, W], "dtype":
"uint16"}``, and, where they are wanted, ``"axes": "yx"``, ``"offset": 512`` (bytes before the first value) and
``"pixel_size_um": [0.5, 0.5]``. ``dtype`` is a numpy name such as ``uint8``, ``<u2``, ``>f4``.
"""

import json
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pixelwise.data.headers import RESTORE, unreadable
from pixelwise.data.names import show_path
from pixelwise.data.regions.base import Region, RegionSource
from pixelwise.data.regions.identity import file_identity
from pixelwise.data.regions.values import Axes, as_pixels, pixel_type
from pixelwise.errors import ImageError

RAW_SUFFIXES = frozenset({".raw", ".dat"})
_SIDECAR_BYTES = 1 << 16
_BLOCK_PX = 256
"""A mapped array has no chunks; regions of whole rows of this many pixels are as good as any."""


class _Sidecar(BaseModel):
    """What stands beside a raw file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    shape: list[int] = Field(min_length=2, max_length=5)
    dtype: str
    axes: str = ""
    offset: int = Field(default=0, ge=0)
    pixel_size_um: list[float] | None = None


class MappedSource(RegionSource):
    """An array that lies unpacked in a file.

    Args:
        path: ``.npy``, or a raw file with its description beside it.
        dimensions: see :func:`~pixelwise.data.regions.opening.open_source`.
        stored: return the stored integers, as of a label map.

    Raises:
        ImageError: missing, damaged, truncated, not described, or of another form.

    """

    def __init__(self, path: Path, dimensions: int | None, *, stored: bool) -> None:
        self.name, self._path, self._stored = show_path(str(path)), path, stored
        names: tuple[str, ...] = ()
        try:
            if path.suffix.lower() in RAW_SUFFIXES:
                array, sidecar = _mapped_raw(path)
                names = tuple(sidecar.axes)
                self.pixel_size = None if sidecar.pixel_size_um is None else tuple(sidecar.pixel_size_um)
            else:
                array = np.load(path, mmap_mode="r", allow_pickle=False)
        except OSError as error:
            raise unreadable(path, error) from None
        except (ValueError, EOFError) as error:
            if isinstance(error, ImageError):
                raise
            raise ImageError(
                f"{self.name} is damaged or truncated: {str(error)[:200]}",
                expected="a whole file of numbers, saved by numpy",
                do=RESTORE,
            ) from None
        self._type, self._form, self._offset = array.dtype, array.shape, array.offset
        self._order: Literal["C", "F"] = "C" if array.flags.c_contiguous else "F"
        self._axes = Axes(names, array.shape, dimensions, self.name)
        self.shape = self._axes.shape
        self.dtype = array.dtype if stored else pixel_type(array.dtype, self.name)
        self.chunk = tuple(min(_BLOCK_PX, side) for side in self.size)

    @property
    def identity(self) -> str:
        """Size, time and first and last bytes of the file, its shape and type."""
        return file_identity(self._path, f"{self._form} {self._type.str}")

    def _read(self, region: Region) -> NDArray[Any]:
        # Mapped anew for each region: pages of an old mapping would count as this process's memory for ever.
        array = np.memmap(self._path, self._type, "r", self._offset, self._form, self._order)
        values = self._axes.arrange(array[self._axes.index(region)])
        return np.array(values) if self._stored else as_pixels(np.array(values), self.name)

    def close(self) -> None:
        """Nothing is held open between two regions."""


def _mapped_raw(path: Path) -> "tuple[np.memmap[Any, Any], _Sidecar]":
    sidecar = _read_sidecar(path)
    try:
        dtype = np.dtype(sidecar.dtype)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "buif" or min(sidecar.shape) < 1:
        raise ImageError(
            f"{show_path(str(path))} is described as {sidecar.dtype} of {tuple(sidecar.shape)}",
            expected="a numpy type of numbers such as uint16 or <f4, and sides of at least 1",
            do="Correct the description",
        )
    needed = sidecar.offset + math.prod(sidecar.shape) * dtype.itemsize
    found = path.stat().st_size
    if found < needed:
        raise ImageError(
            f"{show_path(str(path))} has {found:,} bytes",
            expected=f"{needed:,} for {' x '.join(map(str, sidecar.shape))} values of {dtype}",
            do=f"Correct the description, or: {RESTORE[0].lower()}{RESTORE[1:]}",
        )
    return np.memmap(path, dtype, "r", sidecar.offset, tuple(sidecar.shape)), sidecar


def _read_sidecar(path: Path) -> _Sidecar:
    places = [path.with_name(f"{path.name}.json"), path.with_suffix(".json")]
    place = next((place for place in places if place.is_file()), None)
    if place is None:
        raise ImageError(
            f"{show_path(str(path))} holds raw numbers of unknown shape and type",
            expected=f"their description in {show_path(places[0].name)}",
            do='Write it, for instance {"shape": [4096, 4096], "dtype": "uint16"}',
        )
    try:
        with place.open("rb") as file:
            return _Sidecar.model_validate(json.loads(file.read(_SIDECAR_BYTES)))
    except (ValueError, RecursionError) as error:
        shown = (
            "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
            if isinstance(error, ValidationError)
            else str(error)
        )
        raise ImageError(
            f"{show_path(str(place))} does not describe a raw file ({shown[:200]})",
            expected='for instance {"shape": [4096, 4096], "dtype": "uint16", "axes": "yx", "offset": 0}',
            do="Correct it",
        ) from None
