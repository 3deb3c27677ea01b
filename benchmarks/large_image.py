"""Predict a picture that need not fit into memory, and compare with MONAI's sliding windows where a picture does.

    python benchmarks/large_image.py --work FOLDER [--side 32768] [--memory 1.9GB] [--network unet16]
    python benchmarks/large_image.py --work FOLDER --compare 2048 [--rounds 3] [--roi 512]

The picture is the bundled one of cell nuclei, continued by its mirror images, with a slow change of brightness over it,
written as a tiled BigTIFF. The model is trained on the bundled nuclei for a few epochs and kept in FOLDER, or given by
--model. The first form runs ``pixelwise predict`` in a process of its own and reports time, peak memory and pixels
computed per pixel kept; exit code 1 when the peak exceeds 2 GB. The second form runs, in processes of their own and
interleaved: this package tile by tile from file to file, MONAI's sliding_window_inference (default overlap 0.25) on the
same network in memory, and the network on the whole picture, with which the labels are compared. Medians over rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import tifffile
import torch

from pixelwise.data.regions import LARGE_PIXELS, open_source
from pixelwise.data.regions.creating import open_sink
from pixelwise.data.regions.sink import Form
from pixelwise.data.samples import nuclei, write_nuclei
from pixelwise.predict.large import LargeOptions, predict_large
from pixelwise.predict.member import Member
from pixelwise.predict.protocols import CENTRE
from pixelwise.runs.model import load_model
from pixelwise.training.session import train

LIMIT_BYTES = 2_000_000_000
BLOCK_PX = 1024
WAYS = ("pixelwise", "monai", "whole")


def write_picture(path: Path, side: int) -> None:
    """Write the mirrored nuclei, (side, side) uint16, block by block."""
    texture = nuclei()[0]
    period = np.concatenate([texture, texture[::-1]])
    period = np.concatenate([period, period[:, ::-1]], axis=1)
    form = Form(shape=(side, side, 1), dtype=np.dtype(np.uint16), block=(512, 512))
    sink = open_sink(path, "tiff", form)
    for top in range(0, side, BLOCK_PX):
        for left in range(0, side, BLOCK_PX):
            rows, columns = np.arange(top, min(top + BLOCK_PX, side)), np.arange(left, min(left + BLOCK_PX, side))
            brightness = 1 + 0.2 * np.sin(np.add.outer(rows / 977, columns / 1409))
            pixels = period[np.ix_(rows % len(period), columns % len(period))] * brightness
            region = ((top, top + len(rows)), (left, left + len(columns)))
            sink.write(region, pixels.round().astype(np.uint16)[..., None])
    sink.close()


def trained_model(work: Path, network: str, epochs: int) -> Path:
    """Train on the bundled nuclei, once."""
    run = work / f"run-{network}"
    if not (run / "model").exists():
        data = work / "nuclei"
        if not data.exists():
            write_nuclei(data)
        train(data, network, out=run, settings={"epochs": str(epochs), "resize": "none"}, quiet=True)
    return run


def measured(command: list[str]) -> tuple[float, int, str]:
    """Run a process; return its seconds, its peak memory in bytes, and what it printed."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None  # it was asked for
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed with exit code {process.returncode}")
    return time.perf_counter() - started, usage.ru_maxrss * 1024, said


def run_large(work: Path, model: Path, side: int, memory: str) -> int:
    """Predict one large picture by the command line; return the exit code."""
    path, out = work / f"nuclei-{side}.tif", work / f"large-{side}"
    if not path.exists():
        write_picture(path, side)
    command = [sys.executable, "-c", "from pixelwise.cli.main import main; main()", "predict", str(model), str(path)]
    seconds, peak, said = measured([*command, "--out", str(out), "--memory", memory, "--overwrite"])
    summary = json.loads((out / "summaries" / f"{path.stem}.json").read_text())
    print(said.strip())
    print(f"picture                    {side:,} x {side:,}, {side * side / 1e6:,.0f} Mpx")
    print(f"time                       {seconds:,.0f} s, {side * side / 1e6 / seconds:.2f} Mpx/s")
    print(f"peak memory                {peak / 1e9:.2f} GB (budget {memory}, limit {LIMIT_BYTES / 1e9:.0f} GB)")
    print(f"computed per kept pixel    {summary['tiles']['computed_per_kept_pixel']:.3f}")
    print(f"tiles                      {summary['tiles']['count']} of {summary['tiles']['input_px']}")
    return int(peak > LIMIT_BYTES)


def one_way(way: str, path: Path, model: Path, target: Path, memory: str, roi: int) -> None:
    """Predict in this process by one way; save the labels; print seconds and computed pixels per pixel as JSON."""
    member = Member(load_model(model), "cpu", 1, CENTRE)
    redundancy = 1.0
    if way == "pixelwise":
        from pixelwise.cli.large import parse_memory

        started = time.perf_counter()
        options = LargeOptions(memory_bytes=parse_memory(memory), overwrite=True)
        summary = predict_large(member, path, target.parent / "tiled", options)
        seconds, redundancy = time.perf_counter() - started, summary.plan.redundancy
        with open_source(summary.places.mask, stored=True) as source:
            labels = source.read(((0, source.size[0]), (0, source.size[1])))[..., 0]
    else:
        started = time.perf_counter()
        image = tifffile.imread(path)[..., None]
        answers = _windows(member, image, roi) if way == "monai" else (member.forward_tile(image), 1.0)
        labels, redundancy = answers[0].argmax(0).astype(np.uint8), answers[1]
        seconds = time.perf_counter() - started
    np.save(target, labels)
    print(json.dumps({"seconds": seconds, "redundancy": redundancy}))


def _windows(member: Member, image: np.ndarray, roi: int) -> tuple[np.ndarray, float]:
    """Run MONAI's inferer at its defaults; return probabilities (K, H, W) and the pixels computed for each."""
    from monai.inferers import sliding_window_inference

    computed = 0

    def predictor(batch: torch.Tensor) -> torch.Tensor:
        nonlocal computed
        computed += batch.shape[0] * batch.shape[2] * batch.shape[3]
        pixels = batch.permute(0, 2, 3, 1).numpy()
        return torch.from_numpy(np.stack([member.forward_tile(one) for one in pixels]))

    batch = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]  # it adds up in the input's type
    answer = sliding_window_inference(batch, (roi, roi), 1, predictor)
    assert isinstance(answer, torch.Tensor)  # one output
    return answer[0].numpy(), computed / (image.shape[0] * image.shape[1])


def compare(work: Path, model: Path, side: int, memory: str, roi: int, rounds: int) -> None:
    """Compare the ways on a picture that fits into memory."""
    path = work / f"nuclei-{side}.tif"
    if not path.exists():
        write_picture(path, side)
    found: dict[str, list[tuple[float, float, int]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            command = [sys.executable, __file__, "--work", str(work), "--model", str(model), "--way", way]
            command += ["--compare", str(side), "--memory", memory, "--roi", str(roi)]
            _, peak, said = measured(command)
            facts = json.loads(said.splitlines()[-1])
            found[way].append((facts["seconds"], facts["redundancy"], peak))
    whole = np.load(work / "labels-whole.npy")
    print(f"{side} x {side} pixels, medians of {rounds} interleaved rounds; windows of {roi}, budget {memory}")
    print("way         seconds  x whole  peak GB  computed/kept  labels that differ from the whole picture's")
    reference = statistics.median(seconds for seconds, _, _ in found["whole"])
    for way, results in found.items():
        seconds, redundancy, peak = (statistics.median(column) for column in zip(*results, strict=True))
        differing = int((np.load(work / f"labels-{way}.npy") != whole).sum())
        shares = f"{differing:,} ({differing / whole.size:.2e})"
        print(f"{way:<10}{seconds:9.2f}{seconds / reference:9.2f}{peak / 1e9:9.2f}{redundancy:15.3f}  {shares}")


def main() -> int:
    """Run as the options say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for pictures, model and results")
    parser.add_argument("--model", type=Path, help="a run or model folder; by default one is trained")
    parser.add_argument("--network", default="unet16")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--side", type=int, default=32768)
    parser.add_argument("--memory", default="1.9GB")
    parser.add_argument("--compare", type=int, metavar="SIDE")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--roi", type=int, default=512)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if not options.compare and options.side**2 < LARGE_PIXELS:
        parser.error(
            f"--side {options.side}: smaller than what is predicted tile by tile; say 4096 or more, or --compare"
        )
    model = options.model or trained_model(options.work, options.network, options.epochs)
    if options.way:
        target = options.work / f"labels-{options.way}.npy"
        one_way(options.way, options.work / f"nuclei-{options.compare}.tif", model, target, options.memory, options.roi)
        return 0
    if options.compare:
        compare(options.work, model, options.compare, options.memory, options.roi, options.rounds)
        return 0
    return run_large(options.work, model, options.side, options.memory)


if __name__ == "__main__":
    sys.exit(main())
