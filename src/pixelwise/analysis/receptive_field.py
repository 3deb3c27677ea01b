"""What a network sees: which pixels of the input each place of its answer depends on, and on what lattice.

The network is exported as a graph of operations, without values, and every place of every tensor is followed back to
an interval of input pixels along each axis (:mod:`pixelwise.analysis.reach`). Place p of the answer depends on
[stride * p + low, stride * p + high], where low and high depend on the phase of p on the network's lattice: the
poolings of a U-Net lie at multiples of 16 pixels, so its answer moves with the picture only in steps of 16.

The intervals are those of the architecture: no weights are looked at. Layers that see the whole image (a mean over the
map, instance normalisation) are named and left out of the intervals, which then are those of the rest of the network.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from pixelwise.analysis.layers import meta_twin
from pixelwise.analysis.reach.axis import Axis
from pixelwise.analysis.reach.call import Findings
from pixelwise.analysis.reach.follow import follow
from pixelwise.errors import SpecError
from pixelwise.specs import Network, Spec

_FIRST_SIDE: Final = {2: 512, 3: 256}
"""Where the search for a size that holds a whole receptive field begins, in pixels, for 2 and 3 axes."""
_LAST_SIDE: Final = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptiveField:
    """What a place of the answer depends on; one entry for each axis: (y, x) or (z, y, x)."""

    lattice: tuple[int, ...]
    """A picture that moves by so many pixels has an answer that moves with it; by fewer, it may have another one."""
    stride: tuple[int, ...]
    """Pixels from a place of the answer to the next: 1 for segmentation."""
    offset: tuple[int, ...]
    """Pixel of the input that the answer's first place stands for: 0, or what valid convolutions take off before it."""
    phases: tuple[tuple[tuple[int, int], ...], ...]
    """For each axis, the (low, high) of place p = 0, 1, ..., after which they repeat: p depends on
    [stride * p + low, stride * p + high]."""
    global_layers: tuple[str, ...]
    """Layers that see the whole image; the intervals are those of the network without them."""
    uneven_layers: tuple[str, ...]
    """Layers whose places lie elsewhere in images of another size, such as an interpolation from 13 to 100 places."""

    @property
    def before(self) -> tuple[int, ...]:
        """Pixels before a place's own pixel that it may depend on, in the worst phase."""
        return tuple(
            offset - min(low for low, _ in axis) for offset, axis in zip(self.offset, self.phases, strict=True)
        )

    @property
    def after(self) -> tuple[int, ...]:
        """Pixels behind it, likewise."""
        return tuple(
            max(high for _, high in axis) - offset for offset, axis in zip(self.offset, self.phases, strict=True)
        )

    @property
    def smallest(self) -> tuple[int, ...]:
        """Pixels that a place of the phase that sees fewest depends on."""
        return tuple(min(high - low + 1 for low, high in axis) for axis in self.phases)

    @property
    def largest(self) -> tuple[int, ...]:
        """Pixels that a place of the phase that sees most depends on."""
        return tuple(max(high - low + 1 for low, high in axis) for axis in self.phases)


def receptive_field(network: Network, size: Sequence[int] | None = None) -> ReceptiveField:
    """Find what the answer of a network depends on.

    Args:
        network: any network; it is neither run nor changed.
        size: of the image whose graph is followed; None: one that is large enough to hold whole receptive fields.

    Raises:
        SpecError: the network cannot take that size, or has an operation for which no rule is known.

    """
    spec, channels = network.spec, network.in_channels
    numbers = getattr(spec, "metadata", 0)
    if numbers:  # channels of one value everywhere: where they are looked at does not matter
        spec, channels = spec.replace(metadata=0), channels - numbers
    return _field_of(spec, channels, network.num_classes, None if size is None else tuple(size))


@functools.lru_cache(maxsize=32)
def _field_of(spec: Spec, in_channels: int, num_classes: int, size: tuple[int, ...] | None) -> ReceptiveField:
    """Exporting takes seconds: do it once for every network and size."""
    with torch.device("meta"):
        twin = spec.build(in_channels, num_classes).eval()
    return _settled(twin, twin, size)[0]


def stage_fields(network: Network) -> dict[str, ReceptiveField]:
    """Find what the maps of a network's feature pyramid depend on, by the name of the stage's last module.

    Raises:
        SpecError: as :func:`receptive_field`.

    """
    twin = meta_twin(network).eval()
    fields = _settled(twin, _Features(twin), None)
    return {stage.module: field for stage, field in zip(twin.stages, fields, strict=True)}


class _Features(nn.Module):
    """A network that returns its feature pyramid."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.network.features(x)


def _settled(network: Network, module: nn.Module, size: Sequence[int] | None) -> list[ReceptiveField]:
    """Follow the graph at a size, or at growing sizes until whole receptive fields fit in."""
    fixed = network.spec.fixed_size
    if size is not None or fixed is not None:
        return _fields(network, module, tuple(size or fixed or ()))
    side = _FIRST_SIDE[network.spec.dimensions]
    while True:
        tried = network.input_size_for(*(side,) * network.spec.dimensions)
        fields = _fields(network, module, tried)
        if all(fits(field, tried) for field in fields) or side >= _LAST_SIDE:
            return fields
        side *= 4


def fits(field: ReceptiveField, size: Sequence[int]) -> bool:
    """Say whether an image of ``size`` holds a whole receptive field of every phase."""
    sides = zip(size, field.largest, field.lattice, strict=True)
    return all(side >= largest + 2 * lattice for side, largest, lattice in sides)


def _fields(network: Network, module: nn.Module, size: tuple[int, ...]) -> list[ReceptiveField]:
    network.check_size(*size)
    followed = follow(module, network.in_channels, size)
    if any(reach is None for reach in followed.outputs):
        raise SpecError(f"the answer of {network.spec.name} does not depend on the image", do="Look at its forward")
    return [
        _field(
            [_one_axis(*one) for one in zip(reach.axes, size, followed.findings.lattice, strict=True)],
            followed.findings,
        )
        for reach in followed.outputs
        if reach is not None
    ]


@dataclass(frozen=True, slots=True)
class _AxisField:
    stride: int
    offset: int
    phases: tuple[tuple[int, int], ...]
    is_regular: bool


def _one_axis(axis: Axis, side: int, lattice: int) -> _AxisField:
    seen = axis.low <= axis.high
    if axis.dim is None or not seen.any():  # no places: the interval itself
        alone = (int(axis.low[0]), int(axis.high[0])) if seen.any() else (0, 0)
        return _AxisField(1, 0, (alone,), is_regular=True)
    stride = max(round(axis.step), 1)
    places = np.arange(len(axis.low))
    offset = (side - len(places)) // 2 if stride == 1 else 0
    low, high = axis.low - places * stride, axis.high - places * stride
    count = lattice // stride if lattice % stride == 0 else 1
    if 2 * count > len(places):  # no phase comes twice: take the worst
        count = 1
    phases = ((seen & (places % count == phase)).nonzero()[0] for phase in range(count))
    ends = tuple((int(low[phase].min()), int(high[phase].max())) for phase in phases)
    return _AxisField(stride, offset, ends, is_regular=axis.step == stride)


def _field(axes: list[_AxisField], findings: Findings) -> ReceptiveField:
    uneven = dict(findings.uneven)
    if not all(axis.is_regular for axis in axes):
        uneven.setdefault("the answer's size is no whole part of the input's")
    return ReceptiveField(
        lattice=tuple(findings.lattice),
        stride=tuple(axis.stride for axis in axes),
        offset=tuple(axis.offset for axis in axes),
        phases=tuple(axis.phases for axis in axes),
        global_layers=tuple(findings.whole),
        uneven_layers=tuple(uneven),
    )
