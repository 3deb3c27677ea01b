"""Tables on the terminal: plain rows in, aligned columns out."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> None:
    """Print rows under headers; numbers are aligned to the right. Text is printed as it is, never as markup."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for position, header in enumerate(headers):
        numeric = all(isinstance(row[position], (int, float)) for row in rows) and bool(rows)
        table.add_column(header, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    console().print(table)


def console() -> Console:
    """Where tables and sentences go; wide when the output is not a terminal, so that nothing is wrapped for grep."""
    screen = Console(highlight=False)
    return screen if screen.is_terminal else Console(highlight=False, width=200)


def error_console() -> Console:
    """Where progress goes: standard error, so that standard output holds results only."""
    return Console(stderr=True, highlight=False)


def _cell(value: object) -> str:
    if value is None:
        return "undefined"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
