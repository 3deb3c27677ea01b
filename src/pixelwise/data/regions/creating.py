"""Open an output that is written by region: a tiled BigTIFF or a Zarr."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from pixelwise.data.regions.sink import BlockSink, Form, Place, Record, Store, unfinished
from pixelwise.data.regions.tiff_store import TiffStore

RegionFormat = Literal["tiff", "zarr"]
SUFFIXES: Final[Mapping[RegionFormat, str]] = {"tiff": ".tif", "zarr": ".zarr"}
"""What files of each format are called."""

_BLOCK_PX = 512
_DEEP_BLOCK_PX = (16, 128, 128)
_TIFF_STEP_PX = 16


def open_sink(path: Path, fmt: RegionFormat, form: Form, written: Mapping[Place, Record] | None = None) -> BlockSink:
    """Open an output.

    Args:
        path: where it appears when it is whole; its name ends as :data:`SUFFIXES` says.
        fmt: its format.
        form: shape, type, and blocks, whose sides are as :func:`block_sides` gives them.
        written: blocks that an earlier process wrote and noted down; without any it is begun anew.

    Raises:
        UsageError: the zarr library is not installed.
        OutputError: the place cannot be written.

    """
    store_path = unfinished(path)
    if fmt == "tiff":
        store: Store = TiffStore(store_path, form)
    else:
        from pixelwise.data.regions.zarr_store import ZarrStore

        store = ZarrStore(store_path, form)
    return BlockSink(path, store, written)


def block_sides(size: tuple[int, ...], fmt: RegionFormat) -> tuple[int, ...]:
    """Return sides of blocks for an output of ``size``: multiples of 16 pixels, as TIFF demands; no larger than it is.

    512 x 512 pixels of a picture or of a plane of a TIFF; 16 x 128 x 128 of a volume in a Zarr.
    """
    flat = (_BLOCK_PX, _BLOCK_PX)
    wanted = flat if len(size) == 2 else (1, *flat) if fmt == "tiff" else _DEEP_BLOCK_PX
    whole = [-(-side // _TIFF_STEP_PX) * _TIFF_STEP_PX for side in size]
    return tuple(min(side, least) for side, least in zip(wanted, whole, strict=True))
