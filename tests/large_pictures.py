"""A large picture of some tiles, and how tests predict it."""

import numpy as np

from pixelwise.predict.large import LargeOptions, predict_large
from pixelwise.predict.tiling import planner

SIZE = (150, 205)
PICTURE = np.random.default_rng(11).integers(0, 255, SIZE, np.uint8)
SMALL_TILES = LargeOptions(tile=64)
_FIELDS = {}
_receptive_field = planner.receptive_field


def field_of(network, size=None):
    """Follow the graph of networks of one table once."""
    key = (network.spec, size)
    if key not in _FIELDS:
        _FIELDS[key] = _receptive_field(network, size)
    return _FIELDS[key]


def predict(member, path, out, options=SMALL_TILES, **keywords):
    return predict_large(member, path, out, options, **keywords)


def contents(folder):
    return {entry.relative_to(folder).as_posix(): entry.read_bytes() for entry in folder.rglob("*") if entry.is_file()}


def stop_after(tiles):
    """Ask for a stop once so many tiles are done."""
    asked = iter(range(1000))
    return lambda: next(asked) >= tiles
