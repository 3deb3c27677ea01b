"""Nuclei in space as small volumes: see ``nuclei3d/SOURCE.txt``."""

from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
import tifffile

from pixelwise.data.volumes.reading import write_labels
from pixelwise.data.volumes.volume import Geometry
from pixelwise.storage.atomic import make_folder
from pixelwise.storage.paths import as_path

SPACING_MM: Final = (0.00116, 0.00104, 0.00104)
SPLITS: Final = ("train", "train", "val", "test")
_SIDE: Final = 32
_FOLDER: Final = Path(__file__).parent / "nuclei3d"


def write_volumes(out: Path | str) -> Path:
    """Write four volumes (15 x 32 x 32) of nuclei and their labels (0 background, 1 nucleus); return ``out``.

    They are ``out/images/SPLIT/N.nii`` and ``out/labels/SPLIT/N.nii``, two for training, one for validation and one for
    the test. Needs the extra ``volumes``.

    Raises:
        UsageError: nibabel is not installed.
        OutputError: they cannot be written.

    """
    out = as_path(out, "out")
    image, labels = (np.asarray(tifffile.imread(_FOLDER / f"{name}.tif")) for name in ("image", "labels"))
    for number, (split, (top, left)) in enumerate(zip(SPLITS, product((0, _SIDE), repeat=2), strict=True)):
        for folder, volume in (("images", image), ("labels", (labels > 0).astype(np.uint8))):
            make_folder(out / folder / split)
            part = volume[:, top : top + _SIDE, left : left + _SIDE]
            write_labels(out / folder / split / f"{number}.nii", part, Geometry.of_spacing(SPACING_MM))
    (out / "classes.txt").write_text("background\nnucleus\n")
    return out
