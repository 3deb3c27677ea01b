"""``pixelwise weights``: where published weights lie, and fetching them."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pixelwise.cli.options import Quiet
from pixelwise.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pixelwise.weights.published import PublishedWeights


def weights(
    net: Annotated[str | None, typer.Argument(help="A network; without one, all entries are listed.")] = None,
    download: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Fetch the network's weights into this folder.")
    ] = None,
    publisher: Annotated[
        str | None,
        typer.Option(help="Whose weights to list or to fetch, as the list names it; by default the first is fetched."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """List where the published weights of a network lie, with licence and checksum, and fetch them on request."""
    from pixelwise import catalogue
    from pixelwise.weights.published import PUBLISHED, choose, of_publisher, published_weights

    name = None if net is None else catalogue.spec(net).name
    if download is not None:
        if name is None:
            raise UsageError(
                "--download without a network", expected="one", do="For example pixelwise weights resnet50"
            )
        _fetch(choose(name, publisher), name, download, quiet=quiet)
        return
    if name is not None:
        choose(name, publisher)  # refuses a network of which there are none
    entries = PUBLISHED if name is None else published_weights(name)
    _list(entries if publisher is None else of_publisher(entries, publisher), as_json=as_json)


def _fetch(entry: "PublishedWeights", network: str, folder: Path, *, quiet: bool) -> None:
    from pixelwise.cli.progress import progress_bar
    from pixelwise.weights.download import download

    with progress_bar(f"fetching {entry.file_name}, MiB", quiet=quiet) as progress:
        fetched = download(entry, folder, lambda done, total: progress(done >> 20, total >> 20))
    if fetched.doubt:
        typer.echo(f"{fetched.path} is not verified: {fetched.doubt}", err=True)
    if not quiet:
        typer.echo(f"{fetched.path} ({entry.publisher}, {entry.licence})")
        typer.echo(f"next: pixelwise train DATA --net {network} --weights {fetched.path}")


def _list(entries: "Sequence[PublishedWeights]", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(entry) for entry in entries], indent=1))
        return
    from pixelwise.cli.tables import print_table

    headers = ("network", "publisher", "trained on", "top-1 %", "top-5 %", "MiB", "licence", "SHA-256", "address")
    print_table(
        headers,
        [
            (
                entry.network, entry.publisher, entry.trained_on, _number(entry.top1), _number(entry.top5),
                "" if entry.size_mib is None else str(entry.size_mib), entry.licence,
                entry.proof, entry.url,
            )
            for entry in entries
        ],
    )  # fmt: skip


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
