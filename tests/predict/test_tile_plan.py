"""Tile plans: what they promise, what they cost, and what they refuse."""

import json
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pixelwise import catalogue
from pixelwise.data.regions.base import slices
from pixelwise.errors import RunError, SpecError, UsageError
from pixelwise.predict.placement import place
from pixelwise.predict.tiling import TilePlan, plan_tiles
from pixelwise.predict.tiling.plan import _mirrored
from pixelwise.specs import Network


def hollow(name: str, **columns: Any) -> Network:
    """Build a network of the catalogue without values."""
    spec = catalogue.spec(name)
    assert spec.facts is not None
    with torch.device("meta"):
        return spec.replace(**columns).build(spec.facts.input_size[0], 2)


@pytest.mark.slow
def test_the_papers_unet_computes_at_most_a_fifth_more_pixels_than_it_keeps() -> None:
    plan = plan_tiles(hollow("unet"), (32768, 32768), memory_bytes=4 * 10**9)
    assert plan.is_exact
    assert plan.tile_bytes <= 4 * 10**9
    assert plan.redundancy <= 1.2
    assert plan.redundancy == pytest.approx(len(plan) * plan.shape[0] * plan.shape[1] / 32768**2)


def test_a_plan_round_trips_and_its_digest_tells_it_from_others() -> None:
    network = hollow("unet16")
    plan = plan_tiles(network, (700, 900), tile=400)
    other = plan_tiles(network, (700, 900), tile=600)
    again = TilePlan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    assert again.digest() == plan.digest() != other.digest()
    assert [tile.keep for tile in plan] == [again[index].keep for index in range(len(again))]
    with pytest.raises(IndexError):
        plan[len(plan)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"format": 2},
            "a tile plan of format 2. Expected format 1. Use the version of pixelwise that wrote it, or begin anew.",
        ),
        ({"size": None}, "a damaged tile plan ('NoneType' object is not iterable). Begin anew."),
    ],
)
def test_plans_that_cannot_be_read(change: dict[str, object], message: str) -> None:
    plan = plan_tiles(hollow("unet16"), (300, 300), tile=300)
    with pytest.raises(RunError) as caught:
        TilePlan.from_json({**plan.to_json(), **change})
    assert str(caught.value) == message


def test_too_small_a_budget_says_the_smallest_that_works() -> None:
    network = hollow("unet16")
    with pytest.raises(UsageError) as caught:
        plan_tiles(network, (2048, 2048), memory_bytes=10**7, reserve_bytes=10**6)
    message = str(caught.value)
    assert message.startswith("memory=10 MB is too little for one tile of unet16. Expected at least ")
    needed = int(re.findall("at least ([0-9]+) MB", message)[0]) * 10**6
    plan = plan_tiles(network, (2048, 2048), memory_bytes=needed, reserve_bytes=10**6)
    assert needed - 10**6 < plan.tile_bytes <= needed
    with pytest.raises(UsageError):
        plan_tiles(network, (2048, 2048), memory_bytes=needed - 10**6, reserve_bytes=10**6)


def test_faults() -> None:
    network = hollow("unet16")
    with pytest.raises(
        UsageError, match=r"^tile=100 is smaller than what unet16 sees around a block of pixels. Expected"
    ):
        plan_tiles(network, (2048, 2048), tile=100)
    with pytest.raises(UsageError, match=r"^no tile size and no memory"):
        plan_tiles(network, (2048, 2048))
    with pytest.raises(SpecError, match=r"^lenet5 cannot be tiled. Expected a network that answers every pixel"):
        plan_tiles(hollow("lenet5"), (2048, 2048), tile=512)


def test_a_picture_that_fits_is_one_tile() -> None:
    plan = plan_tiles(hollow("unet16"), (100, 130), memory_bytes=10**9)
    assert (plan.grid, plan.shape, plan.is_exact) == ((1, 1), (112, 144), True)  # filled up to whole strides


@given(st.integers(1, 12), st.integers(0, 30), st.integers(0, 30))
def test_mirrored_positions_are_those_of_numpy(side: int, before: int, after: int) -> None:
    padded = np.pad(np.arange(side), (before, after), mode="reflect")
    assert np.array_equal(_mirrored(np.arange(-before, side + after), side), padded)


def test_tiles_of_a_valid_network_are_cut_from_the_surrounded_picture() -> None:
    network = hollow("unet", widths=(2, 2, 2, 2, 2))
    picture = np.arange(301 * 350, dtype=np.float32).reshape(301, 350, 1)
    whole = place(network, 301, 350).surround(picture)
    first = place(network, 301, 350).before
    plan = plan_tiles(network, (301, 350), tile=300)
    assert len(plan) > 4
    for tile in plan:
        filled = tile.fill(picture[slices(tile.read)])
        begin = [cut.start + before for cut, before in zip(tile.cuts, first, strict=True)]
        assert np.array_equal(filled, whole[slices(tuple(zip(begin, np.add(begin, plan.shape), strict=True)))])
