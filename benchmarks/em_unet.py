"""U-Net on the ISBI 2012 electron-microscopy slices: pixel error on slices that were held out as one block.

    python benchmarks/em_unet.py --data FOLDER_WITH_train_image_AND_train_label [--minutes 13] [--seed 0]

The 30 public slices are one stack, so neighbours are nearly the same picture: slices 0 to 19 train, 20 to 29 are held
out, and nothing is chosen by looking at them. Pixel error is 1 - pixel accuracy, as the challenge first defined it.
The training time is what ``--minutes`` says, by a number of epochs that is measured at the start.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import pixelwise as pw
from pixelwise.evaluation.scores import Scores
from pixelwise.storage.atomic import read_json
from pixelwise.training.source import DataOptions

HELD_OUT = range(20, 30)
SETTINGS = {
    "augment": "em", "crop": "192", "batch_size": "4", "learning_rate": "0.004", "optimiser": "adamw",
    "schedule": "one_cycle", "weight_decay": "0.0001",
}  # fmt: skip


def lay_out(source: Path, out: Path) -> Path:
    """Copy the slices into ``images/{train,test}`` and ``masks/{train,test}``."""
    images, labels = sorted((source / "train" / "image").iterdir()), sorted((source / "train" / "label").iterdir())
    assert len(images) == len(labels) == 30, "expected 30 slices with labels"
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        split = "test" if number in HELD_OUT else "train"
        for kind, file in (("images", image), ("masks", label)):
            (out / kind / split).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, out / kind / split / f"{number:02d}.png")
    (out / "classes.txt").write_text("membrane\ninterior\n")
    return out


def main() -> None:
    """Measure the speed of one epoch, train for the time given, score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=13.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--net", default="unet16")
    given = parser.parse_args()
    options = DataOptions(fractions=(1.0, 0.0, 0.0))
    with tempfile.TemporaryDirectory() as folder:
        data = lay_out(given.data, Path(folder) / "em")
        trial = pw.train(
            data, given.net, settings={**SETTINGS, "epochs": "4"}, options=options, quiet=True,
            out=Path(folder) / "trial",
        )  # fmt: skip
        per_epoch = min(event["seconds"] for event in trial.journal if event["event"] == "epoch")
        epochs = max(4, int(60 * given.minutes / per_epoch))
        print(f"{per_epoch:.2f} s an epoch: {epochs} epochs in {given.minutes:g} minutes", flush=True)
        start = time.perf_counter()
        run = pw.train(
            data, given.net, settings={**SETTINGS, "epochs": str(epochs)}, options=options, seed=given.seed,
            out=Path(folder) / "run",
        )  # fmt: skip
        minutes = (time.perf_counter() - start) / 60
        scores = Scores.from_json(read_json(run.path / "scores.json"))
        accuracy = scores["pixel_accuracy"]
        error, low, high = (100 * (1 - (part or 0.0)) for part in (accuracy.value, accuracy.high, accuracy.low))
        print(
            f"{given.net}: pixel error {error:.2f} % on {scores.num_images} held-out slices "
            f"(95 % interval {low:.2f} to {high:.2f}), "
            f"mean IoU {scores['mean_iou'].value:.3f}, after {minutes:.1f} minutes"
        )


if __name__ == "__main__":
    main()
