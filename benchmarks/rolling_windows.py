"""A classifier at every place of a picture: window by window, in batches, and as a fully convolutional network.

    python benchmarks/rolling_windows.py [--rounds 5]

LeNet-5 with windows of 32 x 32 pixels, four pixels apart, on 128 x 128 and 512 x 512 pixels. Process CPU time on one
thread, medians over interleaved rounds. Exit code 1 when answers differ by more than 1e-6.
"""

import argparse
import statistics
import sys
import time
from functools import partial

import torch
from torch import Tensor

import pixelwise as pw
from pixelwise.specs import Network

WINDOW, STEP, BATCH, LIMIT = 32, 4, 256, 1e-6


def rolled(network: Network, picture: Tensor, batch: int) -> Tensor:
    """Return logits (1, K, h, w) of (1, 1, H, W), from windows that are cut out and passed ``batch`` at a time."""
    cut = picture.unfold(2, WINDOW, STEP).unfold(3, WINDOW, STEP)  # (1, 1, h, w, 32, 32)
    height, width = cut.shape[2:4]
    windows = cut.reshape(-1, 1, WINDOW, WINDOW)
    logits = torch.cat([network(part) for part in windows.split(batch)])
    return logits.T.reshape(1, -1, height, width)


def main() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = pw.create("lenet5_simplified", in_channels=1, num_classes=10).eval()
    largest = 0.0
    for side in (128, 512):
        picture = torch.rand(1, 1, side, side)
        ways = {
            "fully convolutional": partial(network.dense_logits, picture),
            f"windows, {BATCH} at a time": partial(rolled, network, picture, BATCH),
            "windows, one by one": partial(rolled, network, picture, 1),
        }
        spent: dict[str, list[float]] = {name: [] for name in ways}
        with torch.inference_mode():
            answers = [way() for way in ways.values()]
            for _ in range(rounds):
                for name, way in ways.items():
                    start = time.process_time()
                    way()
                    spent[name].append(time.process_time() - start)
        largest = max(largest, *(float((answer - answers[0]).abs().max()) for answer in answers))
        medians = {name: statistics.median(times) for name, times in spent.items()}
        shortest = medians["fully convolutional"]
        print(
            f"{side} x {side} pixels, {answers[0].shape[2]} x {answers[0].shape[3]} windows, median of {rounds} rounds"
        )
        for name, seconds in medians.items():
            print(f"  {name:<24} {seconds * 1e3:8.1f} ms, {seconds / shortest:5.1f} times as long")
    print(f"largest difference: {largest:.1e}, at most {LIMIT:.0e} wanted")
    return 0 if largest <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
