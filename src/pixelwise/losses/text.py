"""Sums of losses as text: ``"ce"``, ``"0.5*ce+dice"``, ``"bce+tversky(alpha=0.3,beta=0.7)"``.

A sum is terms joined by ``+``; a term is a name, before it perhaps a factor and ``*``, after it perhaps parameters in
parentheses. Spaces do not matter.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pixelwise.errors import UsageError, suggest
from pixelwise.losses.base import Loss
from pixelwise.losses.boxes import BoxLoss
from pixelwise.losses.parameters import Parameter, parameters_of
from pixelwise.losses.table import BOX_LOSSES, LOSSES, SET_LOSSES

Known = Mapping[str, type[Loss]] | Mapping[str, type[BoxLoss]] | Mapping[str, type[Loss] | type[BoxLoss]]

_PLUS_OUTSIDE_PARENTHESES: Final = re.compile(r"\+(?![^(]*\))")
_TERM: Final = re.compile(r"(?:(?P<factor>[^*()]*)\*)?(?P<name>[^*()]*)(?:\((?P<parameters>[^()]*)\)\s*)?")


@dataclass(frozen=True, slots=True)
class LossTerm:
    """One summand as it was written: a factor, the name of a loss, and its parameters."""

    factor: float
    name: str
    parameters: tuple[tuple[str, float], ...] = ()


def parse_loss(text: str, known: Known = LOSSES) -> tuple[LossTerm, ...]:
    """Read a sum of ``known`` losses.

    Raises:
        UsageError: an unknown name or parameter (with near misses), a loss for another task, a factor that is not a
            positive number, a parameter out of its range, a name given twice, or text that is no sum at all.

    """
    terms = tuple(_parse_term(part.strip(), text, known) for part in _PLUS_OUTSIDE_PARENTHESES.split(text))
    names = [term.name for term in terms]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            f"loss {text!r} names {twice} more than once", expected="each loss once", do="Use one term with one factor"
        )
    return terms


def _parse_term(part: str, text: str, known: Known) -> LossTerm:
    parts = _TERM.fullmatch(part)
    if parts is None:
        raise UsageError(
            f"loss {text!r}: {part!r} is not a term",
            expected="NAME, FACTOR*NAME or NAME(PARAMETER=NUMBER,...)",
            do="For example 0.5*ce or focal(gamma=2)",
        )
    name = parts["name"].strip()
    if (parts["factor"] or "").strip() in known and _parse_number(name) is not None:
        turned = f"{name}*{parts['factor'].strip()}"
        raise UsageError(f"loss {text!r}: {part!r} is not a term", expected=turned, do="Write the factor first")
    if name not in known:
        raise _no_such_loss(name, text, known)
    factor = 1.0 if parts["factor"] is None else _parse_number(parts["factor"])
    if factor is None or not 0 < factor < math.inf:
        raise UsageError(
            f"loss {text!r}: {(parts['factor'] or '').strip()!r} is not a factor",
            expected="a positive number",
            do=f"Write for example 0.5*{name}",
        )
    values: dict[str, float] = {}
    for written in (parts["parameters"] or "").split(",") if parts["parameters"] is not None else ():
        key, value = _parse_parameter(written.strip(), text, name, parameters_of(known[name]))
        if key in values:
            raise UsageError(f"loss {text!r} gives {key} of {name} more than once", do="Give it once")
        values[key] = value
    return LossTerm(factor, name, tuple(values.items()))


def _no_such_loss(name: str, text: str, known: Known) -> UsageError:
    first, second, *_ = [*known] * 2
    example = first if first == second else f"{first}+{second} or 0.5*{first}+{second}"
    if name in {**LOSSES, **SET_LOSSES, **BOX_LOSSES}:
        return UsageError(
            f"loss {text!r}: {name} is not a loss for this task",
            expected=f"a sum of {', '.join(known)}",
            do=f"Write for example {example}",
        )
    came = f"loss {text!r}: {name!r} is not a loss" if name else f"loss {text!r} has an empty term"
    return UsageError(came, expected=f"a sum such as {example}", do=suggest(name, known))


def _parse_parameter(written: str, text: str, loss: str, known: Mapping[str, Parameter]) -> tuple[str, float]:
    key, equals, value_text = (part.strip() for part in written.partition("="))
    if not known:
        raise UsageError(f"loss {text!r}: {loss} has no parameters", expected=loss, do="Leave the parentheses out")
    if key not in known or not equals:
        usual = ",".join(f"{name}={parameter.default:.4g}" for name, parameter in known.items())
        came = f"{loss} has no parameter {key!r}" if equals else f"{written!r} is not a parameter"
        raise UsageError(f"loss {text!r}: {came}", expected=f"for example {loss}({usual})", do=suggest(key, known))
    parameter, value = known[key], _parse_number(value_text)
    if value is None or value not in parameter.allowed or (parameter.is_whole and value != int(value)):
        kind = "a whole number" if parameter.is_whole else "a number"
        raise UsageError(
            f"loss {text!r}: {key}={value_text}",
            expected=f"{kind} of {parameter.allowed}",
            do=f"{key}={parameter.default:.4g} is usual",
        )
    return key, int(value) if parameter.is_whole else value


def _parse_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
