"""From a network, a picture's size and a budget of memory to a tile plan.

Of all plans whose tiles fit into the budget, the one is taken whose tiles have the fewest pixels together. What a tile
takes is found by running the network without values (:mod:`pixelwise.analysis.peak`).
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from pixelwise.analysis.peak import forward_peak_bytes, weight_bytes
from pixelwise.analysis.receptive_field import ReceptiveField, receptive_field
from pixelwise.errors import SpecError, TooLittleMemoryError, UsageError
from pixelwise.predict.placement import place
from pixelwise.predict.tiling.cuts import Line
from pixelwise.predict.tiling.plan import TilePlan
from pixelwise.specs import Network

BLEND = 16
"""Pixels on either side of a border between tiles over which answers that are not exact are blended."""
_COPIES = 2
"""Of the weights: the model's own, and those arranged for prediction."""
_ANSWERS = 3
"""Of the answer, in single precision: logits, probabilities, and what is made of them."""

_SLACK = 1.25
"""How far estimates of memory may be from proportion to a tile's pixels."""

_UNITS = (("MB", 10**6), ("kB", 10**3), ("B", 1))

Shape = tuple[int, ...]


def plan_tiles(
    network: Network,
    size: Sequence[int],
    *,
    memory_bytes: int | None = None,
    tile: int | None = None,
    reserve_bytes: int = 0,
) -> TilePlan:
    """Cut a picture into tiles whose answers are that for the whole picture, where the network allows it.

    Args:
        network: any network that answers every pixel; it is neither run nor changed.
        size: of the picture: height and width; depth, height and width.
        memory_bytes: most memory that a tile may take, weights included; None: any.
        tile: longest side of a tile's input, in pixels; None: whatever fits into the memory.
        reserve_bytes: part of the memory that tiles leave to others.

    Raises:
        UsageError: neither memory nor tile; tiles so small that nothing of them could be kept.
        TooLittleMemoryError: a budget that is too small for one tile, with the smallest that works.
        SpecError: the network answers no pixels, takes no such picture, or has an operation that cannot be followed.

    """
    size = tuple(size)
    if network.spec.task != "segmentation":
        raise SpecError(
            f"{network.spec.name} cannot be tiled", expected="a network that answers every pixel", do="Choose another"
        )
    if memory_bytes is None and tile is None:
        raise UsageError("no tile size and no memory", expected="one of them", do="Say tile= or memory=")
    lines, reasons = _lines(network, size)
    memory = functools.lru_cache(_MemoryOf(network, reserve_bytes))
    smallest = tuple(line.choices()[-1][1] for line in lines)
    if tile is not None and any(tile < least for least in smallest):
        raise UsageError(
            f"tile={tile} is smaller than what {network.spec.name} sees around a block of pixels",
            expected=f"at least {max(smallest)} pixels for a picture of {' x '.join(map(str, size))}",
            do=f"Say tile={max(smallest)} or more",
        )
    allowed = [[one for one in line.choices() if tile is None or one[1] <= tile] for line in lines]
    shape = _cheapest(allowed, memory, memory_bytes)
    if shape is None:
        assert memory_bytes is not None  # without a limit every shape fits
        needed = _amount(memory(smallest), up=True)
        raise TooLittleMemoryError(
            f"memory={_amount(memory_bytes)} is too little for one tile of {network.spec.name}",
            expected=f"at least {needed}, for a tile of {' x '.join(map(str, smallest))} pixels",
            do=f"Say memory={needed.replace(' ', '')}, or choose a network with fewer maps",
        )
    cuts = tuple(line.cuts(length) for line, length in zip(lines, shape, strict=True))
    is_whole = all(len(along) == 1 for along in cuts)
    return TilePlan(
        network=network.spec.name,
        size=size,
        shape=shape,
        cuts=cuts,
        tile_bytes=memory(shape),
        reasons=() if is_whole else reasons,
    )


@dataclass(frozen=True)
class _MemoryOf:
    network: Network
    reserve_bytes: int

    def __call__(self, shape: Shape) -> int:
        network = self.network
        answer = prod(network.output_size(*shape)) * network.num_classes * 4
        fixed = _COPIES * weight_bytes(network)
        return self.reserve_bytes + fixed + max(forward_peak_bytes(network, shape), _ANSWERS * answer)


def _lines(network: Network, size: Shape) -> tuple[list[Line], tuple[str, ...]]:
    """Return what tiles along each axis have to heed, and why they are not exact."""
    placement = place(network, *size)
    whole = tuple(map(sum, zip(placement.before, size, placement.after, strict=True)))
    network.check_size(*whole)
    field = receptive_field(network)
    here = field if field.uneven_layers else receptive_field(network, _small_twin(field, whole))
    uneven = dict.fromkeys((*field.uneven_layers, *here.uneven_layers))
    if not uneven and here.lattice != field.lattice:
        uneven = {"poolings that do not meet the same pixels in pictures of other sizes": None}
    reasons = [f"{layer} sees the whole picture" for layer in field.global_layers]
    steps = " x ".join(map(str, field.lattice))
    reasons += [
        f"{layer} places its answers by the size of the picture (sides that are multiples of {steps} may avoid it)"
        for layer in uneven
    ]
    answer = network.output_size(*whole)
    lines = [
        Line(
            size=side,
            before=before,
            total=total,
            margin=total - answered,
            start=start,
            lattice=lattice,
            phases=phases,
            keeps_residue=not uneven,
            blend=BLEND if reasons else 0,
        )
        for side, before, total, answered, start, lattice, phases in zip(
            size, placement.before, whole, answer, placement.start, field.lattice, field.phases, strict=True
        )
    ]
    return lines, tuple(reasons)


def _small_twin(field: ReceptiveField, whole: Shape) -> Shape:
    """Return a small size that meets the network's lattice as the whole input does."""
    sides = zip(whole, field.largest, field.lattice, strict=True)
    return tuple(min(side, side % lattice + (-(-largest // lattice) + 2) * lattice) for side, largest, lattice in sides)


def _cheapest(choices: list[list[tuple[int, int]]], memory: Callable[[Shape], int], budget: int | None) -> Shape | None:
    """Return the shape with the fewest pixels in all tiles together among those that fit, with the fewest tiles.

    Memory grows with the pixels of a tile, at least in proportion to them once the weights are taken off: where a tile
    does not fit, others are not tried unless they are smaller by what it is too large.
    """
    numbers = np.meshgrid(*(np.array([count for count, _ in along]) for along in choices), indexing="ij")
    lengths = np.meshgrid(*(np.array([length for _, length in along]) for along in choices), indexing="ij")
    tiles, pixels = (np.prod(np.stack(grids).astype(np.float64), axis=0).ravel() for grids in (numbers, lengths))
    largest = np.inf
    for index in np.lexsort((tiles, tiles * pixels)):
        if pixels[index] > largest:
            continue
        shape = tuple(int(grid.flat[index]) for grid in lengths)
        if budget is None:
            return shape
        needed = memory(shape)
        if needed <= budget:
            return shape
        largest = np.nextafter(pixels[index] * min(_SLACK * budget / needed, 1.0), 0)
    return None


def _amount(number: int, *, up: bool = False) -> str:
    """Write bytes in a unit that leaves two digits or more, rounded down, or up where that much is needed."""
    unit, size = next((unit, size) for unit, size in _UNITS if number >= 10 * size or size == 1)
    return f"{-(-number // size) if up else number // size} {unit}"
