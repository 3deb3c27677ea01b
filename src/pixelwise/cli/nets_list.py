"""The list of networks: which rows are shown, in which order, and as what."""

import json
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

_SUFFIXES = {"k": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which networks are listed; None and "" let all pass."""

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
            "protocol": result and result.protocol, "source": result and result.source,
        }  # fmt: skip

    def cells(self) -> tuple[object, ...]:
        facts, result = self.facts, self.result
        top1, top5 = (None, None) if result is None else (result.top1, result.top5)
        return (
            self.spec.name, self.spec.family, str(facts.paper.year), "x".join(map(str, facts.input_size)),
            facts.params, facts.macs, *("" if value is None else f"{value:.2f}" for value in (top1, top5)),
            "" if result is None else f"{result.dataset}, {result.protocol} ({result.source})",
        )  # fmt: skip


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
    if wanted.task:
        tests.append(lambda row: row.spec.task == wanted.task)
    if wanted.family:
        family = _known_family(wanted.family)
        tests.append(lambda row: row.spec.family == family)
    if wanted.years:
        first, last = _years(wanted.years)
        tests.append(lambda row: first <= row.facts.paper.year <= last)
    if wanted.max_parameters:
        most = _number(wanted.max_parameters, "--max-params")
        tests.append(lambda row: row.facts.params <= most)
    if wanted.max_macs:
        most_macs = _number(wanted.max_macs, "--max-macs")
        tests.append(lambda row: row.facts.macs <= most_macs)
    return tests


def _sorted(rows: Sequence[_Row], sort: SortKey, *, descending: bool) -> list[_Row]:
    """Sort; rows that have no such value come last either way. ``family`` is the catalogue's own order."""
    if sort == "family":
        return list(reversed(rows)) if descending else list(rows)
    valued = [row for row in rows if row.to_json()[sort] is not None]
    without = [row for row in rows if row.to_json()[sort] is None]
    return sorted(valued, key=lambda row: row.to_json()[sort], reverse=descending) + without


def _known_family(text: str) -> str:
    from pixelwise import catalogue
    from pixelwise.errors import suggest

    families = list(dict.fromkeys(catalogue.spec(name).family for name in catalogue.names()))
    if text not in families:
        raise UsageError(f"--family {text}", expected=", ".join(families), do=suggest(text, families))
    return text


def _years(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    try:
        return int(first or 0), int(last or 9999) if dash else int(first)
    except ValueError:
        raise UsageError(
            f"--year {text}", expected="a year, or two with a dash", do="For example --year 2012-2015"
        ) from None


def _number(text: str, option: str) -> float:
    try:
        return float(text.rstrip("kMG")) * _SUFFIXES.get(text[-1], 1)
    except ValueError:
        raise UsageError(
            f"{option} {text}", expected="a number, perhaps with k, M or G", do=f"For example {option} 25M"
        ) from None
