"""Speed of our training against a plain loop: ``python benchmarks/training.py [--rounds N] [--json FILE]``.

Both train the same network from the same weights on the same pictures with SGD and momentum. The plain loop is what a
tutorial shows: float tensors already in memory, NCHW, ``torch.optim.SGD``, the default allocator. Ours is the whole
``fit``: batches gathered from the data set's cache, normalised, the loss watched, the journal and checkpoints written;
channels_last, the fused optimiser, kept memory. "bfloat16" is ours with that precision, where the processor has it.

The allocator is a property of the process, so each contender has its own; they take turns, one round each, on one
thread, and the medians over the rounds count.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CASES = {"unet16 128x128, batch 8": 4, "lenet5_relu 28x28, batch 64": 500, "lenet5 32x32, batch 64": 100}
"""Optimiser steps of one round, which is one epoch of ours."""
CONTENDERS = ("plain", "ours", "bfloat16")
Round = Callable[[], None]


def make_pictures(case: str) -> tuple[Any, Any]:
    """Return uint8 images (N, H, W, 1) and their targets, enough for one round."""
    import numpy as np

    rng = np.random.default_rng(0)
    steps = CASES[case]
    if case.startswith("unet"):
        return rng.integers(0, 256, (8 * steps, 128, 128, 1), dtype=np.uint8), rng.integers(
            0, 2, (8 * steps, 128, 128), dtype=np.uint8
        )
    side = 32 if "32x32" in case else 28
    return rng.integers(0, 256, (64 * steps, side, side, 1), dtype=np.uint8), rng.integers(0, 10, 64 * steps)


def plain(case: str) -> Round:
    """Return a round of the plain loop."""
    import torch
    import torch.nn.functional as F

    from pixelwise import catalogue

    images, targets = make_pictures(case)
    inputs = ((torch.from_numpy(images).float() / 255 - 0.5) / 0.25).permute(0, 3, 1, 2).contiguous()
    labels = torch.from_numpy(targets).long()
    torch.manual_seed(0)
    name, _, _ = case.partition(" ")
    batch, classes = (8, 2) if name.startswith("unet") else (64, 10)
    network = catalogue.spec(name).build(1, classes).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)

    def round_() -> None:
        order = torch.randperm(len(inputs))
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            optimiser.zero_grad()
            F.cross_entropy(network(inputs[chosen]), labels[chosen]).backward()
            optimiser.step()

    return round_


def ours(case: str, folder: Path, precision: str) -> Round:
    """Return a round of ``fit``: one epoch more."""
    import numpy as np
    import torch

    from pixelwise import catalogue
    from pixelwise.data.dataset import Dataset
    from pixelwise.data.preprocess import Preprocess
    from pixelwise.runs.journal import Journal
    from pixelwise.runtime import keep_freed_memory
    from pixelwise.tasks import make_task
    from pixelwise.training.checkpoint import TrainState
    from pixelwise.training.job import Job
    from pixelwise.training.loop import fit
    from pixelwise.training.optim import make_optimiser
    from pixelwise.training.progress import Silent
    from pixelwise.training.recipe import Recipe
    from pixelwise.training.signals import StopRequest

    keep_freed_memory()
    images, targets = make_pictures(case)
    name, _, _ = case.partition(" ")
    is_unet = name.startswith("unet")
    data = write_data(folder / "data", images, targets)
    preprocess = Preprocess(channels=1, low=0, high=255, mean=(0.5,), std=(0.25,))
    train_set = Dataset(data, folder / "data", np.arange(len(images)), preprocess, augment=None, crop=None, seed=0)
    classes = tuple("ab") if is_unet else tuple("abcdefghij")
    task = make_task(data.task, classes, binary="softmax")
    recipe = Recipe(
        batch_size=8 if is_unet else 64, optimiser="sgd", learning_rate=0.01, schedule="constant", augment="none"
    )
    torch.manual_seed(0)
    network = catalogue.spec(name).build(1, len(classes))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's stub
    state = TrainState(network, make_optimiser(recipe, network), None, torch.zeros((), dtype=torch.float64))
    job = Job(
        folder=folder, task=task, recipe=recipe, epochs=1, train_set=train_set, val_set=None, val_batch_size=1,
        preprocess=preprocess, device=torch.device("cpu"), dtype=getattr(torch, precision), seed=0, workers=0,
        identity={}, journal=Journal(folder), progress=Silent(), stop=StopRequest(),
        describe_batch=lambda indices: [str(index) for index in indices], save_best=lambda _: None,
        checkpoint_seconds=300.0,
    )  # fmt: skip

    def round_() -> None:
        fit(dataclasses.replace(job, epochs=state.counters.epoch + 1), state)

    return round_


def write_data(folder: Path, images: Any, targets: Any) -> Any:
    """Write the pictures as a data set, and index it: IDX files for classes, PNG pairs for masks."""
    import cv2

    from pixelwise.data.manifest import build_manifest

    if targets.ndim == 1:
        folder.mkdir(parents=True)
        for kind, array in (("images-idx3", images[..., 0]), ("labels-idx1", targets.astype("uint8"))):
            header = bytes((0, 0, 8, array.ndim)) + b"".join(size.to_bytes(4, "big") for size in array.shape)
            (folder / f"train-{kind}-ubyte").write_bytes(header + array.tobytes())
    else:
        for name, stack in (("images", images), ("masks", targets)):
            (folder / name).mkdir(parents=True)
            for number, picture in enumerate(stack):
                cv2.imwrite(str(folder / name / f"{number:03d}.png"), picture)
    return build_manifest(folder, use_cache=False)


def serve(case: str, contender: str) -> None:
    """Run one round for each line that comes in, and answer with its CPU and wall seconds per step."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        precision = "bfloat16" if contender == "bfloat16" else "float32"
        round_ = plain(case) if contender == "plain" else ours(case, Path(place), precision)
        round_()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for _ in sys.stdin:
            cpu, wall = time.process_time(), time.perf_counter()
            round_()
            seconds = {
                "cpu": (time.process_time() - cpu) / CASES[case],
                "wall": (time.perf_counter() - wall) / CASES[case],
            }
            sys.stdout.write(json.dumps(seconds) + "\n")
            sys.stdout.flush()


def compare(case: str, contenders: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """Let the contenders take turns; return the medians per step in milliseconds."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    processes = {}
    for contender in contenders:
        command = [sys.executable, __file__, "--serve", case, contender]
        processes[contender] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
    found: dict[str, list[dict[str, float]]] = {contender: [] for contender in contenders}
    for process in processes.values():
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
    for _ in range(rounds):
        for contender, process in processes.items():
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            found[contender].append(json.loads(process.stdout.readline()))
    for process in processes.values():
        process.communicate()
    return {
        contender: {clock: 1e3 * statistics.median(one[clock] for one in times) for clock in ("cpu", "wall")}
        for contender, times in found.items()
    }


def main() -> None:
    """Print a table of milliseconds per step and the gain over the plain loop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", nargs=2, metavar=("CASE", "CONTENDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(*arguments.serve)
        return
    import torch

    from pixelwise.training.device import has_bfloat16

    contenders = [name for name in CONTENDERS if name != "bfloat16" or has_bfloat16(torch.device("cpu"))]
    results = {case: compare(case, contenders, arguments.rounds) for case in CASES}
    print(f"{'case':30} {'contender':10} {'CPU ms':>9} {'gain':>6} {'wall ms':>9} {'gain':>6}")
    for case, times in results.items():
        for contender, clocks in times.items():
            gains = {clock: times["plain"][clock] / value for clock, value in clocks.items()}
            row = f"{clocks['cpu']:9.2f} {gains['cpu']:5.2f}x {clocks['wall']:9.2f} {gains['wall']:5.2f}x"
            print(f"{case:30} {contender:10} {row}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
