"""Strings as a manifest and a batch hold them: class indices in their order."""

from itertools import pairwise
from typing import Final

NO_CHARACTER: Final = -1
"""Fills the strings of a batch up to equal lengths, at their ends."""


def parse_string(annotation: str) -> tuple[int, ...]:
    """Read the class indices of a manifest's annotation: "3 0 3" is (3, 0, 3)."""
    return tuple(map(int, annotation.split()))


def fewest_windows(string: tuple[int, ...]) -> int:
    """Return how many windows a string needs: one for each character, and a blank between equal neighbours."""
    return len(string) + sum(one == other for one, other in pairwise(string))
