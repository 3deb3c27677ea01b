"""One operation of an exported graph: its arguments by name, and what its tensors depend on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from pixelwise.analysis.reach.axis import Axis, Reach, Window, joined, merged, nothing
from pixelwise.errors import SpecError

Outcome = Reach | None | tuple["Outcome", ...]
"""None: a constant. Operations with several results have one outcome for each."""


@dataclass(slots=True)
class Findings:
    """What was noticed on the way through a graph."""

    axes: int
    """Of the input."""
    whole: dict[str, None] = field(default_factory=dict)
    """Layers that see the whole image, in their order."""
    uneven: dict[str, None] = field(default_factory=dict)
    """Layers whose places lie elsewhere in images of another size."""
    lattice: list[int] = field(default_factory=list)
    """Period in input pixels along each axis."""


class Call:
    """An operation with its arguments.

    Args:
        node: of the graph; its results' shapes are known.
        known: what the nodes before it depend on.
        findings: where layers are noted.

    """

    def __init__(self, node: fx.Node, known: dict[fx.Node, Outcome], findings: Findings) -> None:
        self.node, self.findings, self._known = node, findings, known
        target = node.target
        assert isinstance(target, torch._ops.OpOverload)
        self.name = target._schema.name.removeprefix("aten::")
        self.arguments: dict[str, Any] = {
            argument.name: argument.default_value if argument.has_default_value() else None
            for argument in target._schema.arguments
        }
        names = [argument.name for argument in target._schema.arguments]
        self.arguments.update(zip(names, node.args, strict=False))
        self.arguments.update(node.kwargs)

    def __getitem__(self, name: str) -> Any:
        """Return an argument, its default where it was left out."""
        return self.arguments[name]

    def has(self, name: str) -> bool:
        """Say whether the operation has such an argument, and it is not None."""
        return self.arguments.get(name) is not None

    @property
    def layer(self) -> str:
        """Name of the layer that calls the operation, with the operation: ``aspp.pool (mean)``."""
        stack = list(self.node.meta.get("nn_module_stack", {}).values())
        path = stack[-1][0] if stack else ""
        return f"{path} ({self.name})" if path else self.name

    def outcome(self, value: Any) -> Outcome:
        """Return what an argument depends on."""
        return self._known[value] if isinstance(value, fx.Node) else None

    def reach(self, name: str) -> Reach | None:
        """Return what a tensor among the arguments depends on; None: it is constant."""
        found = self.outcome(self[name])
        assert not isinstance(found, tuple)
        return found

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor among the arguments."""
        return tuple(self[name].meta["val"].shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the result, of the first one where there are several."""
        value = self.node.meta["val"]
        return tuple((value[0] if isinstance(value, (tuple, list)) else value).shape)

    def tensors(self) -> list[fx.Node]:
        """Return the tensors among the arguments, also those in lists."""
        found: list[fx.Node] = []
        for value in self.arguments.values():
            found += [
                one for one in (value if isinstance(value, (tuple, list)) else [value]) if isinstance(one, fx.Node)
            ]
        return found

    def refusal(self, what: str) -> SpecError:
        """Return the error that this operation cannot be followed."""
        return SpecError(
            f"the receptive field cannot be followed through {self.layer}: {what}",
            expected="operations that pixelwise.analysis.reach knows, each with its rule",
            do="Add its rule to pixelwise/analysis/reach/table.py",
        )

    def note_whole(self) -> None:
        """Note that the layer sees the whole image."""
        self.findings.whole[self.layer] = None

    def note_uneven(self) -> None:
        """Note that the layer's places depend on the size of the image."""
        self.findings.uneven[self.layer] = None

    def along(
        self, reach: Reach, dims: Sequence[int], change: Callable[[int, Axis], Axis], windows: tuple[Window, ...] = ()
    ) -> Reach:
        """Change the axes whose places lie along some dimensions.

        Args:
            reach: of the tensor that is read.
            dims: dimensions of that tensor, counted from 0.
            change: from the number of the dimension in ``dims``, and the axis, to the new axis.
            windows: of the new reach.

        """
        order = list(dims)
        axes = (axis if axis.dim not in order else change(order.index(axis.dim), axis) for axis in reach.axes)
        return Reach(tuple(axes), windows)

    def without(self, reach: Reach, dims: Sequence[int]) -> Reach:
        """Join all places along some dimensions; where there is more than one, the layer sees the whole image.

        What sees the whole image is noted and not followed any further, so that the rest of the network can be.
        """

        def change(_: int, axis: Axis) -> Axis:
            if len(axis.low) == 1 or axis.is_empty:
                return merged(axis)
            self.note_whole()
            return nothing()

        return self.along(reach, dims, change)

    def join(self, reaches: Sequence[Reach]) -> Reach:
        """Join what tensors of one number of dimensions depend on, place by place."""
        axes = list(reaches[0].axes)
        for other in reaches[1:]:
            for number, (one, another) in enumerate(zip(axes, other.axes, strict=True)):
                both = one.dim is not None and another.dim is not None
                if both and one.step != another.step and not (one.is_empty or another.is_empty):
                    self.note_uneven()
                try:
                    axes[number] = joined(another, one) if one.is_empty else joined(one, another)
                except ValueError as error:
                    raise self.refusal(str(error)) from None
        return Reach(tuple(axes))
