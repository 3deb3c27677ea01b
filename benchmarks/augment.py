"""Cost of augmenting one 512 x 512 RGB picture and its mask to 384 x 384, beside other libraries.

    python benchmarks/augment.py
    pip install --target ORACLES --no-deps albumentations albucore stringzilla simsimd PyYAML kornia kornia_rs monai
    PYTHONPATH=ORACLES python benchmarks/augment.py

Everybody does the same: a mirror image half of the time, a rotation by up to 180 degrees, scale 0.8 to 1.25, a shift
by up to 20 px, a smooth elastic deformation with displacements of about 10 px on a coarse lattice (or, where a
library has none, a Gaussian field), mirrored borders, a random crop, brightness and contrast by up to 20 %. Process
CPU time on one thread median over interleaved rounds of 8 pictures, so that a busy machine hits all columns alike;
everybody has the allocator settings that pixelwise trains with. A library that is not installed is left out, and that
is said. Exit code 1 when the fastest of the others takes less than 8 times as long.
"""

import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pixelwise.data.augment import Augment
from pixelwise.runtime import keep_freed_memory

SIDE, OUTPUT, ROUNDS = 512, 384, 7
CALLS, KORNIA_BATCH = 8, 4
WANTED_RATIO = 8.0

Way = Callable[[], object]


def make_pair() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a picture with structure at several scales, and a mask of five classes."""
    rng = np.random.default_rng(0)
    layers = [
        cv2.resize(rng.random((side, side, 3)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) / (k + 1)
        for k, side in enumerate((8, 32, 128, SIDE))
    ]
    picture = np.clip(sum(layers, np.zeros((SIDE, SIDE, 3))) * 120, 0, 255).astype(np.uint8)
    return picture, np.kron(rng.integers(0, 5, (16, 16)), np.ones((SIDE // 16, SIDE // 16))).astype(np.uint8)


def pixelwise_ways(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> dict[str, Way]:
    """One fused warp."""
    augment = Augment(
        flip_horizontal=0.5,
        rotate_degrees=180,
        scale=(0.8, 1.25),
        shift_px=20,
        elastic_px=10,
        brightness=0.2,
        contrast=0.2,
    )
    rng = np.random.default_rng(0)
    return {"pixelwise": lambda: augment.apply(image, mask, rng, (OUTPUT, OUTPUT))}


def albumentations_ways(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> dict[str, Way]:
    """One after the other, each on the whole picture; both of the library's elastic transforms."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations as A

    def chain(elastic: Any) -> Way:
        steps = A.Compose(
            [
                A.HorizontalFlip(p=0.5),
                A.Affine(
                    rotate=(-180, 180),
                    scale=(0.8, 1.25),
                    translate_px=(-20, 20),
                    border_mode=cv2.BORDER_REFLECT_101,
                    p=1.0,
                ),
                elastic,
                A.RandomCrop(OUTPUT, OUTPUT),
                A.RandomBrightnessContrast(0.2, 0.2, p=1.0),
            ]
        )
        return lambda: steps(image=image, mask=mask)

    field = A.ElasticTransform(alpha=300, sigma=50, border_mode=cv2.BORDER_REFLECT_101, p=1.0)
    return {
        "albumentations, cells of a lattice": chain(A.GridElasticDeform(num_grid_xy=(2, 2), magnitude=10, p=1.0)),
        "albumentations, Gaussian field": chain(field),
    }


def kornia_ways(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> dict[str, Way]:
    """A batch of four, timed for one picture."""
    import kornia.augmentation as K

    steps = K.AugmentationSequential(
        K.RandomHorizontalFlip(p=0.5),
        K.RandomAffine(180.0, translate=(0.04, 0.04), scale=(0.8, 1.25), padding_mode="reflection", p=1.0),
        K.RandomElasticTransform((63, 63), (32.0, 32.0), (1.0, 1.0), padding_mode="reflection", p=1.0),
        K.RandomCrop((OUTPUT, OUTPUT)),
        K.RandomBrightness((0.8, 1.2), p=1.0),
        K.RandomContrast((0.8, 1.2), p=1.0),
        data_keys=["input", "mask"],
    )
    images = torch.from_numpy(image).permute(2, 0, 1)[None].float().div(255).repeat(KORNIA_BATCH, 1, 1, 1)
    masks = torch.from_numpy(mask)[None, None].float().repeat(KORNIA_BATCH, 1, 1, 1)
    return {f"kornia, batch of {KORNIA_BATCH}": lambda: steps(images, masks)}


def monai_ways(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> dict[str, Way]:
    """Its elastic transform takes the affine part and the crop along in one grid."""
    import monai.transforms as M

    keys = ["image", "label"]
    steps = M.Compose(
        [
            M.RandFlipd(keys, prob=0.5, spatial_axis=1),
            M.Rand2DElasticd(
                keys,
                spacing=(256.0, 256.0),
                magnitude_range=(10.0, 10.0),
                spatial_size=(OUTPUT, OUTPUT),
                prob=1.0,
                rotate_range=3.1416,
                scale_range=(-0.2, 0.25),
                translate_range=20.0,
                mode=["bilinear", "nearest"],
                padding_mode="reflection",
            ),
            M.RandShiftIntensityd(["image"], offsets=0.2, prob=1.0),
            M.RandScaleIntensityd(["image"], factors=0.2, prob=1.0),
        ]
    )
    channels_first = np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32) / 255
    return {"monai": lambda: steps({"image": channels_first, "label": mask[None]})}


def measure(ways: dict[str, Way]) -> dict[str, float]:
    """Return the median CPU milliseconds of each way for one picture."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            pictures = KORNIA_BATCH if "kornia" in name else 1
            way()  # brings the caches back that the others have used
            for _ in range(CALLS // pictures):
                start = time.process_time()
                way()
                spent[name].append(1000 * (time.process_time() - start) / pictures)
    return {name: statistics.median(values) for name, values in spent.items()}


def main() -> int:
    """Print the table; return the exit code."""
    warnings.simplefilter("ignore")
    keep_freed_memory()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    image, mask = make_pair()
    ways = pixelwise_ways(image, mask)
    for name, make in (("albumentations", albumentations_ways), ("kornia", kornia_ways), ("monai", monai_ways)):
        try:
            ways |= make(image, mask)
        except ImportError as error:
            print(f"{name} is left out: {error}")
    spent = measure(ways)
    ours = spent.pop("pixelwise")
    print(
        f"{SIDE} x {SIDE} RGB and mask to {OUTPUT} x {OUTPUT}, CPU ms, median of {ROUNDS} interleaved rounds of {CALLS}"
    )
    print(f"{'pixelwise':36} {ours:8.2f}")
    for name, milliseconds in spent.items():
        print(f"{name:36} {milliseconds:8.2f}  {milliseconds / ours:6.1f} times as long")
    if not spent:
        return 0
    ratio = min(spent.values()) / ours
    verdict = "met" if ratio >= WANTED_RATIO else "MISSED"
    print(f"the fastest other: {ratio:.1f} times as long, at least {WANTED_RATIO:.0f} wanted: {verdict}")
    return 0 if ratio >= WANTED_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
