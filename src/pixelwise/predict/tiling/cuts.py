"""Tiles along one axis, in whole numbers: which places of a tile's answer can be trusted, and how many tiles it takes.

Tiles have one length t and begin at multiples of the lattice L, so that the network's poolings lie on the same pixels
as in the whole input of length N; t is N modulo L, so that the last tile ends where the input ends. A place of a tile's
answer is trusted if everything that it depends on lies in the tile, or beyond an end of the tile that is an end of the
input: there the network sees what it would see in the whole input.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple


class Cut(NamedTuple):
    """One tile along one axis."""

    keep: tuple[int, int]
    """Pixels of the picture that are answered by this tile."""
    start: int
    """First pixel of the tile, in the picture's coordinates; below 0 it is a mirrored one."""
    answer: int
    """Place of the tile's answer that belongs to the first pixel kept."""
    ramps: tuple[int, int]
    """Pixels at either end of ``keep`` that the neighbour answers as well."""


@dataclass(frozen=True, slots=True)
class Line:
    """One axis of a picture, and of the input that it lies in."""

    size: int
    """Pixels of the picture."""
    before: int
    """Mirrored pixels before it."""
    total: int
    """Pixels of the whole input: mirrored ones, the picture, and mirrored ones again."""
    margin: int
    """By how much the answer is shorter than the input."""
    start: int
    """Place of the whole answer that belongs to the picture's first pixel."""
    lattice: int
    phases: tuple[tuple[int, int], ...]
    """(low, high) for each phase: place p depends on [p + low, p + high]."""
    keeps_residue: bool = True
    """Whether tiles have the input's length modulo the lattice; else they are multiples of it."""
    blend: int = 0
    """Pixels on either side of a border between two tiles over which their answers are blended."""

    def lengths(self) -> Iterator[int]:
        """Yield the lengths that tiles may have, shortest first, up to that of the whole input."""
        first = self.total % self.lattice if self.keeps_residue else self.lattice
        yield from (length for length in range(first or self.lattice, self.total, self.lattice))
        yield self.total

    def trusted(self, length: int) -> tuple[int, int]:
        """Return the first place that can be trusted of a tile with borders on both sides, and the last one, plus one.

        Blended tiles are not exact anyhow: of them three quarters are trusted, however far the network sees.
        """
        places, period = max(length - self.margin, 0), len(self.phases)
        first, stop = 0, places
        for phase, (low, high) in enumerate(self.phases):
            first = max(first, _last_before(min(-low, places), phase, period) + 1)
            stop = min(stop, _first_from(max(length - high, 0), phase, period))
        if self.blend:
            first, stop = min(first, places // 8), max(stop, places - places // 8)
        return first, stop

    def step(self, length: int) -> int:
        """Pixels from the start of a tile to that of the next; below 1 where tiles of that length do not work."""
        first, stop = self.trusted(length)
        step = (stop - first - 2 * self.blend) // self.lattice * self.lattice
        return step if step >= 2 * self.blend else 0  # no pixel lies in the ramps of more than two tiles

    def count(self, length: int) -> int:
        """Number of tiles of a length; 0 where it does not work."""
        if length >= self.total:
            return 1
        step = self.step(length)
        if step < 1:
            return 0
        # Until a tile ends where the input does, or what is trusted of a tile ends behind the picture.
        behind = min(self.total - length, max(self.start + self.size - self.trusted(length)[1], 0))
        return 1 - -behind // step

    def choices(self) -> list[tuple[int, int]]:
        """Return (tiles, length) with the least length for each number of tiles, longest tiles first."""
        found: dict[int, int] = {}
        for length in self.lengths():
            found.setdefault(self.count(length), length)
        found.pop(0, None)
        return sorted(found.items())

    def cuts(self, length: int) -> tuple[Cut, ...]:
        """Cut the axis into tiles of a length that works."""
        number, step = self.count(length), 0 if length >= self.total else self.step(length)
        starts = [min(index * step, self.total - length) for index in range(number)]
        first, stop = self.trusted(length)
        borders = [self.start]
        for one, following in pairwise(starts):
            # In the middle of what both tiles can be trusted with; ramps as late as can be, which keeps them apart.
            latest = one + stop - self.blend
            borders.append(latest if self.blend else (following + first + latest) // 2)
        borders.append(self.start + self.size)
        cuts = []
        for index, (begin, (low, high)) in enumerate(zip(starts, pairwise(borders), strict=True)):
            more = (0 if index == 0 else self.blend), (0 if index == number - 1 else self.blend)
            keep = (low - more[0] - self.start, high + more[1] - self.start)
            cuts.append(Cut(keep, begin - self.before, low - more[0] - begin, (2 * more[0], 2 * more[1])))
        return tuple(cuts)


def _last_before(place: int, phase: int, period: int) -> int:
    """Return the last place of a phase that is less than ``place``."""
    return (place - 1 - phase) // period * period + phase


def _first_from(place: int, phase: int, period: int) -> int:
    """Return the first place of a phase that is not less than ``place``."""
    return -((phase - place) // period) * period + phase
