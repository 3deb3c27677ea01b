"""The main job end to end on real data that comes with the package: two folders of pictures to two models in use.

LeNet learns Fashion-MNIST from class folders; U-Net learns to find cell nuclei from pictures and masks. Both are
trained, scored on pictures that they have not seen, used on them, and explained in a report.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pixelwise.data import samples
from pixelwise.data.draws import check_seed
from pixelwise.errors import OutputError
from pixelwise.evaluation.scores import Score, Scores
from pixelwise.predict.files import predict_files
from pixelwise.predict.predictor import Predictor
from pixelwise.reporting import write_report
from pixelwise.storage.atomic import check_writable, read_json, write_text
from pixelwise.training.session import train

_MARK = "made-by-pixelwise-demo"
FOLDERS = ("fashion", "nuclei", "runs", "predictions")


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoSize:
    """How much work the demonstration does."""

    train_pictures: int = 8000
    """Of clothes; at most 8,000."""
    test_pictures: int = 2000
    """Of clothes; at most 2,000."""
    fashion_epochs: int = 8
    nuclei_epochs: int = 60


FULL = DemoSize()
QUICK = DemoSize(train_pictures=1000, test_pictures=500, fashion_epochs=3, nuclei_epochs=5)


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoResult:
    """What the demonstration made."""

    out: Path
    accuracy: Score
    """Of LeNet on 2,000 held-out pictures of clothes."""
    mean_iou: Score
    """Of U-Net on the held-out quarter of the nuclei picture."""
    reports: tuple[Path, Path]
    overlays: Path


def run_demo(
    out: Path,
    *,
    overwrite: bool = False,
    seed: int = 0,
    size: DemoSize = FULL,
    say: Callable[[str], None] | None = None,
    quiet: bool = False,
) -> DemoResult:
    """Make two data folders, two runs, predictions and reports under ``out``.

    Args:
        out: folder for everything; an earlier demonstration there is refused unless ``overwrite``.
        overwrite: replace an earlier demonstration; a folder with anything else in it is never touched.
        seed: of both runs.
        size: how much work; ``QUICK`` shows that everything runs.
        say: told what comes next.
        quiet: show no progress of the training.

    Raises:
        UsageError: the seed is negative or too large.
        OutputError: ``out`` cannot be written, or holds something that this did not make.

    """
    say = say or _say_nothing
    check_seed(seed)
    _prepare(out, overwrite=overwrite)
    say("Writing two small data sets as folders of pictures ...")
    fashion = samples.write_fashion(out / "fashion", train=size.train_pictures, test=size.test_pictures)
    nuclei = samples.write_nuclei(out / "nuclei")

    say(f"Training LeNet on {fashion} (10 kinds of clothes) ...")
    lenet = train(
        fashion, "lenet5_relu", out=out / "runs" / "fashion-lenet", seed=seed, quiet=quiet,
        settings={"epochs": str(size.fashion_epochs)},
    )  # fmt: skip
    say(f"Training U-Net on {nuclei} (cell nuclei) ...")
    unet = train(
        nuclei, "unet16", out=out / "runs" / "nuclei-unet", seed=seed, quiet=quiet,
        settings={"epochs": str(size.nuclei_epochs)},
    )  # fmt: skip

    say("Predicting the held-out pictures and writing the reports ...")
    predictions = out / "predictions"
    predict_files(Predictor.load(unet.path), [nuclei / "images" / "test"], predictions, overlays=True)
    return DemoResult(
        out=out,
        accuracy=_scores(lenet.path)["top1"],
        mean_iou=_scores(unet.path)["mean_iou"],
        reports=(write_report(lenet.path), write_report(unet.path)),
        overlays=predictions / "overlays",
    )


def _say_nothing(text: str) -> None:
    """For those who do not want to hear."""


def _scores(run: Path) -> Scores:
    return Scores.from_json(read_json(run / "scores.json"))


def _prepare(out: Path, *, overwrite: bool) -> None:
    """Make sure that ``out`` is ours to fill: new, empty, or an earlier demonstration that may be replaced."""
    mark = out / _MARK
    if out.exists() and any(out.iterdir()):
        if not mark.exists():
            raise OutputError(f"{out} holds other files", expected="a new or empty folder", do="Give another --out")
        if not overwrite:
            raise OutputError(f"{out} holds an earlier demonstration", do="Add --overwrite, or give another --out")
        for name in FOLDERS:
            shutil.rmtree(out / name, ignore_errors=True)
    check_writable(out)
    write_text(mark, "This folder was made by `pixelwise demo`, which may replace it.\n")
