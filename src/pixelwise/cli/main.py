"""The ``pixelwise`` command: one line per subcommand, and what each kind of failure looks like from a shell.

Exit codes: 0 done; 1 ``check`` found errors; 2 the input is at fault; 3 some of many inputs failed (2: all); 4 nothing
could be written; 130 and 143 stopped by Ctrl-C and SIGTERM; 141 nobody reads the output any more.
"""

import sys
from typing import Annotated

import typer

from pixelwise.cli.data import check
from pixelwise.cli.demo import demo
from pixelwise.cli.nets import nets
from pixelwise.cli.output import SIGPIPE, complain, guarded_output
from pixelwise.cli.results import evaluate, predict, report
from pixelwise.cli.training import resume, train
from pixelwise.cli.weights import weights
from pixelwise.errors import Interrupted, PixelwiseError
from pixelwise.runtime import spin_briefly

app = typer.Typer(
    name="pixelwise",
    help="From a folder of images to a model that someone can use.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (demo, check, train, resume, evaluate, predict, report, nets, weights):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"pixelwise {version('pixelwise')}\n")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From a folder of images to a model that someone can use."""


def main() -> None:
    """Run the command line and leave with the exit code of the outcome."""
    spin_briefly()
    try:
        with guarded_output():
            app()
    except (PixelwiseError, Interrupted) as stop:
        if stop.exit_code != Interrupted(SIGPIPE).exit_code:  # nobody is left to be told
            complain(f"pixelwise: {stop}")
        sys.exit(stop.exit_code)
