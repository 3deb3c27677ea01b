"""Pictures of strings of digits, composed of single handwritten ones, and the table of what they say.

A string is a row of digits: each one's ink, moved up or down a little, follows the ink before it after a gap that may
be negative, so that some touch or overlap. Training and validation strings are composed of the training digits, test
strings of the test digits, so that no test digit was ever seen.
"""

import csv
import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixelwise.data.samples import folder
from pixelwise.storage.atomic import make_folder
from pixelwise.storage.paths import as_path

HEIGHT_PX = 28
MARGINS_PX = (4, 12)
"""Least and most space before the first digit, and after the last."""
GAPS_PX = (-2, 8)
"""Smallest and largest gap between the ink of neighbours; negative: they overlap."""
JITTER_PX = 4
"""Most that a digit is moved up or down."""
LENGTHS = (3, 8)
"""Fewest and most digits."""

Digits = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Pictures (N, 28, 28), and labels (N,)."""


def read_digits(source: Path, split: str) -> Digits:
    """Read the packed IDX files of MNIST; ``split`` is ``train`` or ``test``."""
    stem = "train" if split == "train" else "t10k"
    images = gzip.decompress((source / f"{stem}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((source / f"{stem}-labels-idx1-ubyte.gz").read_bytes())
    return np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, offset=8)


def digits(split: str) -> Digits:
    """Return the bundled handwritten digits; ``split`` is ``train`` (2,000) or ``test`` (500)."""
    return read_digits(folder("digits"), split)


def write_strings(
    out: Path | str,
    *,
    train: int = 2000,
    val: int = 250,
    test: int = 500,
    lengths: tuple[int, int] = LENGTHS,
    alphabet: str = "0123456789",
    seed: int = 0,
    source: Path | str | None = None,
) -> Path:
    """Write pictures of strings, 28 px high and as wide as they need, and ``strings.csv``; return ``out``.

    The table has the columns path, text and split.

    Args:
        out: the folder.
        train: strings of the training split.
        val: strings of the validation split, of the same digits.
        test: strings of the test split, of other digits.
        lengths: fewest and most digits of a string.
        alphabet: the digits that occur.
        seed: of choice and place; the same seed gives the same files.
        source: folder of MNIST's packed IDX files, in place of the bundled digits.

    """
    out, rng = as_path(out, "out"), np.random.default_rng(seed)
    make_folder(out / "pictures")
    rows = [("path", "text", "split")]
    for split, count in (("train", train), ("val", val), ("test", test)):
        images, labels = read_digits(
            folder("digits") if source is None else as_path(source, "source"), "test" if split == "test" else "train"
        )
        usable = np.flatnonzero(np.isin(labels, [int(digit) for digit in alphabet]))
        for number in range(count):
            chosen = rng.choice(usable, rng.integers(*lengths, endpoint=True))
            name = f"pictures/{split}-{number:05d}.png"
            Image.fromarray(compose(images[chosen], rng)).save(out / name)
            rows.append((name, "".join(str(label) for label in labels[chosen]), split))
    with (out / "strings.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return out


def compose(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Lay digits (L, 28, 28) side by side on a black picture (28, W); where they overlap, the brighter pixel shows."""
    inks = [_ink(image) for image in images]
    gaps = rng.integers(*GAPS_PX, len(images) - 1, endpoint=True)
    starts = np.cumsum([0, *(ink.shape[1] + gap for ink, gap in zip(inks[:-1], gaps, strict=True))])
    needed = int(max(start + ink.shape[1] for start, ink in zip(starts, inks, strict=True)))
    left, right = rng.integers(*MARGINS_PX, 2, endpoint=True).tolist()
    canvas = np.zeros((HEIGHT_PX, max(left + needed + right, HEIGHT_PX)), np.uint8)
    for start, ink in zip(starts, inks, strict=True):
        free = HEIGHT_PX - ink.shape[0]
        top = int(np.clip(free // 2 + rng.integers(-JITTER_PX, JITTER_PX, endpoint=True), 0, free))
        place = canvas[top : top + ink.shape[0], left + start : left + start + ink.shape[1]]
        np.maximum(place, ink, out=place)
    return canvas


def _ink(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut off the empty margins."""
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
