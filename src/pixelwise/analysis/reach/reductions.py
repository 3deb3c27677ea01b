"""Operations that take many places together: means, normalisations over space, full connections."""

from pixelwise.analysis.reach.axis import Axis, Reach
from pixelwise.analysis.reach.call import Call, Outcome


def reduction(call: Call) -> Outcome:
    """Follow sum, mean, amax, variance and the like over some dimensions."""
    reach = call.reach("self")
    if reach is None:
        return None
    ndim = len(call.shape_of("self"))
    given = call["dim"] if "dim" in call.arguments else None
    dims = list(range(ndim)) if given is None or given == [] else [given] if isinstance(given, int) else list(given)
    dims = [dim % ndim for dim in dims]
    reduced = call.without(reach, dims)
    if not ("keepdim" in call.arguments and call["keepdim"]):
        reduced = Reach(tuple(_moved(axis, dims) for axis in reduced.axes))
    return (reduced, reduced) if isinstance(call.node.meta["val"], (tuple, list)) else reduced


def _moved(axis: Axis, gone: list[int]) -> Axis:
    return axis if axis.dim is None else axis.at(axis.dim - sum(dim < axis.dim for dim in gone))


def softmax(call: Call) -> Outcome:
    """Follow softmax and log_softmax: along places every one sees all of them."""
    reach = call.reach("self")
    return None if reach is None else call.without(reach, [call["dim"] % len(call.shape)])


def layer_normalisation(call: Call) -> Outcome:
    """Follow layer_norm over the last dimensions."""
    reach = call.reach("input")
    if reach is None:
        return None
    ndim = len(call.shape)
    return call.without(reach, range(ndim - len(call["normalized_shape"]), ndim))


def space_normalisation(call: Call) -> Outcome:
    """Follow group_norm and instance_norm, whose statistics are those of the whole map."""
    reach = call.reach("input") if call.has("input") else call.reach("self")
    return None if reach is None else call.without(reach, range(2, len(call.shape)))


def batch_normalisation(call: Call) -> Outcome:
    """Follow batch normalisation: by the statistics that it has, place by place; by those of the batch, over space."""
    reach = call.reach("input")
    if reach is None:
        return None
    is_fixed = call.name.endswith("no_training") or not call["training"]
    outcome = reach if is_fixed else call.without(reach, range(2, len(call.shape)))
    several = isinstance(call.node.meta["val"], (tuple, list))
    return (outcome, None, None) if several else outcome


def full_connection(call: Call) -> Outcome:
    """Follow linear: places along the last dimension are all seen at once."""
    reach = call.reach("input")
    if call.reach("weight") is not None:
        raise call.refusal("its weights depend on the image")
    return None if reach is None else call.without(reach, [len(call.shape_of("input")) - 1])


def product(call: Call) -> Outcome:
    """Follow matmul, mm and bmm of a tensor with a constant, and addmm."""
    first, second = ("mat1", "mat2") if call.has("mat1") else ("self", "mat2" if call.has("mat2") else "other")
    left, right = call.reach(first), call.reach(second)
    if left is not None and right is not None:
        raise call.refusal("both factors depend on the image")
    if left is not None:
        return call.without(left, [len(call.shape_of(first)) - 1])
    if right is not None:
        return call.without(right, [max(len(call.shape_of(second)) - 2, 0)])
    return None
