"""Small data sets written into a temporary folder."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from pixelwise.data.manifest import Manifest, build_manifest


def picture(path: Path, seed: int = 0, *, size: tuple[int, int] = (6, 8), value: int | None = None) -> Path:
    """Write a grey picture, of noise or of one value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
    Image.fromarray(noise if value is None else np.full(size, value, np.uint8)).save(path)
    return path


def mask(
    path: Path, values: NDArray[np.uint8] | None = None, *, size: tuple[int, int] = (6, 8), top: int = 255
) -> Path:
    """Write a mask: ``values``, or 0 with a rectangle of ``top``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if values is None:
        values = np.zeros(size, np.uint8)
        values[1:3, 2:5] = top
    Image.fromarray(values).save(path)
    return path


def stack(path: Path, slices: NDArray[np.generic]) -> Path:
    """Write a multi-page TIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, slices, photometric="minisblack")
    return path


def class_folders(root: Path, names: tuple[str, ...] = ("cat", "dog"), *, each: int = 3) -> Path:
    """Write ``root/CLASS/0.png`` and so on, every picture another."""
    for place, name in enumerate(names):
        for number in range(each):
            picture(root / name / f"{number}.png", seed=1000 * place + number)
    return root


def pairs(
    root: Path, names: tuple[str, ...] = ("a", "b", "c"), *, images: str = "images", masks: str = "masks"
) -> Path:
    """Write ``root/images/NAME.png`` and ``root/masks/NAME.png``."""
    for place, name in enumerate(names):
        picture(root / images / f"{name}.png", seed=place)
        mask(root / masks / f"{name}.png")
    return root


def index(root: Path, **options: Any) -> Manifest:
    """Index a folder afresh."""
    return build_manifest(root, use_cache=False, **options)


def same(one: Manifest, other: Manifest) -> bool:
    """Whether two indices say the same."""
    about = ("layout", "task", "classes", "mask_reading", "skipped", "notes")
    return list(one) == list(other) and all(getattr(one, name) == getattr(other, name) for name in about)
