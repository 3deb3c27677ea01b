"""``pixelwise nets``: the catalogue, and one network's layer table beside its paper."""

import json
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pixelwise.cli.nets_list import SortKey, Wanted, print_list

if TYPE_CHECKING:
    from pixelwise.specs import Spec

_SHOWN = 5


def nets(
    name: Annotated[str | None, typer.Argument(help="A network; without one, all are listed.")] = None,
    task: Annotated[
        Literal["classification", "segmentation"] | None, typer.Option(help="Only networks for this task.")
    ] = None,
    family: Annotated[str | None, typer.Option(help="Only one family, such as resnet.")] = None,
    year: Annotated[str | None, typer.Option(metavar="YEAR[-YEAR]", help="Only papers of these years.")] = None,
    max_params: Annotated[str | None, typer.Option(metavar="N", help="Only up to so many parameters (25M).")] = None,
    max_macs: Annotated[str | None, typer.Option(metavar="N", help="Only up to so many multiply-adds (4G).")] = None,
    sort: Annotated[SortKey, typer.Option(help="Order; family is that of the catalogue.")] = "family",
    descending: Annotated[bool, typer.Option("--descending", help="Largest first.")] = False,
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
        wanted = Wanted(task=task, family=family, years=year, max_parameters=max_params, max_macs=max_macs)
        print_list(wanted, sort=sort, descending=descending, as_json=as_json)
    else:
        _print_one(catalogue.spec(name), as_json)


def _print_one(spec: "Spec", as_json: bool) -> None:
    import torch

    from pixelwise.analysis.layers import layer_table

    facts = spec.facts
    assert facts is not None, "every row of the catalogue has facts"
    with torch.device("meta"):
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
        listed = " ".join(f"`{spec.name}`" for spec in specs[:_SHOWN])
        more = f" and {len(specs) - _SHOWN} more" if len(specs) > _SHOWN else ""
        sizes = list(dict.fromkeys(_rounded(count) for count in sorted(fact.params for fact in facts)))
        extent = sizes[0] if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        lines.append(f"| [{family}](docs/reference/networks.md#{family}) | {papers[0]} | {listed}{more} | {extent} |")
    return "\n".join(lines)


def _rounded(count: int) -> str:
    """Return 60.0 k, 25.6 M."""
    return f"{count / 1e6:.1f} M" if count >= 10**6 else f"{count / 1e3:.1f} k"
