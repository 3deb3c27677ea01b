"""When a picture in memory is cut into tiles: where one forward pass would take more memory than there is for it."""

import functools
from math import prod
from typing import Final

import torch

from pixelwise.analysis.memory import free_memory_bytes
from pixelwise.analysis.peak import forward_peak_bytes
from pixelwise.errors import PixelwiseError
from pixelwise.predict.placement import place
from pixelwise.predict.tiling.plan import TilePlan
from pixelwise.predict.tiling.planner import plan_tiles
from pixelwise.specs import Network

SMALL_PIXELS: Final = 2**20
"""Pictures of fewer pixels are not looked at more closely, unless a tile size or memory is asked for."""
SHARE: Final = 0.5
"""Of the free memory that a forward pass may take where no other limit is given."""


class Tiler:
    """Chooses tile plans for one network.

    Args:
        network: a network that answers every pixel.
        device: where it runs.
        tile: longest side of a tile's input in pixels; None: whatever fits.
        memory_bytes: most memory that a forward pass may take; None: half of what is free at the first large picture.

    """

    def __init__(
        self, network: Network, device: torch.device, *, tile: int | None = None, memory_bytes: int | None = None
    ) -> None:
        self._network, self._device, self._tile, self._memory_bytes = network, device, tile, memory_bytes
        self.plan_for = functools.lru_cache(maxsize=16)(self._plan_for)

    def _plan_for(self, *size: int) -> TilePlan | None:
        """Return the plan for a picture of ``size``; None: it goes through the network whole.

        Raises:
            UsageError: the tile or memory that was asked for is too small.
            SpecError: the network takes no such picture; or tiles were asked for and it cannot be followed.

        """
        is_asked = self._tile is not None or self._memory_bytes is not None
        if not is_asked and len(size) == 2 and prod(size) < SMALL_PIXELS:
            return None
        budget = self._memory_bytes or int(SHARE * free_memory_bytes(self._device))
        if self._tile is None or max(size) <= self._tile:
            placement = place(self._network, *size)
            whole = map(sum, zip(placement.before, size, placement.after, strict=True))
            if forward_peak_bytes(self._network, tuple(whole)) <= budget:
                return None
        try:
            plan = plan_tiles(self._network, size, memory_bytes=budget, tile=self._tile)
        except PixelwiseError:
            if is_asked:
                raise
            return None  # try it whole: if memory runs out, the message says so
        return plan if len(plan) > 1 else None
