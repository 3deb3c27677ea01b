"""Cost of segmentation metrics for one 512 x 512 image of 11 classes, and of HD95 for one mask, beside the usual ways.

    python benchmarks/metrics.py
    pip install --target ORACLES --no-deps torchmetrics lightning-utilities monai
    PYTHONPATH=ORACLES python benchmarks/metrics.py

Process CPU time on one thread, median over interleaved rounds, so that a busy machine hits all columns alike. All ways
must give the same counts and distances. Exit code 1 when counting takes more than 1 ms, or HD95 more than 25 ms.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping

import cv2
import numpy as np
import scipy.ndimage
import torch
from numpy.typing import NDArray

from pixelwise.metrics import confusion_matrix, hausdorff_95, predicted_classes
from pixelwise.tasks import make_task

CLASSES, SIDE, ROUNDS = 11, 512, 15
LIMIT_MS, SURFACE_LIMIT_MS = 1.0, 25.0

Way = Callable[[], object]


def counting_ways(truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> dict[str, Way]:
    """Ways from class indices to a confusion matrix."""

    def bincount() -> NDArray[np.int64]:  # as in scikit-learn and most training scripts
        valid = truth != 255
        cells = CLASSES * truth[valid].astype(np.int64) + predicted[valid]
        return np.bincount(cells, minlength=CLASSES**2).reshape(CLASSES, CLASSES)

    ways: dict[str, Way] = {
        "pixelwise counts": lambda: confusion_matrix(truth, predicted, CLASSES, ignore=255),
        "numpy bincount counts": bincount,
    }
    try:
        from torchmetrics.functional.classification import multiclass_confusion_matrix
    except ImportError:
        print("torchmetrics is not installed: its rows are left out")
        return ways
    long_truth, long_predicted = torch.from_numpy(truth).long(), torch.from_numpy(predicted).long()
    ways["torchmetrics counts"] = lambda: multiclass_confusion_matrix(
        long_predicted, long_truth, CLASSES, ignore_index=255, validate_args=False
    )
    return ways


def whole_ways(logits: torch.Tensor, truth: torch.Tensor) -> dict[str, Way]:
    """Ways from logits to a metric that was updated."""
    meter = make_task("segmentation", tuple(map(str, range(CLASSES)))).meter()
    ways: dict[str, Way] = {
        "argmax alone": lambda: logits.argmax(1),
        "predicted_classes alone": lambda: predicted_classes(logits),
        "pixelwise meter update": lambda: meter.update(logits, truth),
    }
    try:
        from torchmetrics.classification import MulticlassJaccardIndex
    except ImportError:
        return ways
    jaccard, long_truth = MulticlassJaccardIndex(CLASSES, ignore_index=255, validate_args=False), truth.long()
    ways["torchmetrics Jaccard update"] = lambda: jaccard.update(logits, long_truth)
    return ways


def surface_ways(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> dict[str, Callable[[], float]]:
    """Ways from two masks to the larger one of the 95th percentiles."""

    def usual() -> float:  # erosions and full distance transforms of SciPy, as in medpy and most scripts
        own, other = (mask & ~scipy.ndimage.binary_erosion(mask) for mask in (truth, predicted))
        pairs = ((own, other), (other, own))
        return max(float(np.percentile(scipy.ndimage.distance_transform_edt(~to)[at], 95)) for at, to in pairs)

    ways: dict[str, Callable[[], float]] = {
        "pixelwise HD95": lambda: hausdorff_95(truth, predicted),
        "SciPy HD95": usual,
    }
    try:
        from monai.metrics import compute_hausdorff_distance
    except ImportError:
        print("MONAI is not installed: its row is left out")
        return ways
    own, other = (torch.from_numpy(mask)[None, None].float() for mask in (truth, predicted))
    ways["MONAI HD95"] = lambda: float(compute_hausdorff_distance(other, own, include_background=True, percentile=95))
    return ways


def measure(ways: Mapping[str, Way]) -> dict[str, float]:
    """Return the median CPU milliseconds of each way."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS + 1):
        for name, way in ways.items():
            start = time.process_time()
            way()
            spent[name].append(1000 * (time.process_time() - start))
    return {name: statistics.median(values[1:]) for name, values in spent.items()}


def blobs(seed: int) -> NDArray[np.bool_]:
    """Return a (SIDE, SIDE) mask of many rounded regions."""
    return scipy.ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(SIDE, SIDE)), 8) > 0


def main() -> int:
    """Print the table; return the exit code."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(1, CLASSES, SIDE, SIDE)).astype(np.float32))
    truth = rng.integers(0, CLASSES, (SIDE, SIDE)).astype(np.uint8)
    truth[:20] = 255
    counting = counting_ways(truth, predicted_classes(logits)[0].numpy())
    reference = confusion_matrix(truth, predicted_classes(logits)[0].numpy(), CLASSES, ignore=255)
    for name, way in counting.items():
        if not np.array_equal(np.asarray(way()), reference):
            print(f"{name} does not agree", file=sys.stderr)
            return 1
    surfaces = surface_ways(blobs(0), blobs(1))
    distances = [way() for way in surfaces.values()]
    if not np.allclose(distances, distances[0], rtol=1e-5):
        print(f"distances do not agree: {distances}", file=sys.stderr)
        return 1
    spent = measure(counting | whole_ways(logits, torch.from_numpy(truth)[None])) | measure(surfaces)
    print(f"one {SIDE} x {SIDE} image of {CLASSES} classes, CPU ms, median of {ROUNDS} interleaved rounds")
    for name, milliseconds in spent.items():
        print(f"{name:28} {milliseconds:8.2f}")
    is_met = True
    for name, limit in (("pixelwise counts", LIMIT_MS), ("pixelwise HD95", SURFACE_LIMIT_MS)):
        is_met &= spent[name] <= limit
        verdict = "met" if spent[name] <= limit else "MISSED"
        print(f"{name}: {spent[name]:.2f} ms, at most {limit:.2f} ms wanted: {verdict}")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
