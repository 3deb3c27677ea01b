"""``pixelwise nets``: the catalogue, and one network's layer table beside its paper."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pixelwise.cli.nets_list import SortKey, Wanted, print_list
from pixelwise.errors import UsageError

if TYPE_CHECKING:
    from pixelwise.specs import Spec


def nets(
    name: Annotated[str | None, typer.Argument(help="A network; without one, all are listed.")] = None,
    task: Annotated[
        Literal["classification", "segmentation", "sequence"] | None, typer.Option(help="Only networks for this task.")
    ] = None,
    family: Annotated[str | None, typer.Option(help="Only one family, such as resnet.")] = None,
    year: Annotated[str | None, typer.Option(metavar="YEAR[-YEAR]", help="Only papers of these years.")] = None,
    max_params: Annotated[str | None, typer.Option(metavar="N", help="Only up to so many parameters (25M).")] = None,
    max_macs: Annotated[str | None, typer.Option(metavar="N", help="Only up to so many multiply-adds (4G).")] = None,
    sort: Annotated[SortKey, typer.Option(help="Order; family is that of the catalogue.")] = "family",
    descending: Annotated[bool, typer.Option("--descending", help="Largest first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    sees: Annotated[
        bool, typer.Option("--receptive-field", help="Of one network: what its answers depend on, instead of layers.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the README's table, a row for each family.")
    ] = False,
) -> None:
    """List the networks, or show one network's layers beside its paper's facts."""
    of_the_list = {
        "--task": task, "--family": family, "--year": year, "--max-params": max_params, "--max-macs": max_macs,
        "--sort": sort != "family", "--descending": descending,
    }  # fmt: skip
    if markdown:
        _refuse_beside("--markdown", {str(name): name, **of_the_list, "--json": as_json, "--receptive-field": sees})
        from pixelwise.cli.nets_families import family_table

        typer.echo(family_table())
    elif name is None and not sees:
        wanted = Wanted(task=task, family=family, years=year, max_parameters=max_params, max_macs=max_macs)
        print_list(wanted, sort=sort, descending=descending, as_json=as_json)
    elif name is None:
        raise UsageError(
            "--receptive-field without a network", expected="one network", do="Name it: pixelwise nets unet"
        )
    else:
        _refuse_beside(f"the network {name}", of_the_list)
        from pixelwise import catalogue

        if sees:
            from pixelwise.cli.receptive_field import print_receptive_field

            print_receptive_field(catalogue.spec(name), as_json=as_json)
        else:
            _print_one(catalogue.spec(name), as_json)


def _refuse_beside(chosen: str, others: Mapping[str, object]) -> None:
    """Refuse what has no meaning beside ``chosen``.

    Raises:
        UsageError: something of ``others`` was given too.

    """
    given = [option for option, value in others.items() if value not in (None, False)]
    if given:
        raise UsageError(
            f"{', '.join(given)} beside {chosen}",
            expected="either the list, which can be filtered and sorted, one network, or the README's table",
            do=f"Leave {given[0]} out",
        )


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
