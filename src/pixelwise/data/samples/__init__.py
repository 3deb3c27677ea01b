"""Small real data sets that come with the package, each with its licence in SOURCE.txt.

``fashion``: 8,000 + 2,000 pictures of Fashion-MNIST (MIT). ``nuclei``: one picture of 125 cell nuclei (CC0).
They are written out as folders of pictures, the form in which most people have their own.
"""

import gzip
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from pixelwise.storage.atomic import make_folder
from pixelwise.storage.paths import as_path

FASHION_CLASSES = (
    "T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
TILE_PX = 128
CELL_GRID = (6, 5)
_FOLDER = Path(__file__).parent


def folder(name: str) -> Path:
    """Where the files of a bundled data set lie: ``fashion`` (a valid IDX data set by itself) or ``nuclei``."""
    return _FOLDER / name


def fashion(split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures (N, 28, 28) and labels (N,) of Fashion-MNIST; ``split`` is ``train`` (8,000) or ``test`` (2,000)."""
    stem = "train" if split == "train" else "t10k"
    images = gzip.decompress((_FOLDER / "fashion" / f"{stem}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((_FOLDER / "fashion" / f"{stem}-labels-idx1-ubyte.gz").read_bytes())
    return np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, offset=8)


def nuclei() -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Return the picture (512, 512), values 0 to 235, and its instance map (512, 512), 0 = background, 1 to 183."""
    image: NDArray[np.uint16] = tifffile.imread(_FOLDER / "nuclei" / "image.tif")
    labels: NDArray[np.uint16] = tifffile.imread(_FOLDER / "nuclei" / "labels.tif")
    return image, labels


def write_fashion(out: Path | str, *, train: int = 8000, test: int = 2000) -> Path:
    """Write Fashion-MNIST as class folders, ``out/train/CLASS/00017.png`` and ``out/test/...``; return ``out``."""
    out = as_path(out, "out")
    for split, count in (("train", train), ("test", test)):
        images, labels = fashion(split)
        for name in FASHION_CLASSES:
            make_folder(out / split / name)
        for number, (image, label) in enumerate(zip(images[:count], labels[:count], strict=True)):
            Image.fromarray(image).save(out / split / FASHION_CLASSES[label] / f"{number:05d}.png")
    return out


def write_cells(out: Path | str) -> Path:
    """Write the nuclei as thirty small pictures with numbered objects, and a strip to be counted; return ``out``.

    ``out/images/rRcC.png`` and ``out/masks/rRcC.png`` (16 bits, 0 = background, else the number of a nucleus) are 85 x
    76 pixels each, cut from the left three quarters of the picture. Beside ``out`` lies what a run is not trained on:
    ``out-slide/slide.png`` is the right quarter, and ``out-counted.png`` its objects as they were drawn, to compare
    with.
    """
    out = as_path(out, "out")
    image, labels = nuclei()
    slide = out.with_name(f"{out.name}-slide")
    for folder in (out / "images", out / "masks", slide):
        make_folder(folder)
    (out / "classes.txt").write_text("background\nnucleus\n")
    height, width = image.shape[0] // CELL_GRID[0], (image.shape[1] - TILE_PX) // CELL_GRID[1]
    for row, column in np.ndindex(CELL_GRID):
        y, x = row * height, column * width
        for kind, picture in (("images", image), ("masks", labels)):
            tile = np.ascontiguousarray(picture[y : y + height, x : x + width])
            Image.fromarray(tile).save(out / kind / f"r{row}c{column}.png")
    Image.fromarray(np.ascontiguousarray(image[:, -TILE_PX:])).save(slide / "slide.png")
    Image.fromarray(np.ascontiguousarray(labels[:, -TILE_PX:])).save(out.with_name(f"{out.name}-counted.png"))
    return out


def write_nuclei(out: Path | str) -> Path:
    """Write the nuclei as 16-bit tiles of 128 x 128 with 0/255 masks; return ``out``.

    ``out/images/{train,val,test}/rRcC.png``, ``out/masks/...`` with the same names, and the class table. The right
    quarter of the picture is the test set and the bottom quarter of the rest the validation set, so that held-out tiles
    are not scattered between training tiles.
    """
    out = as_path(out, "out")
    image, labels = nuclei()
    masks = np.where(labels > 0, 255, 0).astype(np.uint8)
    per_side = image.shape[0] // TILE_PX
    make_folder(out)
    (out / "classes.txt").write_text("background\nnucleus\n")
    for split in ("train", "val", "test"):
        make_folder(out / "images" / split)
        make_folder(out / "masks" / split)
    for row in range(per_side):
        for column in range(per_side):
            split = "test" if column == per_side - 1 else "val" if row == per_side - 1 else "train"
            y, x = row * TILE_PX, column * TILE_PX
            for kind, picture in (("images", image), ("masks", masks)):
                tile = picture[y : y + TILE_PX, x : x + TILE_PX]
                Image.fromarray(np.ascontiguousarray(tile)).save(out / kind / split / f"r{row}c{column}.png")
    return out
