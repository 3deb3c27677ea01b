"""Answers put together from tiles are those for the whole picture."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from narrow_networks import narrow
from pixelwise import catalogue
from pixelwise.analysis.receptive_field import receptive_field
from pixelwise.data.regions.base import slices
from pixelwise.errors import UsageError
from pixelwise.predict.placement import place
from pixelwise.predict.tiling import plan_tiles, predict_tiled, sample_deviation
from pixelwise.predict.tiling.plan import TilePlan
from pixelwise.specs import Network

NARROW = (4, 6, 8, 8, 8)


def compare(network: Network, size: tuple[int, ...], tile: int) -> tuple[float, TilePlan]:
    """Return the largest difference between tiles and the whole, as a share of the largest answer."""
    network = network.eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():  # as some papers begin their last layers: nothing would be compared
                parameter.normal_(0, 0.1)
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
        pytest.param("unet16", {"widths": NARROW}, (301, 257), 288, marks=pytest.mark.slow),
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


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in catalogue.names() if catalogue.spec(name).task == "segmentation"])
def test_tiles_of_every_network_are_exact_or_say_why_not(name: str) -> None:
    """Narrow networks; a picture that is long in one direction, of odd sides where the network allows them."""
    torch.manual_seed(0)
    network = narrow(name)
    field = receptive_field(network)
    if field.global_layers:
        plan = plan_tiles(network, (512, 513), tile=400)
        assert not plan.is_exact
        assert "sees the whole picture" in plan.reasons[0]
        return
    lattice, seen = field.lattice[-1], field.before[-1] + field.after[-1] - 2 * field.offset[-1]
    tile = seen + 2 * field.offset[-1] + 4 * lattice
    short = (21, 26) if network.spec.dimensions == 3 else (75,)
    size = (*short, tile + lattice + 5)
    if plan_tiles(network, size, tile=tile).reasons:
        assert field.uneven_layers or name.startswith("fcn")
        size = tuple(-(-side // lattice) * lattice for side in size)
    difference, plan = compare(network, size, tile)
    if field.uneven_layers:
        assert not plan.is_exact
        return
    assert plan.is_exact
    assert len(plan) > 1
    assert difference <= 1e-5


@pytest.mark.slow
def test_where_tiles_cannot_be_exact_they_blend_and_the_deviation_is_measured() -> None:
    torch.manual_seed(0)
    network = catalogue.spec("tv_deeplabv3_resnet50").replace(backbone="resnet20_cifar").build(1, 3).eval()
    picture = np.random.default_rng(1).random((100, 300, 1), dtype=np.float32)

    def forward(pixels: NDArray[Any]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return network(torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, -1, 0)))[None])[0].numpy()

    plan = plan_tiles(network, (100, 300), tile=160)
    assert not plan.is_exact
    assert "blended and not exact" in plan.summary()
    assert "adaptive_avg_pool2d" in plan.reasons[0]
    total = np.zeros(plan.size)
    for tile in plan:
        weights = tile.weights()
        assert weights is not None
        total[slices(tile.keep)] += np.multiply.outer(*weights)
    assert np.allclose(total, 1)
    constant = predict_tiled(lambda pixels: np.ones((3, *plan.shape), np.float32), picture, plan)
    assert np.allclose(constant, 1)
    found = sample_deviation(network, forward, picture, plan)
    assert found is not None
    assert 0 < found.mean <= found.largest
    assert 0 <= found.labels <= 1
