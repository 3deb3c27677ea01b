"""Parameters, multiply-adds and output shapes, layer by layer and row by row of the paper's table.

Multiply-adds (MACs) are those of convolutions, transposed convolutions and full connections, for one image in
evaluation. A transposed convolution costs input pixels x kernel x maps in x maps out. Biases, normalisation,
activations, pooling and interpolation count nothing. These are the conventions of the papers' own figures.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pixelwise.specs import Network


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerRow:
    """One line of a layer table."""

    name: str
    """As in ``state_dict``; for a stage the name of the paper's row."""
    level: Literal["stage", "layer"]
    kind: str
    """The layer's class, such as Conv2d; for a stage empty."""
    output_shape: tuple[int, ...]
    """Of one image, without the batch: (C, H, W) or (C,)."""
    parameters: int
    """Trainable parameters; of a stage, of all its layers together."""
    macs: int


def meta_twin(network: Network) -> Network:
    """Build the same network without values, so that it can be run in no time and no memory."""
    with torch.device("meta"):
        return network.spec.build(network.in_channels, network.num_classes)


def count_parameters(network: nn.Module) -> int:
    """Count trainable parameters: weights, biases, gains and shifts; not running statistics."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def count_macs(network: Network, input_size: tuple[int, ...]) -> int:
    """Count the multiply-adds for one image of ``input_size``, (C, H, W) or (C, D, H, W), in evaluation."""
    return sum(row.macs for row in layer_table(network, input_size) if row.level == "layer")


def stage_shapes(network: Network, input_size: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Give the output shape (C, H, W) of every row of the paper's table, in order, for one image of ``input_size``."""
    return {row.name: row.output_shape for row in layer_table(network, input_size) if row.level == "stage"}


def layer_table(network: Network, input_size: tuple[int, ...]) -> list[LayerRow]:
    """List every stage of the network, followed by its layers, in the order of computation.

    Auxiliary heads stand where the network has them, without their layers: evaluation does not run them, so they have
    parameters and cost nothing.

    A twin of the network runs on a batch of no images: every shape is there, and nothing is computed. (On the meta
    device PyTorch would load its compiler for this, which takes more than a second.)

    Args:
        network: any network; it is neither run nor changed.
        input_size: channels, height and width of the image; channels, depth, height and width of a volume.

    Raises:
        SpecError: the network cannot take that size.

    """
    twin = _hollow(meta_twin(network)).eval()
    rows: list[LayerRow] = []
    hooks = []
    for stage_name, stage in twin.named_children():
        for name, layer in stage.named_modules(prefix=stage_name):
            if layer is not stage and not list(layer.children()):
                hooks.append(layer.register_forward_hook(_recorder(rows, name, "layer")))
        leaf = not list(stage.children())
        if leaf:
            hooks.append(stage.register_forward_hook(_recorder(rows, stage_name, "layer")))
        hooks.append(stage.register_forward_hook(_recorder(rows, stage_name, "stage")))
    with torch.no_grad():
        twin(torch.empty(0, *input_size))
    return _with_auxiliary_heads(twin, _stages_first(rows))


def _hollow(twin: Network) -> Network:
    """Move a network without values to the processor, into memory that is never touched."""
    for module in twin.modules():
        for name, old in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(torch.empty(old.shape), requires_grad=old.requires_grad))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, torch.zeros(buffer.shape, dtype=buffer.dtype))  # indices among them: 0 is legal
    return twin


def _recorder(rows: list[LayerRow], name: str, level: Literal["stage", "layer"]) -> Any:
    def record(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        row = LayerRow(
            name=name,
            level=level,
            kind=type(layer).__name__ if level == "layer" else "",
            output_shape=tuple(output.shape[1:]),
            parameters=count_parameters(layer),
            macs=_macs(layer, inputs[0], output) if level == "layer" else 0,
        )
        rows.append(row)

    return record


def _macs(layer: nn.Module, x: Tensor, y: Tensor) -> int:
    if isinstance(layer, (nn.ConvTranspose2d, nn.ConvTranspose3d)):
        return prod(x.shape[2:]) * layer.weight.numel()
    if isinstance(layer, (nn.Conv2d, nn.Conv3d)):
        return prod(y.shape[2:]) * layer.weight.numel()
    # A full connection may be applied at every pixel of (N, H, W, C), as ConvNeXt's are.
    return prod(y.shape[1:-1]) * layer.weight.numel() if isinstance(layer, nn.Linear) else 0


def _stages_first(rows: list[LayerRow]) -> list[LayerRow]:
    """Put each stage before its layers and sum their multiply-adds into it."""
    ordered: list[LayerRow] = []
    layers: list[LayerRow] = []
    for row in rows:
        if row.level == "layer":
            layers.append(row)
            continue
        stage = LayerRow(
            name=row.name,
            level="stage",
            kind="",
            output_shape=row.output_shape,
            parameters=row.parameters,
            macs=sum(layer.macs for layer in layers),
        )
        ordered += [stage, *layers]
        layers = []
    return ordered


def _with_auxiliary_heads(network: Network, rows: list[LayerRow]) -> list[LayerRow]:
    """Put auxiliary heads behind the stage that they follow in the network."""
    for (before, _), (name, head) in pairwise(network.named_children()):
        if name in network.auxiliary_heads:
            end = max(index for index, row in enumerate(rows) if row.name.split(".")[0] == before) + 1
            idle = LayerRow(
                name=name,
                level="stage",
                kind="",
                output_shape=(network.num_classes,),
                parameters=count_parameters(head),
                macs=0,
            )
            rows = [*rows[:end], idle, *rows[end:]]
    return rows
