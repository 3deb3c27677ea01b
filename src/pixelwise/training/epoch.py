"""How an epoch falls into batches and optimiser steps, for one process of several."""

import math
from dataclasses import dataclass

from pixelwise.data.loading import count_batches
from pixelwise.errors import UsageError
from pixelwise.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class EpochPlan:
    """Counts of one epoch of this process."""

    batches: int
    """Forward passes."""
    samples: int
    """Pictures in them."""
    steps: int
    """Optimiser steps."""
    drop_last: bool
    """Whether an incomplete last batch is left out: one of a single picture has no statistics to normalise with."""
    batch_size: int
    accumulate: int

    def samples_of_step(self, batch: int) -> int:
        """Pictures of this process in the optimiser step that the batch with this number belongs to."""
        together = self.accumulate * self.batch_size
        first = batch // self.accumulate * together
        return min(together, self.samples - first)

    def ends_step(self, batch: int) -> bool:
        """Whether an optimiser step follows the batch with this number."""
        return (batch + 1) % self.accumulate == 0 or batch + 1 == self.batches


def plan_epoch(count: int, recipe: Recipe, *, rank: int, world_size: int) -> EpochPlan:
    """Divide ``count`` training pictures as :func:`pixelwise.data.loading.load_batches` does.

    Raises:
        UsageError: there are more processes than pictures.

    """
    if count < world_size:
        raise UsageError(
            f"{world_size} processes for {count} training pictures",
            expected="at least one picture for each process",
            do="Start fewer processes",
        )
    whole, rest = divmod(count, recipe.batch_size * world_size)
    smallest_last = rest // world_size
    drop_last = recipe.batch_size > 1 and smallest_last == 1 and whole > 0
    batches = count_batches(count, batch_size=recipe.batch_size, world_size=world_size, drop_last=drop_last)
    own_last = smallest_last + (rank < rest % world_size) if batches > whole else 0
    return EpochPlan(
        batches=batches,
        samples=whole * recipe.batch_size + own_last,
        steps=math.ceil(batches / recipe.accumulate),
        drop_last=drop_last,
        batch_size=recipe.batch_size,
        accumulate=recipe.accumulate,
    )
