"""Cost of an augmented, normalised 224 x 224 training picture from a 500 x 375 JPEG.

    python benchmarks/loading.py [FOLDER]
    PYTHONPATH=ORACLES python benchmarks/loading.py        # ORACLES: see benchmarks/augment.py

FOLDER holds class folders of JPEGs; without one, pictures are generated. Random resized crop, mirror image, batches
of 32, normalised: the ImageNet recipe. Process CPU time on one thread, epochs interleaved, medians. Exit code 1 when
a picture costs more than 1.8 ms from its file or more than 0.5 ms from memory.
"""

import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from pixelwise.data.augment import Augment
from pixelwise.data.dataset import Dataset
from pixelwise.data.loading import load_batches
from pixelwise.data.manifest import Manifest, build_manifest
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.sample_cache import CachePolicy
from pixelwise.runtime import keep_freed_memory

PICTURES, BATCH, SIDE, EPOCHS = 192, 32, 224, 7
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LIMITS_MS = {"pixelwise, files": 1.8, "pixelwise, memory": 0.5}

Epoch = Callable[[int], object]


def generate(root: Path) -> None:
    """Write JPEGs whose size in bytes (about 70 kB) and detail are those of photographs."""
    rng = np.random.default_rng(0)
    for k in range(PICTURES):
        smooth = cv2.resize(
            rng.integers(0, 256, (24, 32, 3)).astype(np.float32), (500, 375), interpolation=cv2.INTER_CUBIC
        )
        picture = np.clip(smooth + rng.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)
        path = root / f"class{k % 2}" / f"{k:03}.jpg"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])


def pixelwise_epoch(root: Path, manifest: Manifest, cache: CachePolicy) -> Epoch:
    """Read, warp, collate and normalise everything once."""
    frame = Preprocess(
        channels=3, low=0.0, high=255.0, mean=MEAN, std=STD, resize="crop", size=(SIDE, SIDE), crop_fraction=0.875
    )
    dataset = Dataset(
        manifest,
        root,
        np.arange(len(manifest)),
        frame,
        augment=Augment.named("imagenet"),
        crop=None,
        seed=0,
        cache=cache,
    )

    def epoch(number: int) -> None:
        for batch in load_batches(dataset, batch_size=BATCH, epoch=number, shuffle=True):
            frame.normalise(batch.images)

    return epoch


def albumentations_epoch(paths: list[Path]) -> Epoch:
    """OpenCV decodes, albumentations crops, turns and normalises, torch stacks."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations as A

    steps = A.Compose([A.RandomResizedCrop((SIDE, SIDE)), A.HorizontalFlip(p=0.5), A.Normalize(MEAN, STD)])

    def epoch(_: int) -> None:
        for start in range(0, len(paths), BATCH):
            images = []
            for path in paths[start : start + BATCH]:
                picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
                images.append(torch.from_numpy(steps(image=picture)["image"].transpose(2, 0, 1)))
            torch.stack(images)

    return epoch


def torchvision_epoch(paths: list[Path]) -> Epoch:
    """Pillow decodes, torchvision's transforms do the rest."""
    from PIL import Image
    from torchvision.transforms import v2

    steps = v2.Compose(
        [
            v2.PILToTensor(),
            v2.RandomResizedCrop((SIDE, SIDE), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )

    def epoch(_: int) -> None:
        for start in range(0, len(paths), BATCH):
            torch.stack([steps(Image.open(path).convert("RGB")) for path in paths[start : start + BATCH]])

    return epoch


def measure(epochs: dict[str, Epoch], pictures: int) -> dict[str, float]:
    """Return the median CPU milliseconds for one picture; the first epoch, which fills the cache, does not count."""
    spent: dict[str, list[float]] = {name: [] for name in epochs}
    for number in range(EPOCHS + 1):
        for name, epoch in epochs.items():
            start = time.process_time()
            epoch(number)
            spent[name].append(1000 * (time.process_time() - start) / pictures)
    return {name: statistics.median(values[1:]) for name, values in spent.items()}


def compare(root: Path) -> int:
    """Print the table for the pictures under ``root``; return the exit code."""
    manifest = build_manifest(root, use_cache=False)
    paths = [root / sample.path for sample in manifest]
    epochs = {
        "pixelwise, files": pixelwise_epoch(root, manifest, "none"),
        "pixelwise, memory": pixelwise_epoch(root, manifest, "memory"),
    }
    for name, make in (("albumentations", albumentations_epoch), ("torchvision", torchvision_epoch)):
        try:
            epochs[f"{name}, files"] = make(paths)
        except (ImportError, OSError, RuntimeError) as error:
            print(f"{name} is left out: {error}")
    spent = measure(epochs, len(paths))
    print(f"{len(paths)} JPEGs to {SIDE} x {SIDE}, CPU ms for one picture, median of {EPOCHS} interleaved epochs")
    for name, milliseconds in spent.items():
        limit = LIMITS_MS.get(name)
        verdict = "" if limit is None else f"  at most {limit} wanted: {'met' if milliseconds <= limit else 'MISSED'}"
        print(f"{name:24} {milliseconds:6.2f}{verdict}")
    return 0 if all(spent[name] <= limit for name, limit in LIMITS_MS.items()) else 1


def main() -> int:
    """Run on the folder named on the command line, or on generated pictures."""
    warnings.simplefilter("ignore")
    keep_freed_memory()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        return compare(Path(sys.argv[1]))
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        return compare(Path(folder))


if __name__ == "__main__":
    sys.exit(main())
