"""Numbers that a loss takes beside the logits, such as the gamma of ``focal(gamma=2)``: declared as annotated fields.

A field ``gamma: Annotated[float, Range(0)] = 2.0`` is a parameter; its range is checked wherever the loss is made.
"""

import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass

from pixelwise.errors import UsageError


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from ``least`` to ``most``, without ``least`` itself where it ``is_open``."""

    least: float
    most: float = math.inf
    is_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.least if self.is_open else value >= self.least
        return above and value <= self.most and math.isfinite(value)

    def __str__(self) -> str:
        least = f"more than {self.least:g}" if self.is_open else f"at least {self.least:g}"
        return least if math.isinf(self.most) else f"{least} and at most {self.most:g}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number of a loss: what it is unless said otherwise, and what it may be."""

    default: float
    allowed: Range
    is_whole: bool


def parameters_of(kind: type) -> Mapping[str, Parameter]:
    """Return the parameters of a loss by name, in the order in which they are declared."""
    found = {}
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        note = getattr(hint, "__metadata__", (None,))[0]
        if isinstance(note, Range):
            found[name] = Parameter(getattr(kind, name), note, is_whole=typing.get_args(hint)[0] is int)
    return found


def check_parameters(loss: object) -> None:
    """Refuse a parameter out of its range.

    Raises:
        UsageError: the first one.

    """
    for name, parameter in parameters_of(type(loss)).items():
        value = getattr(loss, name)
        if value not in parameter.allowed:
            raise UsageError(
                f"loss parameter {name}={value:g}",
                expected=f"a number of {parameter.allowed}",
                do=f"{parameter.default:g} is usual",
            )
