"""Exact tiles beside tiles without a halo, the whole picture at once, and MONAI's sliding windows where installed.

    python benchmarks/tiles.py [--side 512] [--tile 320] [--network unet16] [--rounds 3]

One thread, process time, ways interleaved, medians over rounds. Weights are drawn and the picture is noise: what is
measured is arithmetic, not accuracy. Exit code 1 when exact tiles differ from the whole by more than 1e-5 of the
largest logit.
"""

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pixelwise import catalogue
from pixelwise.layers.folding import for_prediction
from pixelwise.predict.placement import place
from pixelwise.predict.tiling import plan_tiles, predict_tiled
from pixelwise.specs import Network

LIMIT = 1e-5
Answers = NDArray[np.float32]


def whole(forward: Callable[[NDArray[Any]], Answers], network: Network, image: NDArray[Any]) -> Answers:
    """Answer the whole picture at once."""
    placement = place(network, *image.shape[:2])
    rows, columns = (slice(start, start + side) for start, side in zip(placement.start, image.shape[:2], strict=True))
    return forward(placement.surround(image))[:, rows, columns]


def naive(forward: Callable[[NDArray[Any]], Answers], network: Network, image: NDArray[Any], tile: int) -> Answers:
    """Answer squares that do not overlap, each as if it were a picture."""
    height, width = image.shape[:2]
    answer = np.zeros((network.num_classes, height, width), np.float32)
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            part = image[top : top + tile, left : left + tile]
            answer[:, top : top + tile, left : left + tile] = whole(forward, network, part)
    return answer


def sliding(forward: Callable[[NDArray[Any]], Answers], image: NDArray[Any], tile: int, overlap: float) -> Answers:
    """Answer by MONAI's inferer with Gaussian weights."""
    from monai.inferers import sliding_window_inference

    def predictor(batch: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.stack([forward(one) for one in batch.permute(0, 2, 3, 1).numpy()]))

    batch = torch.from_numpy(image).permute(2, 0, 1)[None]
    found = sliding_window_inference(batch, (tile, tile), 1, predictor, overlap=overlap, mode="gaussian")
    assert isinstance(found, torch.Tensor)  # one output
    return found[0].numpy()


def main() -> int:
    """Run as the options say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--tile", type=int, default=320)
    parser.add_argument("--network", default="unet16")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = for_prediction(catalogue.create(options.network, in_channels=1, num_classes=2).eval())
    side = options.side
    image = np.random.default_rng(0).random((side, side, 1), dtype=np.float32)

    def forward(pixels: NDArray[Any]) -> Answers:
        with torch.inference_mode():
            batch = torch.from_numpy(np.ascontiguousarray(pixels))[None].movedim(-1, 1)
            return network(batch)[0].numpy()

    plan = plan_tiles(network, (side, side), tile=options.tile)
    ways: dict[str, Callable[[], Answers]] = {
        "whole": lambda: whole(forward, network, image),
        "exact tiles": lambda: predict_tiled(forward, image, plan),
        "no halo": lambda: naive(forward, network, image, options.tile),
    }
    if importlib.util.find_spec("monai") and network.input_size_for(side, side) == (side, side):
        ways["MONAI, overlap 0.25"] = lambda: sliding(forward, image, options.tile, 0.25)
        ways["MONAI, overlap 0.5"] = lambda: sliding(forward, image, options.tile, 0.5)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    answers: dict[str, Answers] = {}
    for _ in range(options.rounds):
        for way, run in ways.items():
            started = time.process_time()
            answers[way] = run()
            seconds[way].append(time.process_time() - started)
    reference = answers["whole"]
    largest = float(np.abs(reference).max())
    print(f"{options.network} on {side} x {side}: {plan.summary()}; {plan.redundancy:.2f} pixels computed per pixel")
    print("way                     CPU s   largest difference / largest logit   labels that differ")
    for way, answer in answers.items():
        apart = float(np.abs(answer - reference).max()) / largest
        labels = float(np.mean(answer.argmax(0) != reference.argmax(0)))
        print(f"{way:<22}{statistics.median(seconds[way]):7.2f}{apart:37.1e}{labels:21.4%}")
    return int(float(np.abs(answers["exact tiles"] - reference).max()) / largest > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
