"""The plan of an epoch against the batches that are really read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import MemoryDataset

from pixelwise.data.loading import load_batches
from pixelwise.errors import UsageError
from pixelwise.training.epoch import plan_epoch
from pixelwise.training.recipe import Recipe


@given(count=st.integers(1, 60), batch=st.integers(1, 9), accumulate=st.integers(1, 4), world_size=st.integers(1, 4))
def test_every_process_gets_what_was_planned(count, batch, accumulate, world_size):
    if count < world_size:
        return
    data = MemoryDataset(np.zeros((count, 2, 2, 1), np.uint8), np.zeros(count, np.int64))
    for rank in range(world_size):
        plan = plan_epoch(count, Recipe(batch_size=batch, accumulate=accumulate), rank=rank, world_size=world_size)
        sizes = [
            len(one.indices)
            for one in load_batches(
                data, batch_size=batch, epoch=0, shuffle=True, rank=rank, world_size=world_size,
                drop_last=plan.drop_last,
            )
        ]  # fmt: skip
        assert (plan.batches, plan.samples) == (len(sizes), sum(sizes))
        assert plan.batches >= 1
        steps = [sizes[first : first + accumulate] for first in range(0, len(sizes), accumulate)]
        assert plan.steps == len(steps) == sum(plan.ends_step(number) for number in range(len(sizes)))
        for number in range(len(sizes)):
            assert plan.samples_of_step(number) == sum(steps[number // accumulate])


def test_more_processes_than_pictures():
    with pytest.raises(UsageError, match="4 processes for 3 training pictures"):
        plan_epoch(3, Recipe(), rank=0, world_size=4)
