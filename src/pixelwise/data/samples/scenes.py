"""Data sets with boxes and with several labels: the bundled pictures of clothes, laid on dark canvases."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from pixelwise.data.samples import FASHION_CLASSES, fashion
from pixelwise.storage.atomic import make_folder
from pixelwise.storage.paths import as_path

PIECE_PX = 28


def write_scattered(
    out: Path | str, *, train: int = 2000, test: int = 500, side_px: int = 56, num_classes: int = 10, seed: int = 0
) -> Path:
    """Write pictures of one piece of clothing somewhere, and ``boxes.csv`` with class and box of each; return ``out``.

    The box is the tightest around what is brighter than a fifth of white. A quarter of the training pictures is the
    validation split.

    Args:
        out: the folder.
        train: pictures of the training and validation splits, at most 8,000.
        test: pictures of the test split, at most 2,000.
        side_px: of the square canvas; 28 or more.
        num_classes: the first so many kinds of clothes.
        seed: of the places.

    """
    out, rng = as_path(out, "out"), np.random.default_rng(seed)
    make_folder(out / "pictures")
    rows: list[list[object]] = [["path", "label", "x_min", "y_min", "x_max", "y_max", "split"]]
    for split, count in (("train", train), ("test", test)):
        images, labels = fashion(split)
        for number in np.flatnonzero(labels < num_classes)[:count].tolist():
            canvas = np.zeros((side_px, side_px), np.uint8)
            top, left = rng.integers(0, side_px - PIECE_PX, 2, endpoint=True).tolist()
            canvas[top : top + PIECE_PX, left : left + PIECE_PX] = images[number]
            bright = canvas > 51
            down, across = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
            box = [int(across[0]), int(down[0]), int(across[-1]) + 1, int(down[-1]) + 1]
            name = f"pictures/{split}-{number:05d}.png"
            Image.fromarray(canvas).save(out / name)
            held_out = "val" if split == "train" and len(rows) % 4 == 0 else split
            rows.append([name, FASHION_CLASSES[labels[number]], *box, held_out])
    _write_table(out / "boxes.csv", rows)
    return out


def write_laundry(
    out: Path | str, *, train: int = 600, test: int = 150, side_px: int = 96, num_classes: int = 3, seed: int = 0
) -> Path:
    """Write pictures of none to five pieces of clothing that may touch, and ``boxes.csv`` of all of them; return it.

    A picture without clothes has one row with empty cells. A quarter of the training pictures is the validation split.

    Args:
        out: the folder.
        train: pictures of the training and validation splits.
        test: pictures of the test split.
        side_px: of the square canvas; 56 or more.
        num_classes: the first so many kinds of clothes.
        seed: of choice and place.

    """
    out, rng = as_path(out, "out"), np.random.default_rng(seed)
    make_folder(out / "pictures")
    rows: list[list[object]] = [["path", "label", "x_min", "y_min", "x_max", "y_max", "split"]]
    for split, count in (("train", train), ("test", test)):
        images, labels = fashion(split)
        usable = np.flatnonzero(labels < num_classes)
        for number in range(count):
            canvas = rng.integers(0, 25, (side_px, side_px), np.uint8)
            taken = np.zeros((side_px, side_px), np.bool_)
            name = f"pictures/{split}-{number:05d}.png"
            held_out = "val" if split == "train" and number % 4 == 0 else split
            found = []
            for piece in rng.choice(usable, rng.integers(0, 5, endpoint=True)).tolist():
                top, left = rng.integers(0, side_px - PIECE_PX, 2, endpoint=True).tolist()
                here = (slice(top, top + PIECE_PX), slice(left, left + PIECE_PX))
                bright = images[piece] > 51
                if (taken[here] & bright).any():
                    continue  # hidden behind another one
                taken[here] |= bright
                canvas[here] = np.maximum(canvas[here], images[piece])
                down, across = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
                edges = left + across[0], top + down[0], left + across[-1] + 1, top + down[-1] + 1
                found.append([name, FASHION_CLASSES[labels[piece]], *map(int, edges), held_out])
            rows += found or [[name, "", "", "", "", "", held_out]]
            Image.fromarray(canvas).save(out / name)
    _write_table(out / "boxes.csv", rows)
    return out


def write_wardrobes(
    out: Path | str, *, train: int = 2000, test: int = 500, num_classes: int = 10, seed: int = 0
) -> Path:
    """Write 56 x 56 px pictures of none to four pieces of clothing and ``labels.csv`` with their names; return ``out``.

    A quarter of the training pictures is the validation split.

    Args:
        out: the folder.
        train: pictures of the training and validation splits.
        test: pictures of the test split.
        num_classes: the first so many kinds of clothes.
        seed: of choice and place.

    """
    out, rng = as_path(out, "out"), np.random.default_rng(seed)
    make_folder(out / "pictures")
    rows: list[list[object]] = [["path", "labels", "split"]]
    for split, count in (("train", train), ("test", test)):
        images, labels = fashion(split)
        usable = np.flatnonzero(labels < num_classes)
        for number in range(count):
            canvas = rng.integers(0, 25, (2 * PIECE_PX, 2 * PIECE_PX), np.uint8)  # so that no two are equal
            shown = []
            for place in rng.permutation(4)[: rng.integers(0, 4, endpoint=True)].tolist():
                piece = int(rng.choice(usable))
                top, left = PIECE_PX * (place // 2), PIECE_PX * (place % 2)
                here = canvas[top : top + PIECE_PX, left : left + PIECE_PX]
                here[...] = np.maximum(here, images[piece])
                shown.append(FASHION_CLASSES[labels[piece]])
            name = f"pictures/{split}-{number:05d}.png"
            Image.fromarray(canvas).save(out / name)
            held_out = "val" if split == "train" and number % 4 == 0 else split
            rows.append([name, "; ".join(dict.fromkeys(shown)), held_out])
    _write_table(out / "labels.csv", rows)
    return out


def _write_table(path: Path, rows: list[list[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
