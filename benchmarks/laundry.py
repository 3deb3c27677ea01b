"""Boxes of several objects: a U-Net with a map of centres on bundled clothes that lie about, and its average precision.

    python benchmarks/laundry.py [--epochs 20] [--network unet16] [--seed 0]

Pictures of none to five pieces of clothing that may touch are composed (450 to train on, 150 for validation, 150 for
the test); the scores are COCO's, on the test pictures. As the scale of things, the boxes of connected bright pieces are
scored too, all called the kind of which there is most: what needs no training, and fails where clothes touch.
"""

import argparse
import csv
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np

import pixelwise as pw
from pixelwise.data.samples.scenes import write_laundry
from pixelwise.metrics import box_average_precision
from pixelwise.metrics.box_average_precision import BoxSet

BRIGHT = 51
"""From which value on a pixel is cloth; what is composed has a darker ground."""
SCORES = ("ap50", "ap75", "ap", "precision", "recall", "f1")


def rows_of(data: Path, split: str) -> dict[str, list[tuple[str, list[float]]]]:
    """Return the boxes of each picture of one split: kind and (x_min, y_min, x_max, y_max)."""
    found: dict[str, list[tuple[str, list[float]]]] = defaultdict(list)
    with (data / "boxes.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            if row["split"] == split:
                boxes = found[row["path"]]
                if row["label"]:
                    boxes.append((row["label"], [float(row[edge]) for edge in ("x_min", "y_min", "x_max", "y_max")]))
    return found


def baseline(data: Path) -> tuple[float, float]:
    """Return AP50 and AP of the boxes of bright connected pieces, all called the commonest kind."""
    counts = Counter(label for boxes in rows_of(data, "train").values() for label, _ in boxes)
    kinds, truth, predicted = [label for label, _ in counts.most_common()], [], []
    for path, boxes in rows_of(data, "test").items():
        corners = np.array([corner for _, corner in boxes], np.float64).reshape(-1, 4)
        truth.append(BoxSet(corners=corners, classes=np.array([kinds.index(label) for label, _ in boxes], np.int64)))
        picture = cv2.imread(str(data / path), cv2.IMREAD_GRAYSCALE)
        assert picture is not None, path
        stats = cv2.connectedComponentsWithStats((picture > BRIGHT).astype(np.uint8))[2][1:]
        pieces = np.concatenate([stats[:, :2], stats[:, :2] + stats[:, 2:4]], axis=1).astype(np.float64)
        predicted.append(BoxSet(corners=pieces, classes=np.zeros(len(pieces), np.int64), scores=stats[:, 4]))
    precision = box_average_precision(truth, predicted, len(kinds))
    return float(precision[:, 0].mean()), float(precision.mean())


def main() -> None:
    """Compose, train, evaluate, print the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--network", default="unet16")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = write_laundry(Path(folder) / "laundry")
        start, busy = time.perf_counter(), time.process_time()
        settings = {"epochs": str(given.epochs)}
        run = pw.train(data, given.network, settings=settings, seed=given.seed, quiet=True, out=Path(folder) / "run")
        wall, used = (time.perf_counter() - start) / 60, (time.process_time() - busy) / 60
        scores, floor = pw.evaluate(run.path), baseline(data)
    print(f"{given.network}, {given.epochs} epochs: {wall:.1f} minutes, {used:.1f} of processor time")
    for name in SCORES:
        score = scores[name]
        print(f"{name:10}{score.value:7.3f}, {score.low:.3f} to {score.high:.3f}")
    print(f"bright pieces, all of the commonest kind: ap50 {floor[0]:.3f}, ap {floor[1]:.3f}")


if __name__ == "__main__":
    main()
