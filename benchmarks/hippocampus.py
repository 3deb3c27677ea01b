"""The hippocampus in magnetic resonance volumes: a 3-D network trained for a quarter of an hour, and its Dice.

    python benchmarks/hippocampus.py --data FOLDER [--minutes 15] [--network unet3d16] [--seed 0]

FOLDER holds ``hippocampus_msd_small/{images,labels}`` (Medical Segmentation Decathlon, task 4): volumes of about
35 x 50 x 35 voxels of 1 mm, labels 0 background, 1 anterior, 2 posterior hippocampus. Every fifth volume, in the order
of their names, is for the test, every fifth after it for validation; the others are trained on. The number of epochs is
measured at the start, so that training takes the time given; the epoch that validation liked best is scored.

Dice is that of all test voxels together, distances are means over volumes and structures, each with its 95 % interval.
The baseline calls every voxel background, as most voxels are.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

import numpy as np

import pixelwise as pw
from minutes import train_for
from pixelwise.data.volumes.reading import read_volume
from pixelwise.runs.folder import Run

CLASSES: Final = ("background", "anterior", "posterior")
SETTINGS: Final = {"learning_rate": "0.002", "batch_size": "2"}
"""What is set in the recipe "quick"."""
_EVERY: Final = 5


def lay_out(source: Path, out: Path) -> Path:
    """Copy the volumes into ``images/SPLIT`` and ``labels/SPLIT``, and name the classes."""
    for number, image in enumerate(sorted((source / "images").glob("*.nii.gz"))):
        split = {0: "test", 1: "val"}.get(number % _EVERY, "train")
        for folder in ("images", "labels"):
            (out / folder / split).mkdir(parents=True, exist_ok=True)
            shutil.copy(source / folder / image.name, out / folder / split / image.name)
    (out / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    return out


def train(data: Path, network: str, out: Path, minutes: float, seed: int) -> Path:
    """Train for the time given; return the run."""

    def run(name: str, epochs: int) -> Run:
        return pw.train(
            data, network, task="volumes", settings=SETTINGS | {"epochs": str(epochs)}, seed=seed, quiet=True,
            should_check=False, out=out / name,
        )  # fmt: skip

    return train_for(minutes, run).path


def majority(data: Path) -> list[float]:
    """Dice of calling every voxel of the test volumes background."""
    files = sorted((data / "labels" / "test").glob("*.nii.gz"))
    counts = np.bincount(np.concatenate([read_volume(file).voxels.astype(int).ravel() for file in files]))
    return [2 * counts[0] / (counts[0] + counts.sum()), *(0.0 for _ in CLASSES[1:])]


def main() -> int:
    """Train, evaluate, print the scores; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--network", default="unet3d16")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    source = given.data / "hippocampus_msd_small"
    if not (source / "images").is_dir():
        print(f"skipped: {source} has no images and labels (hippocampus volumes of the Medical Segmentation Decathlon)")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        data = lay_out(source, Path(folder) / "hippocampus")
        baseline = majority(data)
        scores = pw.evaluate(train(data, given.network, Path(folder), given.minutes, given.seed))
    print(f"{scores.num_images} test volumes")
    print(f"{'Dice':12}{'all background':>16}{given.network:>12}")
    for one, floor in zip(scores.classes, baseline, strict=True):
        low, high = one.intervals["dice"] or (float("nan"), float("nan"))
        print(f"{one.name:12}{floor:16.3f}{one.values['dice']:12.3f}   {low:.3f} to {high:.3f}")
    for name in ("foreground_dice", "mean_hausdorff_95", "mean_average_surface_distance"):
        score = scores[name]
        print(f"{name}: {score.value:.3f} {score.unit}, {score.low:.3f} to {score.high:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
