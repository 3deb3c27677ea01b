"""A tile plan: which parts of a picture go through the network, and which parts of the answers are put together.

Every tile has the same input shape, so that kernels, memory and arranged weights are those of the tile before it.
Regions are in pixels of the picture. A tile may begin before the picture or end behind it: there the network is shown
the picture's mirror image, as :mod:`pixelwise.predict.placement` shows it for a whole picture.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.regions import Region
from pixelwise.errors import RunError
from pixelwise.predict.tiling.cuts import Cut

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile of a plan; one entry for each axis."""

    index: int
    """Number of the tile: row by row."""
    place: tuple[int, ...]
    """Row and column of the tile."""
    cuts: tuple[Cut, ...]
    shape: tuple[int, ...]
    """Of the network's input."""
    size: tuple[int, ...]
    """Of the picture."""

    @property
    def keep(self) -> Region:
        """The part of the picture that this tile answers."""
        return tuple(cut.keep for cut in self.cuts)

    @property
    def read(self) -> Region:
        """The smallest part of the picture that holds all that the network is shown, mirrored or not."""
        return tuple((int(index.min()), int(index.max()) + 1) for index in self._pixels())

    @property
    def answer(self) -> tuple[int, ...]:
        """Place of the network's answer that belongs to the first pixel of ``keep``."""
        return tuple(cut.answer for cut in self.cuts)

    def fill(self, block: NDArray[Any]) -> NDArray[Any]:
        """Return the network's input, (*shape, C), from the pixels of ``read``, mirrored where there are none."""
        for axis, (index, (start, _)) in enumerate(zip(self._pixels(), self.read, strict=True)):
            if len(index) != block.shape[axis] or index[0] != start:
                block = block.take(index - start, axis)
        return block

    def kept(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the part of the network's answer (K, *answer size) that belongs to ``keep``, (K, *keep)."""
        ends = ((cut.answer, cut.answer + cut.keep[1] - cut.keep[0]) for cut in self.cuts)
        part: NDArray[Any] = values[(slice(None), *(slice(*end) for end in ends))]
        return part

    def weights(self) -> tuple[NDArray[np.float32], ...] | None:
        """Return the weights along each axis of ``keep``, whose products sum to 1 over all tiles; None: all are 1."""
        if not any(any(cut.ramps) for cut in self.cuts):
            return None
        return tuple(_ramped(cut) for cut in self.cuts)

    def _pixels(self) -> list[NDArray[np.int64]]:
        spans = zip(self.cuts, self.shape, self.size, strict=True)
        return [_mirrored(np.arange(cut.start, cut.start + length), side) for cut, length, side in spans]


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePlan:
    """How a picture of one size is cut for one network."""

    network: str
    """Name of the network's spec."""
    size: tuple[int, ...]
    """Of the picture: height and width; depth, height and width."""
    shape: tuple[int, ...]
    """Of each tile's input."""
    cuts: tuple[tuple[Cut, ...], ...]
    """Along each axis; the tiles are all combinations."""
    tile_bytes: int
    """Memory that one tile is estimated to take, weights included."""
    reasons: tuple[str, ...] = ()
    """Why the answer is not exactly that for the whole picture; empty: it is."""

    @property
    def is_exact(self) -> bool:
        """Whether the answers put together are the answer for the whole picture, to rounding."""
        return not self.reasons

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of tiles along each axis."""
        return tuple(len(cuts) for cuts in self.cuts)

    @property
    def redundancy(self) -> float:
        """Pixels that go through the network for each pixel of the picture."""
        return len(self) * prod(self.shape) / prod(self.size)

    def __len__(self) -> int:
        return prod(self.grid)

    def __getitem__(self, index: int) -> Tile:
        """Return a tile by its number, row by row.

        Raises:
            IndexError: there are fewer tiles.

        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        place = tuple(int(number) for number in np.unravel_index(index, self.grid))
        cuts = tuple(along[number] for along, number in zip(self.cuts, place, strict=True))
        return Tile(index, place, cuts, self.shape, self.size)

    def __iter__(self) -> Iterator[Tile]:
        return (self[index] for index in range(len(self)))

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON; :meth:`from_json` is the way back."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "TilePlan":
        """Read what :meth:`to_json` wrote.

        Raises:
            RunError: it is of another format, or damaged.

        """
        if content.get("format") != FORMAT:
            raise RunError(
                f"a tile plan of format {content.get('format')!r}",
                expected=f"format {FORMAT}",
                do="Use the version of pixelwise that wrote it, or begin anew",
            )
        try:
            return cls(
                network=str(content["network"]),
                size=tuple(map(int, content["size"])),
                shape=tuple(map(int, content["shape"])),
                cuts=tuple(tuple(_cut(*cut) for cut in along) for along in content["cuts"]),
                tile_bytes=int(content["tile_bytes"]),
                reasons=tuple(map(str, content["reasons"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"a damaged tile plan ({error})", do="Begin anew") from None

    def digest(self) -> str:
        """Return what tells this plan from others: a sha256 of its JSON."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def summary(self) -> str:
        """Say in a sentence how many tiles there are and whether they are exact."""
        tiles = f"{len(self)} tiles of {' x '.join(map(str, self.shape))} pixels"
        if self.is_exact:
            return f"{tiles}, exact: as if the whole were seen at once"
        return f"{tiles}, blended and not exact: {'; '.join(self.reasons)}"


def _cut(keep: Any, start: Any, answer: Any, ramps: Any) -> Cut:
    (low, high), (first, last) = keep, ramps
    return Cut((int(low), int(high)), int(start), int(answer), (int(first), int(last)))


def _mirrored(index: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Return the pixels of a picture that stand at positions that may lie outside; the outermost are the mirrors."""
    if side == 1:
        return np.zeros_like(index)
    folded = index % (2 * side - 2)
    return np.minimum(folded, 2 * side - 2 - folded)


def _ramped(cut: Cut) -> NDArray[np.float32]:
    """Return squared sines that rise and fall over the ramps: those of two neighbours sum to 1."""
    length = cut.keep[1] - cut.keep[0]
    weights = np.ones(length)
    first, last = cut.ramps
    weights[:first] = np.sin((np.arange(first) + 0.5) * (np.pi / 2 / max(first, 1))) ** 2
    weights[length - last :] = np.cos((np.arange(last) + 0.5) * (np.pi / 2 / max(last, 1))) ** 2
    return weights.astype(np.float32)
