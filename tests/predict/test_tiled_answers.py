"""Answers put together from tiles are those for the whole picture."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pixelwise import catalogue
from pixelwise.errors import UsageError
from pixelwise.predict.placement import place
from pixelwise.predict.tiling import plan_tiles, predict_tiled
from pixelwise.predict.tiling.plan import TilePlan
from pixelwise.specs import Network

NARROW = (4, 6, 8, 8, 8)


def compare(network: Network, size: tuple[int, ...], tile: int) -> tuple[float, TilePlan]:
    """Return the largest difference between tiles and the whole, as a share of the largest answer."""
    network = network.eval()
    picture = np.random.default_rng(1).random((*size, network.in_channels), dtype=np.float32)

    def forward(pixels: NDArray[Any]) -> NDArray[np.float32]:
        with torch.inference_mode():
            batch = torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, -1, 0)))[None]
            return network(batch)[0].numpy()

    placement = place(network, *size)
    whole = forward(placement.surround(picture))
    whole = whole[(slice(None), *(slice(at, at + side) for at, side in zip(placement.start, size, strict=True)))]
    plan = plan_tiles(network, size, tile=tile)
    tiled = predict_tiled(forward, picture, plan)
    assert tiled.shape == whole.shape
    assert whole.std() > 0
    return float(np.abs(tiled - whole).max() / np.abs(whole).max()), plan


@pytest.mark.parametrize(
    ("name", "columns", "size", "tile"),
    [
        ("unet", {"widths": NARROW}, (131, 207), 252),
        ("unet16", {"widths": NARROW}, (301, 257), 288),
        ("unet3d", {"widths": (2, 2, 4, 4)}, (13, 21, 30), 116),
    ],
)
def test_tiles_are_exact(name: str, columns: dict[str, Any], size: tuple[int, ...], tile: int) -> None:
    torch.manual_seed(0)
    network = catalogue.spec(name).replace(**columns).build(2, 3)
    difference, plan = compare(network, size, tile)
    assert plan.is_exact
    assert len(plan) > 1
    assert difference <= 1e-5


def test_a_picture_of_another_size_is_refused() -> None:
    network = catalogue.spec("unet16").replace(widths=NARROW).build(1, 2)
    plan = plan_tiles(network, (64, 64), tile=64)
    with pytest.raises(
        UsageError, match=r"^a picture of 64 x 65 pixels. Expected 64 x 64, for which the tile plan was"
    ):
        predict_tiled(lambda pixels: pixels, np.zeros((64, 65, 1)), plan)
