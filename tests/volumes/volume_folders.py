"""Tiny data sets of volumes: blobs of two brightnesses in noise, as NIfTI pairs or TIFF stacks."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import tifffile
from numpy.typing import NDArray

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def blobs(size: tuple[int, int, int], seed: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """A volume (D, H, W) with a ball of label 1 and one of label 2, and its labels; scales differ with the seed."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*(np.arange(side) for side in size), indexing="ij"), -1)
    labels = np.zeros(size, np.uint8)
    for label in (1, 2):
        centre = np.array([rng.uniform(0.3, 0.7) * side for side in size])
        labels[np.linalg.norm(grid - centre, axis=-1) < min(size) / 4] = label
    image = labels * 1.5 + rng.normal(0, 0.2, size)
    return (image * 10.0 ** (seed % 3)).astype(np.float32), labels


def save_nifti(path: Path, volume: NDArray[Any], affine: NDArray[np.float64] = AFFINE) -> Path:
    """Write (D, H, W) so that the package reads it in this order (for an affine that turns nothing)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(volume.transpose(2, 1, 0), affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


def nifti_folder(root: Path, sizes: list[tuple[int, int, int]]) -> Path:
    """images/*.nii.gz and labels/*.nii.gz."""
    for seed, size in enumerate(sizes):
        image, labels = blobs(size, seed)
        save_nifti(root / "images" / f"v{seed}.nii.gz", image)
        save_nifti(root / "labels" / f"v{seed}.nii.gz", labels)
    return root


def stack_folder(root: Path, sizes: list[tuple[int, int, int]]) -> Path:
    """images/*.tif and masks/*.tif of 16 bits."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for seed, size in enumerate(sizes):
        image, labels = blobs(size, 3 * seed)
        tifffile.imwrite(
            root / "images" / f"v{seed}.tif", (1000 * (image + 2)).astype(np.uint16), photometric="minisblack"
        )
        tifffile.imwrite(root / "masks" / f"v{seed}.tif", labels, photometric="minisblack")
    return root
