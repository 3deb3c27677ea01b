"""From the answers of tiles to the answers of pixels.

Tiles of an exact plan do not overlap, and each answer is final. Those of other plans overlap, and a pixel's answer is
the sum of its tiles' answers, weighted by ramps that sum to 1. The picture is cut along all borders of tiles into
cells; a cell waits until the last of the tiles that cover it has come, so that no more is held than what lies along the
front.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.regions import Region
from pixelwise.data.regions.base import slices
from pixelwise.predict.tiling import Tile, TilePlan

Values = NDArray[np.float32]


class Blend:
    """Turns the tiles of a plan, in their order, into regions that are final."""

    def __init__(self, plan: TilePlan) -> None:
        self._waiting: dict[Region, tuple[Values, int]] = {}
        self._spans = [[cut.keep for cut in along] for along in plan.cuts]
        self._edges = [sorted({edge for span in along for edge in span}) for along in self._spans]

    def add(self, tile: Tile, values: Values) -> Iterator[tuple[Region, Values]]:
        """Take the answer of a tile for its ``keep``, (K, h, w) or (K, d, h, w); yield regions that are final."""
        weights = tile.weights()
        if weights is None:
            yield tile.keep, values
            return
        for axis, ramp in enumerate(weights):
            values = values * ramp.reshape((-1,) + (1,) * (len(weights) - 1 - axis))
        origin = tuple(start for start, _ in tile.keep)
        for cell, tiles in self._cells(tile.keep):
            share = values[(slice(None), *slices(cell, origin))]
            before, missing = self._waiting.pop(cell, (None, tiles))
            total = share if before is None else before + share
            if missing > 1:
                self._waiting[cell] = (np.array(total), missing - 1)
            else:
                yield cell, total

    def _cells(self, keep: Region) -> Iterator[tuple[Region, int]]:
        """Yield the cells of a tile, and by how many tiles each is covered."""
        along = []
        for axis, (start, stop) in enumerate(keep):
            edges = [edge for edge in self._edges[axis] if start <= edge <= stop]
            along.append(
                [
                    ((low, high), sum(a <= low and high <= b for a, b in self._spans[axis]))
                    for low, high in itertools.pairwise(edges)
                ]
            )
        for parts in itertools.product(*along):
            yield tuple(span for span, _ in parts), math.prod(count for _, count in parts)
