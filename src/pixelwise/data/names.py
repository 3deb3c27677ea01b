"""File names as data: natural order, a printable form, and the names by which splits are known."""

import re
from typing import Final

SPLITS: Final = ("", "train", "val", "test")  # a split's code in a manifest is its place here; "" = not given
SPLIT_NAMES: Final = {
    "train": 1,
    "training": 1,
    "val": 2,
    "valid": 2,
    "validation": 2,
    "dev": 2,
    "test": 3,
    "testing": 3,
}

_DIGITS = re.compile(r"([0-9]+)")
_FIRST_ESCAPED_BYTE = 0xDC00  # os.fsdecode turns the undecodable byte b into the surrogate U+DC00 + b

NaturalKey = tuple[tuple[str | tuple[int, str], ...], str]


def natural_key(name: str) -> NaturalKey:
    """Sort key by which ``img2`` precedes ``img10``; equal for no two different names."""
    parts = _DIGITS.split(name)
    ordered: list[str | tuple[int, str]] = list(parts)
    for place in range(1, len(parts), 2):
        digits = parts[place].lstrip("0")
        ordered[place] = (len(digits), digits)  # compares as the number does, whatever its length
    return tuple(ordered), name


def split_code(name: str) -> int:
    """The code (place in :data:`SPLITS`) of a split's folder or table cell; 0 when the name means no split."""
    return SPLIT_NAMES.get(name.strip().lower(), 0)


def show_path(path: str) -> str:
    r"""Write a path so that it can be printed, and stored as UTF-8: control characters and stray bytes as ``\xff``."""
    return path if path.isprintable() else "".join(map(_shown, path))


def show_name(name: str) -> str:
    """Write a class name so that it can be seen: in quotes where it begins or ends with a space, as a space does."""
    return f"'{name}'" if name != name.strip() else name


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if _FIRST_ESCAPED_BYTE <= code < _FIRST_ESCAPED_BYTE + 256:
        return f"\\x{code - _FIRST_ESCAPED_BYTE:02x}"
    return character.encode("unicode_escape").decode("ascii")


def some(items: list[str], limit: int = 10) -> str:
    """The first few of many, and how many more there are."""
    rest = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {rest:,} more" if rest > 0 else "")


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 image``, ``2,000 images``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
