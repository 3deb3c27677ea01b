"""U-Net on the ISBI 2012 electron-microscopy slices: the challenge's scores on slices held out as one block.

    python benchmarks/isbi_em.py --data FOLDER [--way paper|short] [--width 16] [--minutes 30] [--seed 0]

FOLDER holds ``isbi2012_em/train/{image,label}``. The 30 public slices are one stack, so neighbours are nearly the same
picture: slices 0 to 19 train, 20 to 29 are held out, and nothing is chosen by looking at them.

- ``paper``: the U-Net paper's network (valid convolutions, dropout at the end of the contracting path, He's
  initialisation) at a smaller width, by its recipe: SGD with momentum 0.99, one whole slice at a time, elastic
  deformation.
- ``short``: ``unet16`` (same padding, batch normalisation) on crops, with AdamW and one cycle of the rate: what a
  practitioner with a quarter of an hour does.

The training time is what ``--minutes`` says, by a number of epochs that is measured at the start. Scores are those of
:mod:`pixelwise.metrics`: at the threshold 0.5, and at the best of the challenge's thresholds, which is chosen by the
truth and flatters. They are given for one view of each slice and for the mean over its eight turns and mirror images
(the paper averages seven rotations). A prediction without any interior has a low warping error, as every object of the
truth can be warped to one pixel: read it beside the others.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import pixelwise as pw
from minutes import train_for
from pixelwise.metrics import (
    best_over_thresholds,
    pixel_error,
    rand_error,
    segments,
    thin_borders,
    v_info,
    v_rand,
    warping_error,
)
from pixelwise.runs.folder import Run
from pixelwise.specs import Spec
from pixelwise.training.source import DataOptions

SLICES, HELD_OUT, INTERIOR = 30, range(20, 30), 1
WAYS: dict[str, tuple[str, dict[str, str]]] = {
    "paper": ("unet", {}),
    "short": (
        "quick",
        {
            "augment": "em", "crop": "192", "batch_size": "4", "learning_rate": "0.004", "optimiser": "adamw",
            "schedule": "one_cycle", "weight_decay": "0.0001",
        },
    ),
}  # fmt: skip

Mask = NDArray[Any]
SCORES: dict[str, tuple[Callable[[Mask, Mask], float], bool]] = {
    "pixel error": (pixel_error, True),
    "V-Rand (thinned)": (lambda truth, mask: v_rand(segments(truth), thin_borders(segments(mask))).f, False),
    "V-Info (thinned)": (lambda truth, mask: v_info(segments(truth), thin_borders(segments(mask))).f, False),
    "Rand error": (lambda truth, mask: rand_error(segments(truth), segments(mask)), True),
    "warping error": (warping_error, True),
}
"""Each with whether lower is better."""


def lay_out(source: Path, out: Path) -> Path:
    """Copy the slices into ``images/{train,test}`` and ``masks/{train,test}``."""
    images, labels = (sorted((source / "train" / kind).glob("*.png")) for kind in ("image", "label"))
    assert len(images) == len(labels) == SLICES, "expected 30 slices with labels"
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        split = "test" if number in HELD_OUT else "train"
        for kind, file in (("images", image), ("masks", label)):
            (out / kind / split).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, out / kind / split / f"{number:02d}.png")
    (out / "classes.txt").write_text("membrane\ninterior\n")
    return out


def read_grey(path: Path) -> NDArray[np.uint8]:
    """Return an (H, W) picture."""
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)


def network(way: str, width: int) -> Spec:
    """Return the way's U-Net with ``width`` maps at the finest level, doubled at each of four poolings."""
    widths = tuple(width * 2**level for level in range(5))
    return pw.spec("unet" if way == "paper" else "unet16").replace(widths=widths)


def train(data: Path, out: Path, given: argparse.Namespace) -> Path:
    """Train for the time given; return the run's folder."""
    recipe, settings = WAYS[given.way]
    spec, options = network(given.way, given.width), DataOptions(fractions=(1.0, 0.0, 0.0))

    def run(name: str, epochs: int) -> Run:
        return pw.train(
            data, spec, recipe=recipe, settings=settings | {"epochs": str(epochs)}, options=options, seed=given.seed,
            quiet=True, out=out / name,
        )  # fmt: skip

    return train_for(given.minutes, run).path


def turned(image: NDArray[Any]) -> Iterator[tuple[NDArray[Any], Callable[[NDArray[Any]], NDArray[Any]]]]:
    """Yield the eight turns and mirror images of (H, W) with what undoes each, the picture itself first."""
    for turns in range(4):
        for flip in (False, True):
            view = np.rot90(image[:, ::-1] if flip else image, turns)

            def undo(answer: NDArray[Any], turns: int = turns, flip: bool = flip) -> NDArray[Any]:
                back = np.rot90(answer, -turns)
                return back[:, ::-1] if flip else back

            yield np.ascontiguousarray(view), undo


def predict(run: Path, pictures: list[Path]) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """Return the probability of the interior, (H, W) for each slice: of one view, and the mean of eight."""
    predictor, single, mean = pw.load(run), [], []
    for picture in pictures:
        views = [undo(predictor.probabilities(view)[INTERIOR]) for view, undo in turned(read_grey(picture))]
        single.append(views[0])
        mean.append(np.mean(views, axis=0))
    return single, mean


def report(truths: list[Mask], answers: dict[str, list[NDArray[Any]]]) -> None:
    """Print one line for each score, and a column for each kind of answer and threshold."""
    print(f"{'':18}" + "".join(f"{f'{name}, at 0.5':>18}{'best (threshold)':>24}" for name in answers))
    for name, (score, is_lower_better) in SCORES.items():
        line = f"{name:18}"
        for probabilities in answers.values():
            fixed, _ = best_over_thresholds(score, truths, probabilities, thresholds=(0.5,))
            best, threshold = best_over_thresholds(score, truths, probabilities, lowest=is_lower_better)
            line += f"{fixed:>18.6f}{f'{best:.6f} ({threshold:g})':>24}"
        print(line, flush=True)


def main() -> int:
    """Train, predict, print the scores; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--way", choices=sorted(WAYS), default="paper")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    source = given.data / "isbi2012_em"
    if not (source / "train" / "image").is_dir():
        print(f"skipped: {source} has no train/image and train/label (the 30 public slices of the ISBI 2012 challenge)")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        data = lay_out(source, Path(folder) / "em")
        run = train(data, Path(folder), given)
        names = [f"{number:02d}.png" for number in HELD_OUT]
        truths = [read_grey(data / "masks" / "test" / name) > 0 for name in names]
        single, mean = predict(run, [data / "images" / "test" / name for name in names])
    print(f"{given.way}, width {given.width}, {len(truths)} held-out slices")
    report(truths, {"one view": single, "eight views": mean})
    return 0


if __name__ == "__main__":
    sys.exit(main())
