"""Time of the U-Net paper's weight map on 512 x 512 pixels, beside the usual code.

    python benchmarks/weight_map.py [--rounds 3]

The usual code makes one Euclidean distance transform of the whole picture for each object, stacks and sorts them.
Beside them: reading a map that was kept in a file, packed and plain.
Wall time and process CPU time on one thread, medians over interleaved rounds. Exit code 1 when 500 objects take more
than 0.15 s of CPU time, or when a weight differs by more than 1e-5 of w0.
"""

import argparse
import io
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from pixelwise.data.weight_map import weight_map

SIDE, W0, SIGMA = 512, 10.0, 5.0
LIMIT_S, LIMIT_ERROR = 0.15, 1e-5

Instances = NDArray[np.int32]


def draw_objects(count: int, seed: int = 0) -> Instances:
    """Draw discs that do not overlap but often nearly touch, (SIDE, SIDE), as many as asked for."""
    rng = np.random.default_rng(seed)
    radius = 0.40 * SIDE / count**0.5
    instances = np.zeros((SIDE, SIDE), np.int32)
    made = 0
    while made < count:
        disc = np.zeros((SIDE, SIDE), np.uint8)
        cv2.circle(disc, rng.integers(0, SIDE, 2).tolist(), max(2, round(radius * rng.uniform(0.5, 1.0))), 1, -1)
        free = disc.astype(bool) & (instances == 0)
        if free.sum() > 0.7 * disc.sum():
            made += 1
            instances[free] = made
    return instances


def usual_code(instances: Instances) -> NDArray[np.float64]:
    """Return equation 2 with w_c = 1, as training scripts compute it."""
    distances = np.stack(
        [scipy.ndimage.distance_transform_edt(instances != number) for number in np.unique(instances) if number]
    )
    nearest = np.sort(distances, axis=0)[:2].sum(0)
    return 1 + W0 * np.exp(-(nearest**2) / (2 * SIGMA**2)) * (instances == 0)


def ours(instances: Instances) -> NDArray[np.float32]:
    """Return the same."""
    return weight_map(instances, class_weights=(1, 1), w0=W0, sigma=SIGMA)


def kept(weights: NDArray[np.float32]) -> tuple[bytes, bytes]:
    """Return what a file of the map would hold, packed and plain."""
    packed, plain = io.BytesIO(), io.BytesIO()
    np.savez_compressed(packed, weights)
    np.savez(plain, weights)
    return packed.getvalue(), plain.getvalue()


def read(content: bytes) -> NDArray[np.float32]:
    """Undo :func:`kept`."""
    with np.load(io.BytesIO(content)) as found:
        return np.asarray(found["arr_0"])


def measure(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, tuple[float, float]]:
    """Return the median (wall, CPU) seconds of each way."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            way()
            spent[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: (statistics.median(wall for wall, _ in times), statistics.median(cpu for _, cpu in times))
        for name, times in spent.items()
    }


def main() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(1)
    error = cpu = 0.0
    print(f"{SIDE} x {SIDE}, median of {rounds} interleaved rounds, one thread: wall / CPU seconds")
    for count in (50, 500):
        instances = draw_objects(count)
        error = max(error, float(np.abs(ours(instances) - usual_code(instances)).max()) / W0)
        packed, plain = kept(ours(instances))
        ways: dict[str, Callable[[], object]] = {
            "ours": partial(ours, instances),
            "usual": partial(usual_code, instances),
            "packed": partial(read, packed),
            "plain": partial(read, plain),
        }
        spent = measure(ways, rounds)
        (wall, cpu), (other_wall, other_cpu) = spent["ours"], spent["usual"]
        print(
            f"{count:4} objects: pixelwise {wall:.3f} / {cpu:.3f}, usual code {other_wall:.2f} / {other_cpu:.2f}: "
            f"{other_cpu / cpu:.0f} times as long; read from {len(packed) // 1000} kB packed {spent['packed'][1]:.4f}, "
            f"from {len(plain) // 1000} kB plain {spent['plain'][1]:.4f}"
        )
    print(f"largest difference: {error:.1e} of w0, at most {LIMIT_ERROR:.0e} wanted")
    print(f"500 objects: {cpu:.3f} s, at most {LIMIT_S} s wanted")
    return 0 if cpu <= LIMIT_S and error <= LIMIT_ERROR else 1


if __name__ == "__main__":
    sys.exit(main())
