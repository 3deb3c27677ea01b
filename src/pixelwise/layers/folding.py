"""A copy of a network for prediction: the same numbers to float rounding, with fewer passes over memory.

In evaluation a batch normalisation is a fixed gain and shift of every map. Behind a convolution they are taken into its
weights; elsewhere they become one multiply-add. On processors, convolutions and their ReLU become one operation, whose
weights are arranged for it once (:mod:`pixelwise.layers.packing`).

The parts of every :class:`torch.nn.Sequential` are taken in their order. A module that calls its parts one after the
other in its own ``forward`` says so by :meth:`InOrder.in_order`.
"""

import copy
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar, cast, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.layers.convolution import has_hooks
from pixelwise.layers.packing import PackedConv2d, PackedLinear, can_pack

AnyModule = TypeVar("AnyModule", bound=nn.Module)
AnyConvolution = TypeVar("AnyConvolution", nn.Conv2d, nn.Conv3d)


@runtime_checkable
class InOrder(Protocol):
    """A module that passes what one part makes to the next one, and to nothing else."""

    def in_order(self) -> Sequence[Sequence[str]]:
        """Return the names of such parts, chain by chain; a part may lie deeper (``bottleneck.conv``)."""


class ScaleShift(nn.Module):
    """Batch normalisation by the statistics that it has, and the ReLU behind it if there is one."""

    gain: Tensor
    shift: Tensor

    def __init__(self, norm: nn.BatchNorm2d, *, is_rectified: bool) -> None:
        super().__init__()
        gain, shift = gain_and_shift(norm)
        like = norm.running_mean
        assert like is not None  # gain_and_shift has read it
        self.register_buffer("gain", gain[:, None, None].to(like))
        self.register_buffer("shift", shift[:, None, None].to(like))
        self.is_rectified = is_rectified

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        x = torch.addcmul(self.shift, x, self.gain)
        return F.relu(x, inplace=True) if self.is_rectified else x


def for_prediction(network: AnyModule) -> AnyModule:
    """Return a copy in evaluation mode that predicts faster; ``network`` and its parameters stay as they are.

    The copy shares the parameters that it does not fold. It gives no gradients, is not to be saved (its parameters have
    other names), and does not follow later changes of the network. Parts that have hooks, or that stand in several
    places, are left as they are.
    """
    shared = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    folded = copy.deepcopy(network, shared).eval()
    packs = all(map(can_pack, network.parameters()))
    places = Counter(id(part) for _, part in folded.named_modules(remove_duplicate=False))
    for chain in list(_chains(folded)):
        parts = {name: folded.get_submodule(name) for name in chain.names}
        for name, part in parts.items():
            if places[id(part)] > 1 or has_hooks(part) or (isinstance(part, nn.Linear) and not chain.is_at_pixels):
                parts[name] = nn.Identity()  # nothing that could be folded: the chain ends before it
        for name, part in _fold(parts, packs=packs).items():
            folded.set_submodule(name, part)
    return folded


def gain_and_shift(norm: nn.BatchNorm2d | nn.BatchNorm3d) -> tuple[Tensor, Tensor]:
    """Return what a batch normalisation in evaluation multiplies and adds, (C,) each, in double precision."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, variance = _exact(norm.running_mean), _exact(norm.running_var)
    gain = (variance + norm.eps).rsqrt()
    if norm.affine:
        gain = gain * _exact(norm.weight)
    shift = -mean * gain
    return gain, shift + _exact(norm.bias) if norm.affine else shift


def join(conv: AnyConvolution, norm: nn.BatchNorm2d | nn.BatchNorm3d) -> AnyConvolution:
    """Return one convolution that does what both do in evaluation."""
    gain, shift = gain_and_shift(norm)
    if conv.bias is not None:
        shift = shift + _exact(conv.bias) * gain
    weight = conv.weight.detach() * gain.view(-1, *[1] * (conv.weight.ndim - 1)).to(conv.weight)
    joined = copy.copy(conv)  # shares everything; the tensors are exchanged in a table of its own
    joined._parameters = {
        "weight": nn.Parameter(weight, requires_grad=False),
        "bias": nn.Parameter(shift.to(conv.weight), requires_grad=False),
    }
    return joined


class _Chain(NamedTuple):
    names: list[str]
    is_at_pixels: bool
    """Whether full connections in it work on every pixel: others see few rows, and packing doubles their memory."""


def _chains(network: nn.Module) -> Iterator[_Chain]:
    """Give names of parts that are called one after the other; at the end every convolution by itself."""
    for prefix, module in network.named_modules():
        dot = f"{prefix}." if prefix else ""
        if isinstance(module, InOrder):
            yield from (_Chain([dot + name for name in names], True) for names in module.in_order())
        elif type(module).forward is nn.Sequential.forward:
            yield _Chain([dot + name for name in module._modules], False)
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            yield _Chain([name], False)


def _fold(parts: dict[str, nn.Module], *, packs: bool) -> dict[str, nn.Module]:
    """Return what takes the place of some of the parts, which are called in their order."""
    waiting, made = deque(parts.items()), dict[str, nn.Module]()

    def take(kind: type[AnyModule]) -> AnyModule | None:
        """Take the next part if it can be folded and is of that kind; the identity may stand in its place."""
        if not waiting or type(waiting[0][1]) is not kind or not _is_foldable(waiting[0][1]):
            return None
        name, part = waiting.popleft()
        made[name] = nn.Identity()
        return cast("AnyModule", part)

    while waiting:
        name, _ = waiting[0]
        if conv := take(nn.Conv2d):
            if norm := take(nn.BatchNorm2d):
                conv = join(conv, norm)
            made[name] = PackedConv2d(conv, is_rectified=take(nn.ReLU) is not None) if packs else conv
        elif of_volumes := take(nn.Conv3d):
            along = take(nn.BatchNorm3d)
            made[name] = join(of_volumes, along) if along else of_volumes
        elif norm := take(nn.BatchNorm2d):
            made[name] = ScaleShift(norm, is_rectified=take(nn.ReLU) is not None)
        elif packs and (linear := take(nn.Linear)):
            made[name] = PackedLinear(linear, has_gelu=take(nn.GELU) is not None)
        else:
            waiting.popleft()
    return made


def _is_foldable(part: nn.Module) -> bool:
    match part:
        case nn.Conv2d() | nn.Conv3d():
            return part.padding_mode == "zeros" and not isinstance(part.padding, str)
        case nn.BatchNorm2d() | nn.BatchNorm3d():
            return part.running_mean is not None
        case nn.GELU():
            return part.approximate == "none"
    return True


def _exact(tensor: Tensor) -> Tensor:
    """Return the values in double precision, which only processors have everywhere."""
    return tensor.detach().cpu().double()
