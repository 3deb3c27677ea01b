"""``pixelwise nets NAME --receptive-field``: what a network's answers depend on."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pixelwise.analysis.receptive_field import ReceptiveField
    from pixelwise.specs import Spec


def print_receptive_field(spec: "Spec", *, as_json: bool) -> None:
    """Print what the answers and the levels of the feature pyramid of a row of the catalogue see."""
    import torch

    from pixelwise.analysis.receptive_field import receptive_field, stage_fields

    facts = spec.facts
    assert facts is not None, "every row of the catalogue has facts"
    with torch.device("meta"):
        network = spec.build(facts.input_size[0], facts.num_classes)
    found = {**stage_fields(network), "answer": receptive_field(network)}
    if as_json:
        typer.echo(json.dumps({name: asdict(field) for name, field in found.items()}, indent=1))
        return
    for name, field in found.items():
        typer.echo(f"{name}: {describe(field)}")


def describe(field: "ReceptiveField") -> str:
    """Say what a place sees: ``sees 188 x 188 to 204 x 204 pixels; lattice 16 x 16``."""
    smallest, largest, lattice, stride = (
        " x ".join(map(str, sides)) for sides in (field.smallest, field.largest, field.lattice, field.stride)
    )
    if field.global_layers:
        return f"sees the whole image ({', '.join(field.global_layers)})"
    sees = f"sees {largest} pixels" if smallest == largest else f"sees {smallest} to {largest} pixels"
    steps = "" if max(field.stride) == 1 else f"; every {stride} pixels"
    uneven = f"; places depend on the image's size ({', '.join(field.uneven_layers)})" if field.uneven_layers else ""
    return f"{sees}{steps}; lattice {lattice}{uneven}"
