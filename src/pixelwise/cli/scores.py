"""Scores on the terminal."""

from typing import TYPE_CHECKING

import typer

from pixelwise.cli.tables import print_table
from pixelwise.data.task_names import TARGET_FORMS

if TYPE_CHECKING:
    from pixelwise.evaluation.scores import Scores

_MOST_CLASSES = 100


def print_scores(scores: "Scores") -> None:
    """Print overall scores with their intervals, the table of classes, and what a reader has to know."""
    form = TARGET_FORMS[scores.task]
    split = f"all {form.samples}" if scores.split == "all" else f"the {scores.split} split"
    if scores.protocol != "centre" or scores.members:
        typer.echo(f"Protocol: {scores.protocol}" + f"; mean of {len(scores.members)} runs" * bool(scores.members))
    print_table(("score", "value", "95 % interval", f"{form.sample}s"), scores.rows(), title=f"Scores on {split}")
    headers, rows = scores.class_rows()
    typer.echo()
    print_table(headers, rows[:_MOST_CLASSES])
    if len(rows) > _MOST_CLASSES:
        typer.echo(f"… and {len(rows) - _MOST_CLASSES} more classes: --json prints all")
    for note in scores.notes:
        typer.echo(f"Note: {note}")
