"""Open an output that is written by region: a tiled BigTIFF or a Zarr."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from pixelwise.data.regions.sink import UNFINISHED, BlockSink, Form, Place, Record, Store
from pixelwise.data.regions.tiff_store import TiffStore

RegionFormat = Literal["tiff", "zarr"]
SUFFIXES: Final[Mapping[RegionFormat, str]] = {"tiff": ".tif", "zarr": ".zarr"}
"""What files of each format are called."""

_LARGEST_BLOCK_PX = 512
_SMALLEST_BLOCK_PX = 128
_USUAL_BLOCK_PX = 256
_TIFF_STEP_PX = 16


def open_sink(path: Path, fmt: RegionFormat, form: Form, written: Mapping[Place, Record] | None = None) -> BlockSink:
    """Open an output.

    Args:
        path: where it appears when it is whole; its name ends as :data:`SUFFIXES` says.
        fmt: its format.
        form: shape, type, and blocks, whose sides are as :func:`block_sides` gives them.
        written: blocks that an earlier process wrote and noted down; None to begin anew.

    Raises:
        UsageError: the zarr library is not installed.
        OutputError: the place cannot be written.

    """
    store_path = path.with_name(path.name + UNFINISHED)
    if fmt == "tiff":
        store: Store = TiffStore(store_path, form)
    else:
        from pixelwise.data.regions.zarr_store import ZarrStore

        store = ZarrStore(store_path, form)
    return BlockSink(path, store, written)


def block_sides(tile: tuple[int, ...], size: tuple[int, ...], fmt: RegionFormat) -> tuple[int, ...]:
    """Return sides of blocks for an output that is written in tiles of ``tile`` over ``size``.

    Where a tile's side has a divisor of 128 to 512 pixels (a multiple of 16, as TIFF demands), blocks do not straddle
    tiles, so that none waits for pixels.
    """
    sides = [_block_side(side, length) for side, length in zip(tile[-2:], size[-2:], strict=True)]
    if len(size) == 3:
        sides.insert(0, 1 if fmt == "tiff" else min(tile[0], size[0]))
    return tuple(sides)


def _block_side(tile: int, length: int) -> int:
    whole = -(-length // _TIFF_STEP_PX) * _TIFF_STEP_PX
    if tile < _SMALLEST_BLOCK_PX and tile % _TIFF_STEP_PX == 0:
        return min(tile, whole)
    for side in range(_LARGEST_BLOCK_PX, _SMALLEST_BLOCK_PX - 1, -_TIFF_STEP_PX):
        if tile % side == 0:
            return min(side, whole)
    return min(_USUAL_BLOCK_PX, whole)
