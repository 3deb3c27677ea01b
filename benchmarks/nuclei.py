"""Touching nuclei told apart in three ways, on real pictures: AP, AJI and PQ with equal networks, seeds and budgets.

    python benchmarks/nuclei.py --data FOLDER [--epochs 20] [--seeds 0] [--net unet16] [--ways none,weights,border]

FOLDER holds ``dsb2018_nuclei_small/{images,labels}``: pictures of the 2018 Data Science Bowl (CC0), fluorescence and
stained tissue alike, with numbered nuclei. They are divided into training, validation and test pictures once, by the
seed 0. Every way trains the same network from the same weights on the same crops for the same number of steps, four
crops of 160 x 160 pixels each: with 82 training pictures 82 steps an epoch, 1,640 in all, eight minutes on two cores.

- ``none``: two classes; pieces are divided at their thickest places.
- ``weights``: two classes, the weight map of the U-Net paper in the loss; each connected piece is a nucleus, and the
  gaps that keep neighbours apart are closed.
- ``border``: a third output for the rims; insides are grown back over them.

For ``none`` and ``weights`` both readings are scored, pieces alone and pieces divided, so that the weight map is
compared with its absence under either.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pixelwise as pw
from pixelwise.evaluation.evaluation import SCORERS, begin
from pixelwise.evaluation.instance_completion import tune
from pixelwise.predict.postprocess import Pipeline
from pixelwise.predict.predictor import Predictor
from pixelwise.runs.folder import MODEL_FOLDER, Run
from pixelwise.runs.model import load_model

READINGS = {
    "none": ("threshold,fill_holes,remove_small(area=10)", "threshold,fill_holes,watershed,remove_small(area=10)"),
    "weights": (
        "threshold,fill_holes,remove_small(area=10),grow",
        "threshold,fill_holes,watershed,remove_small(area=10),grow",
    ),
    "border": ("threshold,fill_holes,watershed(seeds=interior,on=probability),remove_small(area=10)",),
}
SETTINGS = {"crop": "160", "patches": "4", "batch_size": "4", "augment": "cells"}
"""What is set in the recipe "quick"; four crops of each picture an epoch, as validation takes as long as one."""
SCORES = ("ap50", "ap75", "mean_ap", "aggregated_jaccard", "panoptic_quality", "count_error")


def main() -> None:
    """Train every way and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[0])
    parser.add_argument("--net", default="unet16")
    parser.add_argument("--ways", default=",".join(READINGS))
    parser.add_argument("--out", type=Path, help="keep the runs here")
    chosen = parser.parse_args()
    data = chosen.data / "dsb2018_nuclei_small"
    if not data.is_dir():
        sys.exit(f"skipped: {data} is not there")
    print(
        "way".ljust(9), "steps".ljust(62), *(name.rjust(18) for name in SCORES), "trained".rjust(9), "minutes".rjust(9)
    )
    with tempfile.TemporaryDirectory() as temporary:
        for seed in chosen.seeds:
            for way in chosen.ways.split(","):
                started = time.monotonic()
                run = train(
                    data, (chosen.out or Path(temporary)) / f"{way}-{seed}", way, chosen.net, chosen.epochs, seed
                )
                minutes = (time.monotonic() - started) / 60
                trained = max(event["step"] for event in run.journal)
                for steps, scores in scored(run, data, READINGS[way]):
                    cells = (f"{scores[name]:.3f}".rjust(18) for name in SCORES)
                    print(
                        way.ljust(9),
                        steps.ljust(62),
                        *cells,
                        str(trained).rjust(9),
                        f"{minutes:.1f}".rjust(9),
                        flush=True,
                    )


def train(data: Path, out: Path, way: str, net: str, epochs: int, seed: int) -> Run:
    """Train one way; the split does not depend on the seed of the run's weights."""
    settings = SETTINGS | {"epochs": str(epochs), "separate": way}
    options = pw.DataOptions(task="instances", classes=("background", "nucleus"), fractions=(0.6, 0.15, 0.25))
    return pw.train(data, net, out=out, options=options, settings=settings, seed=seed, quiet=True)


def scored(run: Run, data: Path, readings: tuple[str, ...]) -> Iterator[tuple[str, dict[str, float]]]:
    """Choose the numbers of each row of steps on the validation pictures; score them on the test pictures."""
    model = load_model(run.path / MODEL_FOLDER)
    for steps in readings:
        model.post = Pipeline.parse(steps).to_json()
        model.post = tune(begin(model, data, run.manifest, split="val")[0]).to_json()
        work, _ = begin(model, data, run.manifest, split="test")
        found = {score.name: score.value for score in SCORERS["instances"](work).tally.scores}
        yield Predictor(model).pipeline.to_text(), {name: found[name] or 0.0 for name in SCORES}


if __name__ == "__main__":
    main()
