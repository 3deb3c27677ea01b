"""``pixelwise nets``: the catalogue, and one network's layer table beside its paper."""

from collections.abc import Mapping
from typing import Annotated, Literal

import typer

from pixelwise.cli.nets_list import SortKey, Wanted, print_list
from pixelwise.errors import UsageError


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
    layers: Annotated[
        bool, typer.Option("--layers", help="Of one network: every layer, also where there are hundreds.")
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
        _refuse_beside("--markdown", {
            str(name): name, **of_the_list, "--json": as_json, "--receptive-field": sees, "--layers": layers,
        })  # fmt: skip
        from pixelwise.cli.nets_families import family_table

        typer.echo(family_table())
    elif name is None and not (sees or layers):
        wanted = Wanted(task=task, family=family, years=year, max_parameters=max_params, max_macs=max_macs)
        print_list(wanted, sort=sort, descending=descending, as_json=as_json)
    elif name is None:
        raise UsageError(
            f"{'--receptive-field' if sees else '--layers'} without a network",
            expected="one network",
            do="Name it: pixelwise nets unet",
        )
    else:
        _refuse_beside(f"the network {name}", of_the_list)
        from pixelwise import catalogue

        if sees:
            _refuse_beside("--receptive-field", {"--layers": layers})
            from pixelwise.cli.receptive_field import print_receptive_field

            print_receptive_field(catalogue.spec(name), as_json=as_json)
        else:
            from pixelwise.cli.nets_one import print_one

            print_one(catalogue.spec(name), as_json=as_json, all_layers=layers)


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
