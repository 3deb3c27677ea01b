"""Time to index a folder of pictures, and time and memory to load a manifest of ImageNet's size.

    python benchmarks/manifest.py [--files 100000] [--entries 1300000]

Writes ``--files`` small JPEG files of different contents (32 x 32 pixels) in 100 class folders of a temporary folder
and indexes them: without cache, then with the cache that this leaves. A manifest of ``--entries`` made-up entries with
names and hashes as ImageNet has them is saved and loaded in fresh processes, whose peak memory (interpreter and
libraries included) is read from Linux. Exit code 1 when indexing takes a minute per 100,000 files or more, or loading
10 seconds or 500 MB or more.
"""

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from pixelwise.data.columns import TextColumn
from pixelwise.data.manifest import Manifest, build_manifest
from pixelwise.data.split import split_manifest

CLASSES = 100
ROUNDS = 3
MINUTE_PER_FILES = 100_000
LOAD_SECONDS, LOAD_BYTES = 10.0, 500_000_000


def write_files(root: Path, count: int) -> None:
    """Write ``count`` JPEG files of different contents; each has a comment of its own behind one shared picture."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG")
    start, rest = buffer.getvalue()[:2], buffer.getvalue()[2:]
    for label in range(CLASSES):
        (root / f"class{label}").mkdir(parents=True)
    long_ago = time.time_ns() - 60 * 10**9
    for number in range(count):
        path = root / f"class{number % CLASSES}" / f"picture_{number}.jpg"
        path.write_bytes(start + b"\xff\xfe\x00\x0a" + number.to_bytes(8, "big") + rest)
        os.utime(path, ns=(long_ago, long_ago))


def seconds_to_index(root: Path, cache: Path | None) -> float:
    """Index once."""
    start = time.perf_counter()
    build_manifest(root, use_cache=cache is not None, cache_folder=cache)
    return time.perf_counter() - start


def made_up(count: int) -> Manifest:
    """A manifest with ImageNet's 1,000 classes, names and random hashes."""
    rng = np.random.default_rng(0)
    labels = np.sort(rng.integers(0, 1000, count)).astype(np.int32)
    synsets = [f"n{1440764 + 13 * label:08d}" for label in range(1000)]
    paths = [f"train/{synsets[label]}/{synsets[label]}_{number}.JPEG" for number, label in enumerate(labels.tolist())]
    zeros, sizes = np.zeros(count, np.int32), rng.integers(20_000, 200_000, count)
    return Manifest(
        layout="class-folders",
        task="classification",
        classes=tuple(synsets),
        mask_reading=None,
        skipped=(),
        notes=(),
        paths=TextColumn.of(paths),
        masks=TextColumn.of([""] * count),
        groups=TextColumn.of([""] * count),
        annotations=TextColumn.of([""] * count),
        metadata_names=(),
        metadata=TextColumn.of([""] * count),
        columns={
            "label": labels,
            "split": np.ones(count, np.uint8),
            "frame": zeros - 1,
            "mask_frame": zeros - 1,
            "depth": zeros,
            "spacing": np.zeros((count, 3), np.float32),
            "height": rng.integers(200, 600, count).astype(np.int32),
            "width": rng.integers(200, 600, count).astype(np.int32),
            "channels": zeros + 3,
            "dtype": np.zeros(count, np.uint8),
            "size_bytes": sizes,
            "mtime_ns": 1_600_000_000_000_000_000 + sizes,
            "mask_size_bytes": zeros.astype(np.int64),
            "mask_mtime_ns": zeros.astype(np.int64),
            "sha256": rng.integers(0, 256, (count, 32), np.uint8),
            "mask_sha256": np.zeros((count, 32), np.uint8),
            "presence": np.zeros((count, 0), np.uint8),
        },
    )


def peak_bytes() -> int:
    """Peak resident memory of the process; unlike ``ru_maxrss``, nothing of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def load(path: Path) -> None:
    """Load in this process; print the seconds, and the peak memory in bytes before and after."""
    before = peak_bytes()
    start = time.perf_counter()
    manifest = Manifest.load(path)
    seconds = time.perf_counter() - start
    after = peak_bytes()
    last = manifest[len(manifest) - 1]
    print(seconds, before, after, last.path)


def main() -> int:
    """Measure, print, and say whether the limits hold."""
    parser = argparse.ArgumentParser(description="Time to index a folder and to load a large manifest")
    parser.add_argument("--files", type=int, default=100_000, help="pictures to write and index")
    parser.add_argument("--entries", type=int, default=1_300_000, help="entries of the manifest to load")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        load(options.load)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        write_files(base / "data", options.files)
        fresh = [seconds_to_index(base / "data", None) for _ in range(ROUNDS)]
        seconds_to_index(base / "data", base / "cache")
        cached = [seconds_to_index(base / "data", base / "cache") for _ in range(ROUNDS)]
        indexed = statistics.median(fresh)
        print(f"{options.files:,} files, median of {ROUNDS}: {indexed:.1f} s, cached {statistics.median(cached):.1f} s")
        path = base / "manifest.safetensors"
        manifest = made_up(options.entries)
        start = time.perf_counter()
        divided = split_manifest(manifest, fractions=(0.9, 0.1, 0.0))
        print(f"{options.entries:,} entries: cut a validation split in {time.perf_counter() - start:.1f} s", end=", ")
        start = time.perf_counter()
        divided.save(path)
        print(f"save in {time.perf_counter() - start:.1f} s ({path.stat().st_size / 1e6:.0f} MB)")
        command = [sys.executable, __file__, "--load", str(path)]
        runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(ROUNDS)]
        answers = [run.stdout.split() for run in runs]
        seconds = statistics.median(float(answer[0]) for answer in answers)
        before, peak = (statistics.median(float(answer[k]) for answer in answers) for k in (1, 2))
        print(
            f"load, median of {ROUNDS}: {seconds:.2f} s, peak {peak / 1e6:.0f} MB, of which {before / 1e6:.0f} MB are "
            "Python and libraries"
        )
    slow = indexed >= 60 * options.files / MINUTE_PER_FILES
    return int(slow or seconds >= LOAD_SECONDS or peak >= LOAD_BYTES)


if __name__ == "__main__":
    sys.exit(main())
