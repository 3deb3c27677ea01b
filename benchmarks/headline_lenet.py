"""One epoch on MNIST's 60,000 images: LeNet, a small CNN and an MLP, and the price of pixelwise over a plain loop.

    python benchmarks/headline_lenet.py --data FOLDER_WITH_MNIST_IDX_FILES [--seeds 5] [--threads 1]

The claim behind it, from a textbook's notebook: 98.8 % after a single epoch, against 95.9 % for the MLP. For each
network and seed a run is trained through ``pixelwise.training`` and scored on the 10,000 test images; interleaved with
it, a plain loop over tensors that are already in memory takes the same steps. Times are of the epoch alone, after
start-up.
"""

import argparse
import gzip
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

import pixelwise as pw
from pixelwise.evaluation.scores import Scores
from pixelwise.storage.atomic import read_json
from pixelwise.training.recipes import make_recipe
from pixelwise.training.schedule import rate_factor
from pixelwise.training.source import DataOptions

NETWORKS = ("lenet5_relu", "pml_cnn", "mlp_784_128_128_10")
RECIPE = "one_epoch"


def run_pixelwise(data: Path, net: str, seed: int, folder: Path) -> tuple[float, float]:
    """Train by the package; return test accuracy in percent and seconds of the epoch."""
    run = pw.train(
        data, net, recipe=RECIPE, seed=seed, out=folder / f"{net}-{seed}", quiet=True, should_check=False,
        options=DataOptions(fractions=(1.0, 0.0, 0.0)),
    )  # fmt: skip
    scores = Scores.from_json(read_json(run.path / "scores.json"))
    epoch = next(event for event in run.journal if event["event"] == "epoch")
    assert scores.num_images == 10_000, scores.num_images
    return 100 * (scores["top1"].value or 0.0), epoch["seconds"]


def run_plain(images: torch.Tensor, labels: torch.Tensor, net: str, seed: int) -> float:
    """Take the same steps in a loop that anybody would write; return its seconds."""
    recipe = make_recipe(RECIPE)
    torch.manual_seed(seed)
    network = pw.create(net, in_channels=1, num_classes=10)
    optimiser = torch.optim.SGD(
        network.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=True,
        weight_decay=recipe.weight_decay,
    )  # fmt: skip
    steps = len(images) // recipe.batch_size
    start = time.perf_counter()
    order = torch.randperm(len(images))
    for step in range(steps):
        chosen = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * rate_factor(recipe.schedule, step, steps)
        loss = cross_entropy(network(images[chosen]), labels[chosen], label_smoothing=recipe.label_smoothing)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return time.perf_counter() - start


def read_bytes(path: Path, header_bytes: int) -> NDArray[np.uint8]:
    """Return what follows the header of a compressed IDX file."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header_bytes)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    raw = read_bytes(given.data / "train-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    images = (torch.from_numpy(raw.astype(np.float32)) / 255 - 0.1307) / 0.3081
    labels = torch.from_numpy(read_bytes(given.data / "train-labels-idx1-ubyte.gz", 8).astype(np.int64))
    accuracies: dict[str, list[float]] = {net: [] for net in NETWORKS}
    ratios: dict[str, list[float]] = {net: [] for net in NETWORKS}
    seconds: dict[str, list[float]] = {net: [] for net in NETWORKS}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(given.seeds):
            for net in NETWORKS:
                accuracy, ours = run_pixelwise(given.data, net, seed, Path(folder))
                plain = run_plain(images, labels, net, seed)
                accuracies[net].append(accuracy)
                seconds[net].append(ours)
                ratios[net].append(ours / plain)
                print(f"seed {seed}  {net:<20} {accuracy:6.2f} %  {ours:6.1f} s, plain loop {plain:6.1f} s", flush=True)
    print(f"\nOne epoch of {len(images):,} images, recipe {RECIPE}, {given.seeds} seeds, {given.threads} threads")
    for net in NETWORKS:
        facts = pw.spec(net).facts
        params = facts.params if facts else 0
        mean, spread = statistics.mean(accuracies[net]), statistics.pstdev(accuracies[net])
        print(
            f"{net:<20} {params:>8,} parameters  {mean:.2f} % +- {spread:.2f} (standard deviation)  "
            f"{statistics.median(seconds[net]):.1f} s  {statistics.median(ratios[net]):.2f} x the plain loop"
        )


if __name__ == "__main__":
    main()
