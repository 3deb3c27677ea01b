"""One network beside its paper: what was published of it, what it costs, and its layers."""

import json
from typing import TYPE_CHECKING, Any

import typer

from pixelwise.cli.tables import print_table

if TYPE_CHECKING:
    from pixelwise.analysis import LayerRow
    from pixelwise.specs import Facts, Spec

MOST_ROWS = 100
"""Of more layers, only the direct children are listed unless all are asked for."""


def print_one(spec: "Spec", *, as_json: bool, all_layers: bool) -> None:
    """Print what is known of a row of the catalogue, then its layers; as JSON all of them."""
    import torch

    from pixelwise.analysis import layer_table

    facts = spec.facts
    assert facts is not None, "every row of the catalogue has facts"
    with torch.device("meta"):
        network = spec.build(facts.input_size[0], facts.num_classes)
    table = layer_table(network, facts.input_size)
    if as_json:
        typer.echo(json.dumps(_to_json(spec, facts, table), indent=1))
        return
    _print_summary(spec, facts)
    stages = {row.name for row in table if row.level == "stage"}
    rows = [row for row in table if row.level == "stage" or row.name not in stages]  # one layer would be listed twice
    are_all = all_layers or len(rows) <= MOST_ROWS
    shown = rows if are_all else [row for row in rows if row.level == "stage"]
    typer.echo()
    print_table(("layer", "kind", "output", "parameters", "MACs"), [_cells(row) for row in shown])
    if not are_all:
        inner = len(rows) - len(shown)
        typer.echo(f"{inner} layers within these are left out: pixelwise nets {spec.name} --layers lists all")


def _print_summary(spec: "Spec", facts: "Facts") -> None:
    from pixelwise.analysis import show_score

    paper = facts.paper
    source = f"{paper.authors}, “{paper.title}”, {paper.venue} ({paper.link})"
    if facts.variant:
        typer.echo(f"{spec.name}: not in the paper, but a variant of it ({facts.variant}).\nThe paper: {source}")
    else:
        typer.echo(f"{spec.name}: {source}, {facts.table}")
    typer.echo(", ".join(f"{key}={value}" for key, value in spec.to_json()["columns"].items()))
    printed = f" (the paper prints {facts.paper_params})" if facts.paper_params else ""
    size = " x ".join(map(str, facts.input_size))
    typer.echo(f"{facts.params:,} parameters{printed}, {facts.macs:,} MACs for one input of {size}")
    for result in facts.published:
        typer.echo(
            f"published: {show_score(result.metric, result.value)} on {result.dataset} "
            f"({result.protocol}; {result.source})"
        )


def _cells(row: "LayerRow") -> tuple[object, ...]:
    name = row.name if row.level == "stage" else f"  {row.name}"
    return name, row.kind, "x".join(map(str, row.output_shape)), row.parameters, row.macs


def _to_json(spec: "Spec", facts: "Facts", table: "list[LayerRow]") -> dict[str, Any]:
    return {
        **spec.to_json(),
        "paper": {"title": facts.paper.title, "year": facts.paper.year, "link": facts.paper.link},
        "table": None if facts.variant else facts.table,
        "variant": facts.variant or None,
        "parameters": facts.params,
        "macs": facts.macs,
        "published": [
            {"dataset": result.dataset, "metric": result.metric, "value": result.value, "protocol": result.protocol,
             "source": result.source}
            for result in facts.published
        ],
        "layers": [
            {"name": row.name, "level": row.level, "kind": row.kind, "output_shape": row.output_shape,
             "parameters": row.parameters, "macs": row.macs}
            for row in table
        ],
    }  # fmt: skip
