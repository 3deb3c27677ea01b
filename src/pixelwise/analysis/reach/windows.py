"""Operations that look through windows: convolution, pooling, its inverse, interpolation, padding, cropping."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np

from pixelwise.analysis.reach.axis import Axis, Places, Reach, Window, collect, nothing
from pixelwise.analysis.reach.call import Call, Outcome


def _spread(value: Any, count: int) -> list[int]:
    """Return one number for each spatial dimension."""
    numbers = [value] if isinstance(value, int) else list(value)
    return [int(numbers[0])] * count if len(numbers) == 1 else [int(number) for number in numbers]


def _last_dims(call: Call, name: str, count: int) -> range:
    ndim = len(call.shape_of(name))
    return range(ndim - count, ndim)


def _through(axis: Axis, window: Window, places: int) -> Axis:
    """Join the old places in the window of each new one."""
    first = np.arange(places) * window.stride - window.padding
    taps = (first + tap * window.dilation for tap in range(window.kernel))
    return collect(axis, taps, axis.step * window.stride)


def _against(axis: Axis, window: Window, places: int) -> Axis:
    """Join the old places whose windows hold the new one: transposed convolution, unpooling."""

    def taps() -> Iterator[Places]:
        for tap in range(window.kernel):
            reached = np.arange(places) + window.padding - tap * window.dilation
            yield np.where(reached % window.stride == 0, reached // window.stride, -1)

    return collect(axis, taps(), axis.step / window.stride)


def _slide(call: Call, windows: Sequence[Window], way: Callable[[Axis, Window, int], Axis], name: str) -> Reach | None:
    reach = call.reach(name)
    if reach is None:
        return None
    dims = _last_dims(call, name, len(windows))
    sizes = call.shape[-len(windows) :]
    return call.along(reach, dims, lambda number, axis: way(axis, windows[number], sizes[number]))


def convolution(call: Call) -> Outcome:
    """Follow conv1d, conv2d and conv3d, their padding in pixels or by name."""
    _constant(call, "weight", "bias")
    kernel = call.shape_of("weight")[2:]
    count = len(kernel)
    stride, dilation = _spread(call["stride"], count), _spread(call["dilation"], count)
    if call["padding"] == "same":  # PyTorch puts an odd remainder behind
        padding = [(side - 1) * wide // 2 for side, wide in zip(kernel, dilation, strict=True)]
    else:
        padding = [0] * count if call["padding"] == "valid" else _spread(call["padding"], count)
    windows = [Window(*one, 0) for one in zip(kernel, stride, padding, dilation, strict=True)]
    return _slide(call, windows, _through, "input")


def transposed_convolution(call: Call) -> Outcome:
    """Follow conv_transpose1d, conv_transpose2d and conv_transpose3d."""
    _constant(call, "weight", "bias")
    kernel = call.shape_of("weight")[2:]
    count = len(kernel)
    stride, padding, dilation = (_spread(call[name], count) for name in ("stride", "padding", "dilation"))
    windows = [Window(*one, 0) for one in zip(kernel, stride, padding, dilation, strict=True)]
    return _slide(call, windows, _against, "input")


def pooling(call: Call) -> Outcome:
    """Follow maximum and average pooling; a maximum pooling may return indices too."""
    reach = call.reach("self")
    if reach is None:
        return None
    count = 3 if "3d" in call.name else 2 if "2d" in call.name else 1
    kernel = _spread(call["kernel_size"], count)
    stride = _spread(call["stride"], count) if call["stride"] else kernel
    dilation = _spread(call["dilation"], count) if call.has("dilation") else [1] * count
    sizes = call.shape_of("self")[-count:]
    numbers = zip(kernel, stride, _spread(call["padding"], count), dilation, sizes, strict=True)
    windows = tuple(Window(*one) for one in numbers)
    pooled = _slide(call, windows, _through, "self")
    assert pooled is not None
    if not isinstance(call.node.meta["val"], (tuple, list)):
        return pooled
    return pooled, Reach(pooled.axes, windows)


def unpooling(call: Call) -> Outcome:
    """Follow max_unpool2d and max_unpool3d: a place may receive from every window that holds it.

    The indices count places of the pooled map, so it must have the size of the result.
    """
    values, indices = call.reach("self"), call.reach("indices")
    if values is None or indices is None:
        raise call.refusal("values or indices that do not depend on the image")
    windows, count = indices.windows, len(call["output_size"])
    if not windows:
        raise call.refusal("indices that do not come from a maximum pooling")
    if tuple(window.size for window in windows) != call.shape[-count:]:
        raise call.refusal(f"indices of a map of another size than {call.shape[-count:]}")
    joint = call.join([values, Reach(indices.axes)])
    dims = _last_dims(call, "self", count)
    sizes = call.shape[-count:]
    return call.along(joint, dims, lambda number, axis: _against(axis, windows[number], sizes[number]))


def adaptive_pooling(call: Call) -> Outcome:
    """Follow adaptive pooling: none where the size stays, else it sees the whole image or bins that depend on it."""
    reach = call.reach("self")
    if reach is None:
        return None
    count = len(_spread(call["output_size"], 1)) if not isinstance(call["output_size"], int) else 1
    dims = _last_dims(call, "self", count)
    before, after = call.shape_of("self")[-count:], call.shape[-count:]

    def change(number: int, axis: Axis) -> Axis:
        if before[number] == after[number] and before[number] > 1:
            return axis
        call.note_whole()
        return nothing()

    pooled = call.along(reach, dims, change)
    return (pooled, pooled) if isinstance(call.node.meta["val"], (tuple, list)) else pooled


def interpolation(call: Call) -> Outcome:
    """Follow upsample_nearest, upsample_bilinear and upsample_trilinear, which also make maps smaller.

    Places of the source are found in whole numbers. Where the factor is no whole number, nor one over a whole number,
    it follows from the size of the image, and so does where places lie.
    """
    reach = call.reach("input") if call.has("input") else call.reach("self")
    name = "input" if call.has("input") else "self"
    if reach is None:
        return None
    count = len(call.shape) - 2
    before, after = call.shape_of(name)[2:], call.shape[2:]
    is_linear = "linear" in call.name
    if not is_linear and not call.name.startswith("upsample_nearest"):
        raise call.refusal("an interpolation that is neither linear nor nearest")
    has_corners = is_linear and bool(call["align_corners"])

    def change(number: int, axis: Axis) -> Axis:
        old, new = before[number], after[number]
        if axis.is_empty:
            return nothing()
        if old == new:
            return axis
        step = axis.step * Fraction(old, new)
        if has_corners or (old % new and new % old):
            call.note_uneven()
            step = Fraction(max(round(step), 1))  # what it is about; no lattice follows from the rest
        taps = _linear_taps(old, new, has_corners) if is_linear else [np.arange(new) * old // new]
        return collect(axis, taps, step)

    return call.along(reach, range(2, 2 + count), change)


def _linear_taps(old: int, new: int, has_corners: bool) -> list[Places]:
    """Return the two neighbours that each new place lies between; the second is none where its weight is zero."""
    places = np.arange(new)
    if has_corners:
        above, below = places * (old - 1), np.full(new, max(new - 1, 1))
    else:  # (place + 1/2) * old / new - 1/2, not below the first place
        above, below = np.maximum((2 * places + 1) * old - new, 0), np.full(new, 2 * new)
    first = above // below
    second = np.where(above % below > 0, np.minimum(first + 1, old - 1), -1)
    return [first, second]


def padding(call: Call) -> Outcome:
    """Follow constant padding, by a negative number too, and padding by reflection or repetition."""
    reach = call.reach("self")
    if reach is None:
        return None
    mode = call["mode"] if call.name == "pad" else call.name.split("_")[0]
    amounts, ndim = list(call["pad"] if call.has("pad") else call["padding"]), len(call.shape)
    dims = [ndim - 1 - number for number in range(len(amounts) // 2)]
    shape = call.shape_of("self")

    def change(number: int, axis: Axis) -> Axis:
        size = shape[dims[number]]
        source = np.arange(-amounts[2 * number], size + amounts[2 * number + 1])
        if mode in ("reflect", "reflection"):
            source = size - 1 - np.abs(size - 1 - np.abs(source))
        elif mode in ("replicate", "replication"):
            source = source.clip(0, size - 1)
        elif mode != "constant":
            raise call.refusal(f"padding by {mode}")
        return collect(axis, [source], axis.step)

    return call.along(reach, dims, change)


def cut(call: Call) -> Outcome:
    """Follow a slice."""
    reach = call.reach("self")
    if reach is None:
        return None
    dim = call["dim"] % len(call.shape)
    start, stop, step = slice(call["start"], call["end"], call["step"]).indices(call.shape_of("self")[dim])
    places = np.arange(start, stop, step)
    return call.along(reach, [dim], lambda _, axis: collect(axis, [places], axis.step * step))


def pasted(call: Call) -> Outcome:
    """Follow slice_scatter: some places of a tensor are replaced."""
    base, source = call.reach("self"), call.reach("src")
    dim = call["dim"] % len(call.shape)
    start, stop, step = slice(call["start"], call["end"], call["step"]).indices(call.shape[dim])
    both = [reach for reach in (base, source) if reach is not None]
    if any(axis.dim == dim for reach in both for axis in reach.axes) and (start, stop, step) != (0, call.shape[dim], 1):
        raise call.refusal("some places of a map are overwritten")
    return call.join(both) if both else None


def shuffled(call: Call) -> Outcome:
    """Follow pixel_shuffle: blocks of channels become blocks of pixels."""
    reach, factor = call.reach("self"), call["upscale_factor"]
    if reach is None:
        return None
    ndim = len(call.shape)

    def change(_: int, axis: Axis) -> Axis:
        return collect(axis, [np.arange(len(axis.low) * factor) // factor], axis.step / factor)

    return call.along(reach, (ndim - 2, ndim - 1), change)


def unshuffled(call: Call) -> Outcome:
    """Follow pixel_unshuffle: blocks of pixels become blocks of channels."""
    reach, factor = call.reach("self"), call["downscale_factor"]
    if reach is None:
        return None
    ndim = len(call.shape)
    window = Window(kernel=factor, stride=factor, padding=0, dilation=1, size=0)
    return call.along(
        reach, (ndim - 2, ndim - 1), lambda _, axis: _through(axis, window, floor(len(axis.low) / factor))
    )


def _constant(call: Call, *names: str) -> None:
    """Refuse weights that are made from the image."""
    for name in names:
        if call.has(name) and call.reach(name) is not None:
            raise call.refusal(f"its {name} depends on the image")
