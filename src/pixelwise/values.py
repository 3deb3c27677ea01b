"""Values of fields: from the command line's text to the type that a field is annotated with, and types in words.

Fields hold numbers, words, booleans, None and tuples of them; specs and recipes read their overrides through here.
"""

import types
import typing
from typing import Any, Literal


def readings(text: str) -> list[object]:
    """What a command-line value may mean, likeliest first."""
    return [_parse(text)] if "," in text else [text.strip(), _parse(text)]


def _parse(text: str) -> object:
    """Read a command-line value: numbers, true/false/none, comma-separated tuples; anything else is a string."""
    if "," in text or text.strip() in ("()", "[]"):
        return tuple(_parse(part) for part in text.strip("()[] ").split(",") if part.strip())
    word = text.strip()
    constants: dict[str, object] = {"true": True, "false": False, "none": None}
    if word.lower() in constants:
        return constants[word.lower()]
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def coerce(value: object, expected: Any) -> object:
    """Return ``value`` as ``expected`` (a type hint), or raise TypeError."""
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if origin is Literal:
        if value in arguments:
            return value
        raise TypeError
    if origin in (typing.Union, types.UnionType):
        for option in arguments:
            try:
                return coerce(value, option)
            except TypeError:
                continue
        raise TypeError
    if origin is tuple:
        items = list(value) if isinstance(value, (tuple, list)) else [value]
        variadic = len(arguments) == 2 and arguments[1] is Ellipsis
        if not variadic and len(items) != len(arguments):
            raise TypeError
        kinds = [arguments[0]] * len(items) if variadic else list(arguments)
        return tuple(coerce(item, kind) for item, kind in zip(items, kinds, strict=True))
    if expected is types.NoneType or expected is None:
        if value is None:
            return None
        raise TypeError
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) is not (expected is bool) or not isinstance(value, expected):
        raise TypeError
    return value


def describe_type(expected: Any) -> str:
    """Name a type hint in words."""
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe_type(option) for option in arguments)
    if origin is tuple:
        return "comma-separated values, each " + describe_type(arguments[0])
    names = {int: "a whole number", float: "a number", str: "a word", bool: "true or false", types.NoneType: "none"}
    return names.get(expected, str(expected))


def show_value(value: object) -> str:
    """Return a field's value as the command line would write it."""
    if value is None:
        return "none"
    return ",".join(map(show_value, value)) if isinstance(value, (tuple, list)) else str(value)
