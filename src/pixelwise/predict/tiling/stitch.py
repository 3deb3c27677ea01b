"""Running a tile plan on an array in memory, and measuring how far tiles are from the whole."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.regions.base import Region, slices
from pixelwise.errors import UsageError
from pixelwise.predict.placement import place
from pixelwise.predict.tiling.plan import TilePlan
from pixelwise.predict.tiling.planner import plan_tiles
from pixelwise.specs import Network

Forward = Callable[[NDArray[Any]], NDArray[np.float32]]
"""The network: pixels (*shape, C) in, answers (K, *answer size) out."""


def predict_tiled(forward: Forward, image: NDArray[Any], plan: TilePlan) -> NDArray[np.float32]:
    """Return the answers for a picture, (K, *size), tile by tile.

    Args:
        forward: the network with its preprocessing; called once for each tile, with inputs of one shape.
        image: (*size, C), raw values.
        plan: made for this network and a picture of this size.

    Raises:
        UsageError: the plan was made for another size.

    """
    if image.shape[:-1] != plan.size:
        raise UsageError(
            f"a picture of {' x '.join(map(str, image.shape[:-1]))} pixels",
            expected=f"{' x '.join(map(str, plan.size))}, for which the tile plan was made",
            do="Make a plan for this picture",
        )
    whole: NDArray[np.float32] | None = None
    for tile in plan:
        values = tile.kept(forward(tile.fill(image[slices(tile.read)])))
        if whole is None:
            whole = np.zeros((len(values), *plan.size), np.float32)
        target = whole[(slice(None), *slices(tile.keep))]
        weights = tile.weights()
        if weights is None:
            target[...] = values
        else:
            target += values * _outer(weights)
    assert whole is not None  # a plan has a tile
    return whole


@dataclass(frozen=True, slots=True)
class Deviation:
    """By how much tiles differ from the whole, on a part of the picture that could be computed whole."""

    size: tuple[int, ...]
    """Of that part."""
    largest: float
    """Difference of one answer."""
    mean: float
    labels: float
    """Share of the pixels whose most probable class differs."""

    def summary(self) -> str:
        """Say it in words."""
        part = " x ".join(map(str, self.size))
        return f"{self.labels:.2%} of the classes and at most {self.largest:.2g} of an answer differ in {part} pixels"


def sample_deviation(network: Network, forward: Forward, image: NDArray[Any], plan: TilePlan) -> Deviation | None:
    """Measure by how much blended tiles differ from the whole, in the middle of the picture.

    The middle, as large as a tile, is computed whole and in tiles of two thirds of its sides.

    Args:
        network: which the plan was made for.
        forward: see :func:`predict_tiled`.
        image: (*size, C).
        plan: one that is not exact.

    Returns:
        None where a tile is too small to be cut into tiles.

    """
    return deviation_in(network, forward, image[slices(middle_region(plan))])


def middle_region(plan: TilePlan) -> Region:
    """Return the middle of a picture, as large as a tile."""
    sides = [(side, min(side, length)) for side, length in zip(plan.size, plan.shape, strict=True)]
    return tuple(((side - length) // 2, (side - length) // 2 + length) for side, length in sides)


def deviation_in(network: Network, forward: Forward, middle: NDArray[Any]) -> Deviation | None:
    """Do as :func:`sample_deviation`, given nothing but the middle (*size, C) of the picture."""
    shape = middle.shape[:-1]
    try:
        inner = plan_tiles(network, shape, tile=2 * max(shape) // 3)
    except UsageError:
        return None
    placement = place(network, *shape)
    inside = (slice(start, start + length) for start, length in zip(placement.start, shape, strict=True))
    whole = forward(placement.surround(middle))[(slice(None), *inside)]
    tiled = predict_tiled(forward, middle, inner)
    difference = np.abs(tiled - whole)
    labels = (tiled.argmax(0) != whole.argmax(0)) if len(whole) > 1 else ((tiled > 0.5) != (whole > 0.5))
    return Deviation(shape, float(difference.max()), float(difference.mean()), float(labels.mean()))


def _outer(weights: tuple[NDArray[np.float32], ...]) -> NDArray[np.float32]:
    """Multiply the weights along each axis."""
    product = np.ones((), np.float32)
    for along in weights:
        product = np.multiply.outer(product, along)
    return product
