"""Operations that only arrange: views, permutations, concatenations; and those that work on each place by itself."""

from itertools import pairwise
from math import prod

import numpy as np

from pixelwise.analysis.reach.axis import Axis, Places, Reach
from pixelwise.analysis.reach.call import Call, Outcome


def constant(_: Call) -> Outcome:
    """Follow what makes a tensor without looking at the values of others."""
    return None


def same(call: Call) -> Outcome:
    """Follow what hands on its first tensor."""
    return call.outcome(call.tensors()[0])


def place_by_place(call: Call) -> Outcome:
    """Follow functions of each place, of one or several tensors, which are broadcast."""
    aligned = []
    for node in call.tensors():
        reach = call.outcome(node)
        if reach is not None:
            assert isinstance(reach, Reach)
            aligned.append(_shifted(reach, len(call.shape) - len(node.meta["val"].shape)))
    return call.join(aligned) if aligned else None


def concatenation(call: Call) -> Outcome:
    """Follow cat: along channels places are joined, along places they follow one another."""
    dim = call["dim"] % len(call.shape)
    nodes = call["tensors"]
    reaches = [reach for reach in (call.outcome(node) for node in nodes) if isinstance(reach, Reach)]
    if not reaches:
        return None
    if not any(axis.dim == dim for reach in reaches for axis in reach.axes):
        return call.join(reaches)
    if len(reaches) < len(nodes):
        raise call.refusal("constants beside places of the image")
    return Reach(tuple(_end_to_end(call, [reach.axes[number] for reach in reaches], dim)
                       for number in range(len(reaches[0].axes))))  # fmt: skip


def _end_to_end(call: Call, axes: list[Axis], dim: int) -> Axis:
    if any(axis.dim != dim for axis in axes):
        raise call.refusal("places along different dimensions")
    call.note_uneven()  # where the second part begins follows from the size of the first
    low, high = (np.concatenate([getattr(axis, end) for axis in axes]) for end in ("low", "high"))
    return Axis(dim, low, high, axes[0].step)


def stacked(call: Call) -> Outcome:
    """Follow stack: a new dimension."""
    dim = call["dim"] % len(call.shape)
    reaches = [reach for reach in map(call.outcome, call["tensors"]) if isinstance(reach, Reach)]
    return _inserted(call.join(reaches), dim) if reaches else None


def unsqueezed(call: Call) -> Outcome:
    """Follow unsqueeze: a new dimension of one place."""
    reach = call.reach("self")
    return None if reach is None else _inserted(reach, call["dim"] % len(call.shape))


def permuted(call: Call) -> Outcome:
    """Follow permute, transpose and t."""
    reach = call.reach("self")
    if reach is None:
        return None
    ndim = len(call.shape)
    order = list(range(ndim))
    if call.has("dims"):
        order = [dim % ndim for dim in call["dims"]]
    elif call.has("dim0"):
        first, second = call["dim0"] % ndim, call["dim1"] % ndim
        order[first], order[second] = second, first
    else:
        order.reverse()
    return Reach(tuple(axis if axis.dim is None else axis.at(order.index(axis.dim)) for axis in reach.axes))


def selected(call: Call) -> Outcome:
    """Follow select: one place of a dimension, which goes."""
    reach, ndim = call.reach("self"), len(call.shape) + 1
    if reach is None:
        return None
    dim, place = call["dim"] % ndim, call["index"]
    axes = []
    for axis in reach.axes:
        if axis.dim == dim:
            call.note_uneven()
            axes.append(Axis(None, axis.low[[place]], axis.high[[place]]))
        else:
            axes.append(axis if axis.dim is None or axis.dim < dim else axis.at(axis.dim - 1))
    return Reach(tuple(axes))


def split(call: Call) -> Outcome:
    """Follow split, split_with_sizes, chunk and unbind along channels: every part has the same places."""
    reach = call.reach("self")
    count = len(call.node.meta["val"])
    if reach is None:
        return (None,) * count
    dim = call["dim"] % len(call.shape_of("self"))
    if any(axis.dim == dim for axis in reach.axes):
        raise call.refusal("places are dealt out")
    if call.name == "unbind":
        reach = Reach(
            tuple(axis if axis.dim is None or axis.dim < dim else axis.at(axis.dim - 1) for axis in reach.axes)
        )
    return (reach,) * count


def picked(call: Call) -> Outcome:
    """Follow index and index_select by constant numbers along channels."""
    reach = call.reach("self")
    if reach is None:
        return None
    if call.name == "index_select":
        dims, numbers = [call["dim"] % len(call.shape)], [call["index"]]
    else:
        dims = [dim for dim, index in enumerate(call["indices"]) if index is not None]
        numbers = [call["indices"][dim] for dim in dims]
    is_plain = len(dims) == 1 and call.outcome(numbers[0]) is None
    if not is_plain or any(axis.dim == dims[0] for axis in reach.axes):
        raise call.refusal("places are picked by numbers")
    extra = len(call.shape) - len(call.shape_of("self"))
    return Reach(tuple(axis if axis.dim is None or axis.dim < dims[0] else axis.at(axis.dim + extra)
                       for axis in reach.axes))  # fmt: skip


def viewed(call: Call) -> Outcome:
    """Follow view, reshape, flatten, unflatten, squeeze: the same values in the same order, in other dimensions."""
    reach = call.reach("self")
    if reach is None:
        return None
    groups = _groups(call.shape_of("self"), call.shape)
    axes = []
    for axis in reach.axes:
        if axis.dim is None:
            axes.append(axis)
            continue
        old, new = next(pair for pair in groups if axis.dim in pair[0])
        axes.append(_regrouped(call, axis, list(old), list(new)))
    return Reach(tuple(axes))


def _regrouped(call: Call, axis: Axis, old: list[int], new: list[int]) -> Axis:
    """Find the new dimension along which the places of an axis differ, among those that take the old ones' place."""
    assert axis.dim is not None
    before, after = call.shape_of("self"), call.shape
    if len(axis.low) == 1:
        return Axis(None, axis.low, axis.high)
    place = [1] * len(old)
    place[old.index(axis.dim)] = -1
    index = np.broadcast_to(np.arange(len(axis.low)).reshape(place), [before[dim] for dim in old])
    index = index.reshape([after[dim] for dim in new])
    differing = [number for number in range(len(new)) if _differs(index, number)]
    if len(differing) != 1:
        raise call.refusal("places are spread over several dimensions")
    along = differing[0]
    order = np.moveaxis(index, along, 0).reshape(index.shape[along], -1)[:, 0]
    return Axis(new[along], axis.low[order], axis.high[order], axis.step)


def _differs(index: Places, number: int) -> bool:
    return bool((np.diff(index, axis=number) != 0).any())


def _groups(old: tuple[int, ...], new: tuple[int, ...]) -> list[tuple[range, range]]:
    """Pair the fewest consecutive dimensions of two shapes that hold the same number of values."""
    ends = [(0, 0)]
    for end in range(1, len(old) + 1):
        values = prod(old[:end])
        match = next((other for other in range(ends[-1][1] + 1, len(new) + 1) if prod(new[:other]) == values), None)
        if match is not None:
            ends.append((end, match))
    ends[-1] = (len(old), len(new))
    return [(range(a, b), range(c, d)) for (a, c), (b, d) in pairwise(ends)]


def _shifted(reach: Reach, by: int) -> Reach:
    return Reach(tuple(axis if axis.dim is None else axis.at(axis.dim + by) for axis in reach.axes))


def _inserted(reach: Reach, dim: int) -> Reach:
    return Reach(tuple(axis if axis.dim is None or axis.dim < dim else axis.at(axis.dim + 1) for axis in reach.axes))


def broadcast(call: Call) -> Outcome:
    """Follow expand, whose new dimensions come first."""
    reach = call.reach("self")
    return None if reach is None else _shifted(reach, len(call.shape) - len(call.shape_of("self")))


def repeated(call: Call) -> Outcome:
    """Follow repeat along channels, whose new dimensions come first."""
    reach = call.reach("self")
    if reach is None:
        return None
    by = len(call.shape) - len(call.shape_of("self"))
    shifted = _shifted(reach, by)
    if any(axis.dim is not None and call["repeats"][axis.dim] != 1 for axis in shifted.axes):
        raise call.refusal("places are repeated")
    return shifted


def copied(call: Call) -> Outcome:
    """Follow copy: what stood there before is gone."""
    source = call.reach("src")
    return None if source is None else _shifted(source, len(call.shape) - len(call.shape_of("src")))
