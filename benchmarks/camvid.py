"""Street scenes of CamVid, 11 classes: U-Net and ENet trained for a quarter of an hour each, and published weights.

    python benchmarks/camvid.py --data FOLDER [--minutes 15] [--networks unet16,enet] [--seed 0]

FOLDER holds ``camvid_small/{train,val,test}/{image,label}`` and ``classes.txt`` (a line a class: number, name, colour;
``unlabelled`` is left out of everything), and for the published weights of ENet's popular implementation
``weights/enet_camvid/davidtvs_ENet_default_2018-03-04.pth``.

Networks are trained and scored at 240 x 180 pixels, from nothing, each for the time given by a number of epochs that is
measured at the start; the epoch that validation liked best is scored on the test pictures. The published weights are
scored at 480 x 360, which they were trained for, on pictures that they were not. mIoU is the mean over the classes of
intersection over union, counted over all test pixels together. The baseline calls every pixel the class that most
training pixels have.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

import pixelwise as pw
from minutes import train_for
from pixelwise.data.masks import IGNORE
from pixelwise.metrics import ClassCounts, confusion_matrix
from pixelwise.predict.prediction import MaskPrediction
from pixelwise.predict.predictor import Predictor
from pixelwise.runs.folder import Run

SIZE: Final = (240, 180)
"""Width and height."""
LEFT_OUT: Final = "unlabelled"
WEIGHTS: Final = Path("weights", "enet_camvid", "davidtvs_ENet_default_2018-03-04.pth")
SETTINGS: Final = {"learning_rate": "0.004", "batch_size": "4", "augment": "scenes", "crop": "176,240"}
"""What is set in the recipe "quick", for every network alike."""

Picture = NDArray[np.uint8]


def class_names(source: Path) -> list[str]:
    """Return the names in the order of their numbers, what is left out last."""
    rows = [line.split() for line in (source / "classes.txt").read_text().splitlines() if line.strip()]
    names = [name for _, name, *_ in sorted(rows, key=lambda row: int(row[0]))]
    assert names[-1] == LEFT_OUT, "expected the last class to be the unlabelled pixels"
    return names


def samples(source: Path, split: str) -> Iterator[tuple[str, Picture, Picture]]:
    """Yield name, picture (H, W, 3) in red, green, blue, and label map (H, W) of one split."""
    for file in sorted((source / split / "image").glob("*.png")):
        label = np.asarray(cv2.imread(str(source / split / "label" / file.name), cv2.IMREAD_UNCHANGED), np.uint8)
        colours = np.asarray(cv2.imread(str(file), cv2.IMREAD_COLOR), np.uint8)
        yield file.stem, np.ascontiguousarray(colours[..., ::-1]), label


def lay_out(source: Path, out: Path, names: list[str]) -> Path:
    """Write the pictures at the training size into ``images/SPLIT`` and ``masks/SPLIT``; unlabelled pixels as 255."""
    for split in ("train", "val", "test"):
        for kind in ("images", "masks"):
            (out / kind / split).mkdir(parents=True)
        for name, picture, label in samples(source, split):
            small = cv2.resize(picture[..., ::-1], SIZE, interpolation=cv2.INTER_AREA)
            mask = cv2.resize(label, SIZE, interpolation=cv2.INTER_NEAREST)
            mask[mask == names.index(LEFT_OUT)] = IGNORE
            assert cv2.imwrite(str(out / "images" / split / f"{name}.png"), small)
            assert cv2.imwrite(str(out / "masks" / split / f"{name}.png"), mask)
    (out / "classes.txt").write_text("\n".join(names[:-1]) + "\n")
    return out


def masks(data: Path, split: str) -> list[Picture]:
    """Return the label maps of a split as they were laid out, in the order of their names."""
    files = sorted((data / "masks" / split).glob("*.png"))
    return [np.asarray(cv2.imread(str(file), cv2.IMREAD_UNCHANGED), np.uint8) for file in files]


def train(data: Path, network: str, out: Path, minutes: float, seed: int) -> Predictor:
    """Train for the time given; return the epoch that validation liked best."""

    def run(name: str, epochs: int) -> Run:
        return pw.train(
            data, network, recipe="quick", settings=SETTINGS | {"epochs": str(epochs)}, class_weights="enet", seed=seed,
            quiet=True, should_check=False, out=out / f"{network}-{name}",
        )  # fmt: skip

    print(network, end=": ", flush=True)
    return pw.load(train_for(minutes, run).path)


def score(truths: list[Picture], answers: list[Picture], classes: int) -> NDArray[np.float64]:
    """Return each class' intersection over union, (classes,); an answer beyond the classes is a miss."""
    total = np.zeros((classes + 1, classes + 1), np.int64)
    for truth, answer in zip(truths, answers, strict=True):
        total += confusion_matrix(truth, np.minimum(answer, classes), classes + 1, ignore=IGNORE)
    return np.asarray(ClassCounts.from_confusion(total).iou()[:classes], np.float64)


def published(file: Path, source: Path, names: list[str]) -> NDArray[np.float64]:
    """Score the published weights on the test pictures in their own size."""
    network = pw.create("enet_davidtvs_2018", in_channels=3, num_classes=len(names), weights=file).eval()
    truths, answers = list[Picture](), list[Picture]()
    for _, picture, label in samples(source, "test"):
        with torch.inference_mode():
            logits = network(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255)
        answers.append(logits[0].argmax(0).numpy().astype(np.uint8))
        truths.append(np.where(label == names.index(LEFT_OUT), IGNORE, label).astype(np.uint8))
    return score(truths, answers, len(names) - 1)


def report(names: list[str], columns: dict[str, NDArray[np.float64]]) -> None:
    """Print one line for each class, and the mean."""
    print(f"{'IoU':12}" + "".join(f"{name:>20}" for name in columns))
    for index, name in enumerate(names[:-1]):
        print(f"{name:12}" + "".join(f"{column[index]:20.3f}" for column in columns.values()))
    print(f"{'mean':12}" + "".join(f"{np.nanmean(column):20.3f}" for column in columns.values()), flush=True)


def main() -> int:
    """Train, predict, print the scores; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--networks", default="unet16,enet")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    source, weights = given.data / "camvid_small", given.data / WEIGHTS
    if not (source / "train" / "image").is_dir():
        print(f"skipped: {source} has no train/image and train/label (CamVid with its 11 classes)")
        return 0
    names, columns = class_names(source), dict[str, NDArray[np.float64]]()
    with tempfile.TemporaryDirectory() as folder:
        data = lay_out(source, Path(folder) / "camvid", names)
        truths = masks(data, "test")
        counts = np.bincount(np.concatenate([mask.ravel() for mask in masks(data, "train")]), minlength=IGNORE + 1)
        most = int(counts[:IGNORE].argmax())
        columns[f"always {names[most]}"] = score(truths, [np.full_like(mask, most) for mask in truths], len(names) - 1)
        for network in given.networks.split(","):
            predictor = train(data, network, Path(folder), given.minutes, given.seed)
            files = sorted((data / "images" / "test").glob("*.png"))
            answers = [one.label_map for one in predictor.predict_many(files) if isinstance(one, MaskPrediction)]
            columns[network] = score(truths, answers, len(names) - 1)
    if weights.is_file():
        columns["published ENet"] = published(weights, source, names)
    else:
        print(f"published weights skipped: {weights} does not exist")
    report(names, columns)
    return 0


if __name__ == "__main__":
    sys.exit(main())
