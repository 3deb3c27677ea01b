"""``pixelwise nets``: the catalogue, and one network's layer table beside its paper."""

import json
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from pixelwise.specs import Spec


def nets(
    name: Annotated[str | None, typer.Argument(help="A network; without one, all are listed.")] = None,
    task: Annotated[
        Literal["classification", "segmentation"] | None, typer.Option(help="Only networks for this task.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the README's table, a row for each family.")
    ] = False,
) -> None:
    """List the networks, or show one network's layers beside its paper's facts."""
    from pixelwise import catalogue

    if markdown:
        typer.echo(family_table())
    elif name is None:
        specs = [catalogue.spec(known) for known in catalogue.names()]
        _print_list([spec for spec in specs if task in (None, spec.task)], as_json)
    else:
        _print_one(catalogue.spec(name), as_json)


def _print_list(specs: "list[Spec]", as_json: bool) -> None:
    headers = ("name", "task", "year", "input", "parameters", "MACs")
    rows = [
        (
            spec.name,
            spec.task,
            str(spec.facts.paper.year),
            "x".join(map(str, spec.facts.input_size)),
            spec.facts.params,
            spec.facts.macs,
        )
        for spec in specs
        if spec.facts
    ]
    if as_json:
        typer.echo(json.dumps([dict(zip(headers, row, strict=True)) for row in rows], indent=1))
        return
    from pixelwise.cli.tables import print_table

    print_table(headers, rows)


def _print_one(spec: "Spec", as_json: bool) -> None:
    from pixelwise.analysis.layers import layer_table

    facts = spec.facts
    assert facts is not None, "every row of the catalogue has facts"
    network = spec.build(facts.input_size[0], facts.num_classes)
    table = layer_table(network, facts.input_size)
    if as_json:
        content = {
            **spec.to_json(),
            "paper": {"title": facts.paper.title, "year": facts.paper.year, "link": facts.paper.link},
            "table": None if facts.variant else facts.table,
            "variant": facts.variant or None,
            "parameters": facts.params,
            "macs": facts.macs,
            "layers": [
                {"name": row.name, "level": row.level, "kind": row.kind, "output_shape": row.output_shape,
                 "parameters": row.parameters, "macs": row.macs}
                for row in table
            ],
        }  # fmt: skip
        typer.echo(json.dumps(content, indent=1))
        return
    from pixelwise.cli.tables import print_table

    paper = facts.paper
    source = f"{paper.authors}, “{paper.title}”, {paper.venue} ({paper.link})"
    if facts.variant:
        typer.echo(f"{spec.name}: not in the paper, but a variant of it ({facts.variant}).\nThe paper: {source}")
    else:
        typer.echo(f"{spec.name}: {source}, {facts.table}")
    typer.echo(", ".join(f"{key}={value}" for key, value in spec.to_json()["columns"].items()))
    stages = {row.name for row in table if row.level == "stage"}
    rows = [
        (
            row.name if row.level == "stage" else f"  {row.name}",
            row.kind,
            "x".join(map(str, row.output_shape)),
            row.parameters,
            row.macs,
        )
        for row in table
        if row.level == "stage" or row.name not in stages  # a stage of one layer would be listed twice
    ]
    print_table(("layer", "kind", "output", "parameters", "MACs"), rows)
    printed = f" (the paper prints {facts.paper_params})" if facts.paper_params else ""
    typer.echo(f"{facts.params:,} parameters{printed}, {facts.macs:,} MACs for one {facts.input_size} input")
    for result in facts.published:
        typer.echo(
            f"published: {result.dataset}, {result.metric} {result.value:g} ({result.protocol}; {result.source})"
        )


def family_table() -> str:
    """Return the README's table of networks, one row a family, as Markdown; a test compares the two."""
    from pixelwise import catalogue

    families: dict[str, list[Spec]] = {}
    for known in catalogue.names():
        spec = catalogue.spec(known)
        families.setdefault(spec.family, []).append(spec)
    lines = ["| family | paper | networks | parameters |", "|---|---|---|---|"]
    for family, specs in families.items():
        facts = [spec.facts for spec in specs if spec.facts]
        papers = list(dict.fromkeys(f"{fact.paper.title}, {fact.paper.year}" for fact in facts))
        smallest, largest = min(fact.params for fact in facts), max(fact.params for fact in facts)
        listed = " ".join(f"`{spec.name}`" for spec in specs)
        lines.append(f"| {family} | {papers[0]} | {listed} | {smallest:,} to {largest:,} |")
    return "\n".join(lines)
