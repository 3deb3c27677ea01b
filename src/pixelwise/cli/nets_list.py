"""The list of networks: which rows are shown, in which order, and as what."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import typer

from pixelwise.errors import UsageError

if TYPE_CHECKING:
    from pixelwise.analysis import Headline
    from pixelwise.specs import Facts, Spec

SortKey = Literal["family", "name", "year", "parameters", "macs", "top1", "top5"]
SORT_KEYS: tuple[SortKey, ...] = get_args(SortKey)

_SUFFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?(?:e[0-9]+)?)([kMG]?)")
_YEARS = re.compile(r"([0-9]{4})?(-?)([0-9]{4})?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which networks are listed; None lets all pass."""

    task: str | None
    family: str | None
    years: str | None
    """``2015``, ``2012-2015``, ``2015-`` or ``-2014``."""
    max_parameters: str | None
    """``25M``; likewise ``max_macs``."""
    max_macs: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    spec: "Spec"
    facts: "Facts"
    result: "Headline | None"

    def to_json(self) -> dict[str, Any]:
        spec, facts, result = self.spec, self.facts, self.result
        return {
            "name": spec.name, "family": spec.family, "task": spec.task, "year": facts.paper.year,
            "input": list(facts.input_size), "parameters": facts.params, "macs": facts.macs,
            "top1": result and result.top1, "top5": result and result.top5, "dataset": result and result.dataset,
            "metric": (result and result.metric) or None, "value": result and result.value,
            "protocol": result and result.protocol, "source": result and result.source,
        }  # fmt: skip

    def cells(self) -> tuple[object, ...]:
        facts, result = self.facts, self.result
        top1, top5 = (None, None) if result is None else (result.top1, result.top5)
        return (
            self.spec.name, self.spec.family, str(facts.paper.year), "x".join(map(str, facts.input_size)),
            facts.params, facts.macs, *("" if value is None else f"{value:.2f}" for value in (top1, top5)),
            "" if result is None else "; ".join(filter(None, (result.score, result.where))),
        )  # fmt: skip


_SORTED_BY: dict[SortKey, Callable[[_Row], Any]] = {
    "name": lambda row: row.spec.name,
    "year": lambda row: row.facts.paper.year,
    "parameters": lambda row: row.facts.params,
    "macs": lambda row: row.facts.macs,
    "top1": lambda row: row.result and row.result.top1,
    "top5": lambda row: row.result and row.result.top5,
}
"""What is compared; None where a row has no such value."""

HEADERS = ("name", "family", "year", "input", "parameters", "MACs", "top-1 %", "top-5 %", "published for")


def print_list(wanted: Wanted, *, sort: SortKey, descending: bool, as_json: bool) -> None:
    """Print the networks that pass, as a table or as JSON.

    Raises:
        UsageError: a number, range or family that cannot be understood, or nothing passes.

    """
    rows = _sorted([row for row in _all() if all(test(row) for test in _tests(wanted))], sort, descending=descending)
    if not rows:
        raise UsageError("no network fits", expected="at least one", do="Ask for less at once")
    if as_json:
        typer.echo(json.dumps([row.to_json() for row in rows], indent=1))
        return
    from pixelwise.cli.tables import print_table

    print_table(HEADERS, [row.cells() for row in rows])


def _all() -> list[_Row]:
    from pixelwise import catalogue
    from pixelwise.analysis import headline

    specs = [catalogue.spec(name) for name in catalogue.names()]
    return [_Row(spec=spec, facts=spec.facts, result=headline(spec.facts)) for spec in specs if spec.facts]


def _tests(wanted: Wanted) -> list[Callable[[_Row], bool]]:
    tests: list[Callable[[_Row], bool]] = []
    if wanted.task is not None:
        tests.append(lambda row: row.spec.task == wanted.task)
    if wanted.family is not None:
        family = _known_family(wanted.family)
        tests.append(lambda row: row.spec.family == family)
    if wanted.years is not None:
        first, last = _years(wanted.years)
        tests.append(lambda row: first <= row.facts.paper.year <= last)
    if wanted.max_parameters is not None:
        most = _number(wanted.max_parameters, "--max-params")
        tests.append(lambda row: row.facts.params <= most)
    if wanted.max_macs is not None:
        most_macs = _number(wanted.max_macs, "--max-macs")
        tests.append(lambda row: row.facts.macs <= most_macs)
    return tests


def _sorted(rows: Sequence[_Row], sort: SortKey, *, descending: bool) -> list[_Row]:
    """Sort; rows that have no such value come last either way. ``family`` is the catalogue's own order."""
    if sort == "family":
        return list(reversed(rows)) if descending else list(rows)
    values = [(_SORTED_BY[sort](row), row) for row in rows]
    valued = [(value, row) for value, row in values if value is not None]
    ordered = sorted(valued, key=lambda pair: pair[0], reverse=descending)
    return [row for _, row in ordered] + [row for value, row in values if value is None]


def _known_family(text: str) -> str:
    from pixelwise import catalogue
    from pixelwise.errors import suggest

    families = list(dict.fromkeys(catalogue.spec(name).family for name in catalogue.names()))
    if text not in families:
        raise UsageError(f"--family {text}", expected=", ".join(families), do=suggest(text, families))
    return text


def _years(text: str) -> tuple[int, int]:
    found = _YEARS.fullmatch(text)
    first, dash, last = found.groups() if found else (None, "", None)
    years = int(first or 0), int(last or 9999) if dash else int(first or 0)
    if (first is None and last is None) or years[0] > years[1]:
        raise UsageError(
            f"--year {text}",
            expected="a year of four digits, or two with a dash, the earlier first",
            do="For example --year 2012-2015, 2012- or -2015",
        )
    return years


def _number(text: str, option: str) -> float:
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise UsageError(
            f"{option} {text}", expected="a number, perhaps with k, M or G", do=f"For example {option} 25M"
        )
    return float(found[1]) * _SUFFIXES[found[2]]
