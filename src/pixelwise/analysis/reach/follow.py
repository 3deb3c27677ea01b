"""From a network and a size to what each place of its output depends on, through the network's exported graph."""

import operator
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import torch
from torch import fx, nn

from pixelwise.analysis.reach.axis import Reach, whole_input
from pixelwise.analysis.reach.call import Call, Findings, Outcome
from pixelwise.analysis.reach.table import RULES
from pixelwise.errors import SpecError


@dataclass(frozen=True, slots=True)
class Followed:
    """What was found for one size of the input."""

    outputs: tuple[Reach | None, ...]
    """Of every tensor that the network returns."""
    findings: Findings


def exported(network: nn.Module, batch: torch.Tensor) -> fx.Graph:
    """Export the graph of a network in evaluation, without operations that overwrite.

    Args:
        network: on the meta device, where nothing is computed; in evaluation.
        batch: (1, C, *size), likewise.

    """
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's exporter calls parts of PyTorch that PyTorch wants replaced
        program = torch.export.export(network, (batch,), strict=False)
        return program.run_decompositions({}).graph


def follow(network: nn.Module, in_channels: int, size: Sequence[int]) -> Followed:
    """Follow the dependence on an image of ``size`` through the network's graph.

    Args:
        network: on the meta device, in evaluation; returns a tensor, or several.
        in_channels: channels of the image.
        size: height and width; depth, height and width.

    Raises:
        SpecError: an operation that no rule is known for; it is named.

    """
    graph = exported(network, torch.empty(1, in_channels, *size, device="meta"))
    findings = Findings(axes=len(size), lattice=[1] * len(size))
    known: dict[fx.Node, Outcome] = {}
    image = next(node for node in reversed(graph.find_nodes(op="placeholder")))
    outputs: list[Outcome] = []
    for node in graph.nodes:
        if node is image:
            known[node] = whole_input(size)
        elif node.op == "call_function":
            known[node] = _outcome(node, known, findings)
            _refine(findings, known[node])
        elif node.op == "output":
            outputs = [known[one] for one in node.args[0]]
        else:
            known[node] = None
    assert all(not isinstance(outcome, tuple) for outcome in outputs)
    return Followed(tuple(one for one in outputs if not isinstance(one, tuple)), findings)


def _outcome(node: fx.Node, known: dict[fx.Node, Outcome], findings: Findings) -> Outcome:
    if node.target is operator.getitem:
        several, number = node.args
        assert isinstance(several, fx.Node)
        found = known[several]
        assert isinstance(number, int)
        return found[number] if isinstance(found, tuple) else found
    if not isinstance(node.target, torch._ops.OpOverload):
        raise SpecError(
            f"the receptive field cannot be followed through {node.target}",
            expected="operations of PyTorch's ATen",
            do="Write the network with these",
        )
    call = Call(node, known, findings)
    rule = RULES.get(call.name)
    if rule is None:
        if all(known[one] is None for one in call.tensors()):
            return None  # made of constants only
        raise call.refusal("no rule is known for it")
    return rule(call)


def _refine(findings: Findings, outcome: Outcome) -> None:
    """Make the lattice so coarse that a shift by it is a whole number of places here too."""
    if isinstance(outcome, tuple):
        for one in outcome:
            _refine(findings, one)
    elif outcome is not None:
        for number, axis in enumerate(outcome.axes):
            step = Fraction(1) if axis.dim is None or axis.is_empty else axis.step
            findings.lattice[number] = lcm(findings.lattice[number], step.numerator)
