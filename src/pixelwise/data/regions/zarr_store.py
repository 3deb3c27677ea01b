"""A Zarr array of format 3 in an OME-Zarr group (0.5), one file a block.

Every block is written, empty ones too, so that one that is not there is one that was lost.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.names import show_path
from pixelwise.data.regions.base import chunk_region, slices
from pixelwise.data.regions.sink import Form, Place, Record, Store, sync_file
from pixelwise.errors import UsageError

_PARTIAL = ".partial"
"""Behind the name of a file while the zarr library writes it."""


class ZarrStore(Store):
    """Axes (c,) (z,) y, x: without channels where there is one.

    Raises:
        UsageError: the zarr library is not installed.

    """

    def __init__(self, path: Path, form: Form) -> None:
        super().__init__(path, form)
        try:
            import zarr
        except ModuleNotFoundError:
            raise UsageError(
                f"{show_path(str(path))} is to be a Zarr",
                expected="the zarr library",
                do="Install it: pip install 'pixelwise[zarr]'",
            ) from None
        self._zarr, self._pending = zarr, list[Path]()
        self._array: zarr.Array[Any] | None = None
        self._has_channels = form.shape[-1] > 1
        self._axes = (("c",) if self._has_channels else ()) + tuple("zyx"[-len(form.size) :])

    def begin(self) -> None:
        """Write the metadata of the group and of the array."""
        form = self.form
        group = self._zarr.open_group(str(self.path), mode="w-", zarr_format=3, attributes={"ome": self._ome()})
        self._array = group.create_array(
            "0",
            shape=(*form.shape[-1:], *form.size) if self._has_channels else form.size,
            chunks=(*form.shape[-1:], *form.block) if self._has_channels else form.block,
            dtype=form.dtype,
            dimension_names=self._axes,
            config={"write_empty_chunks": True},
        )

    def go_on(self, written: Mapping[Place, Record]) -> bool:
        """Open the array; a block that was cut short is written anew, and what the library began of it is removed."""
        if not all(path.is_file() for path in (self.path / "0" / "zarr.json", *map(self._file, written))):
            return False
        for begun in self.path.rglob(f"*{_PARTIAL}"):
            begun.unlink()
        self._array = self._zarr.open_array(
            str(self.path / "0"), mode="r+", zarr_format=3, config={"write_empty_chunks": True}
        )
        return True

    def put(self, place: Place, block: NDArray[Any]) -> Record:
        """Write the file of a block; there is nothing to know of it."""
        region = slices(chunk_region(place, self.form.block, self.form.size))
        assert self._array is not None  # it was begun
        if self._has_channels:
            self._array[(slice(None), *region)] = np.moveaxis(block, -1, 0)
        else:
            self._array[region] = block[..., 0]
        self._pending.append(self._file(place))
        return ()

    def flush(self) -> None:
        """Bring the new files to the disk."""
        for path in self._pending:
            sync_file(path)
        self._pending.clear()

    def finish(self, written: Mapping[Place, Record]) -> None:
        """Nothing is left to be written."""

    def close(self) -> None:
        """Nothing is held open between two blocks."""

    def _file(self, place: Place) -> Path:
        return self.path.joinpath("0", "c", *map(str, (0, *place) if self._has_channels else place))

    def _ome(self) -> dict[str, Any]:
        sizes = self.form.pixel_size
        axes = [
            {"name": axis, "type": "channel"}
            if axis == "c"
            else {"name": axis, "type": "space"} | ({"unit": "micrometer"} if sizes is not None else {})
            for axis in self._axes
        ]
        scale = [1.0] * (len(axes) - len(self.form.size)) + list(sizes or [1.0] * len(self.form.size))
        level = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        return {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}]}
