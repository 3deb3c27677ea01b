"""Training on a picture of 20,000 x 20,000 pixels: what its crops show, and how much memory that takes."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile

SIDE, TILE = 20_000, 512

STEP = """
import resource, sys
from pathlib import Path
import numpy as np, torch
from pixelwise.data.augment import Augment
from pixelwise.data.dataset import Dataset
from pixelwise.data.manifest import build_manifest
from pixelwise.data.measuring import measure_preprocess
from pixelwise.data.reading import Glimpses, SampleReader

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

before, root = peak(), Path(sys.argv[1])
manifest = build_manifest(root, use_cache=False)
preprocess = measure_preprocess(Glimpses(SampleReader(root, manifest)), [0], channels=3)
crops = Dataset(
    manifest, root, np.array([0]), preprocess, augment=Augment(), crop=(256, 256), seed=0, patches=16, foreground=0.5
)
images, labels, _ = crops.arrays(np.arange(16), 0)
np.savez(sys.argv[2], images=images, labels=labels)
print(peak() - before)
"""


def tiles(block):
    return (block for _ in range((-(-SIDE // TILE)) ** 2))


@pytest.mark.slow
def test_a_training_step_reads_what_its_crops_show(tmp_path):
    rows, columns = np.mgrid[:TILE, :TILE]
    labels = ((rows - 200) ** 2 + (columns - 300) ** 2 < 60**2).astype(np.uint8)
    image = np.stack([labels * 90 + 40, rows // 4, columns // 4], axis=2).astype(np.uint8)
    for folder, block, form in (("images", image, "rgb"), ("masks", labels, "minisblack")):
        (tmp_path / "set" / folder).mkdir(parents=True)
        tifffile.imwrite(
            tmp_path / "set" / folder / "slide.tif", tiles(block), shape=(SIDE, SIDE, *block.shape[2:]),
            dtype=np.uint8, tile=(TILE, TILE), compression="zlib", photometric=form, bigtiff=True,
        )  # fmt: skip
    command = [sys.executable, "-c", STEP, str(tmp_path / "set"), str(tmp_path / "crops.npz")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert float(done.stdout) < 300  # of 1,600 MB that picture and mask are
    with np.load(tmp_path / "crops.npz") as crops:
        images, shown = crops["images"], crops["labels"]
    hits = 0
    for picture, label_map in zip(images, shown, strict=True):
        top, left = int(picture[0, 0, 1]), int(picture[0, 0, 2])  # to four pixels
        candidates = (
            np.roll(labels, (-(4 * top + a), -(4 * left + b)), (0, 1))[:256, :256] for a in range(4) for b in range(4)
        )
        assert any(np.array_equal(label_map, candidate) for candidate in candidates)
        np.testing.assert_array_equal(picture[..., 0], label_map * 90 + 40)
        hits += int(label_map[118:138, 118:138].any())
    assert hits >= 5
