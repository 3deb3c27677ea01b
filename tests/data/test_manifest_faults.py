"""Faults of images and masks that indexing refuses or records."""

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_sets import class_folders, index, mask, pairs, picture, stack

from pixelwise.data import indexing
from pixelwise.data.mask_reading import COLOUR_FILE
from pixelwise.data.reading import SampleReader
from pixelwise.errors import DataError, MaskError

READABLE = "Expected readable images, each with its label or mask"
MEND = 'Mend or remove them, or leave them out with bad_images="skip" (--bad-images skip).'


def truncated(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path, format="JPEG" if path.suffix == ".jpg" else None)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def two_frames(path: Path) -> None:
    stack(path, np.zeros((2, 6, 8), np.uint8))


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [
        ("bad.png", lambda path: path.write_bytes(b""), "is empty (0 bytes)"),
        ("bad.png", lambda path: path.write_text("no picture"), "is a text file"),
        ("bad.jpg", truncated, "is damaged or truncated"),
        ("bad.png", truncated, "is damaged or truncated"),
        ("bad.bmp", truncated, "is damaged or truncated"),
        ("bad.webp", truncated, "is damaged or truncated"),
        ("bad.tif", two_frames, "holds 2 frames, one picture is expected: split the file"),
        ("bad.png", lambda path: path.symlink_to(path.parent / "gone.png"), "a link that leads nowhere"),
    ],
)
def test_bad_images_are_refused_or_recorded(tmp_path: Path, name: str, make: Any, reason: str) -> None:
    class_folders(tmp_path)
    make(tmp_path / "cat" / name)
    head = f"{tmp_path}: 1 entry cannot be used: cat/{name} ({reason}"
    with pytest.raises(DataError, match=f"^{re.escape(head)}.*{re.escape(f'). {READABLE}. {MEND}')}$"):
        index(tmp_path)
    manifest = index(tmp_path, bad_images="skip")
    assert len(manifest) == 6
    ((where, why),) = manifest.skipped
    assert where == f"cat/{name}"
    assert why.startswith(reason)


def test_a_large_truncated_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_HELD_BYTES", 100)
    root = class_folders(tmp_path)
    whole = index(root)
    monkeypatch.undo()
    assert whole.digest() == index(root).digest()
    monkeypatch.setattr(indexing, "_HELD_BYTES", 100)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90), np.uint8)).save(root / "cat" / "bad.jpg")
    cut = (root / "cat" / "bad.jpg").read_bytes()[:-1500]
    (root / "cat" / "bad.jpg").write_bytes(cut + bytes(5000))
    with pytest.raises(DataError, match=r"cat/bad\.jpg \(is damaged or truncated"):
        index(root)


def test_a_jpeg_with_other_bytes_after_its_end_is_sound(tmp_path: Path) -> None:
    root = class_folders(tmp_path)
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(root / "cat" / "tail.jpg")
    with (root / "cat" / "tail.jpg").open("ab") as file:
        file.write(bytes(10_000))
    assert len(index(root)) == 7


def test_the_first_ten_bad_files_are_named(tmp_path: Path) -> None:
    class_folders(tmp_path, each=13)
    for number in range(12):
        (tmp_path / "cat" / f"{number}.png").write_bytes(b"")
    shown = "; ".join(f"cat/{number}.png (is empty (0 bytes))" for number in range(10))
    with pytest.raises(DataError, match=re.escape(f"12 entries cannot be used: {shown}; and 2 more.")):
        index(tmp_path)
    assert len(index(tmp_path, bad_images="skip").skipped) == 12


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((6, 9), np.uint8), "a mask of 6 x 9 px for an image of 6 x 8 px"),
        (np.full((6, 8), 7, np.uint8), "holds values that mean nothing: 7 (48 px)"),
    ],
)
def test_bad_masks(tmp_path: Path, values: Any, reason: str) -> None:
    pairs(tmp_path)
    for name in "ab":
        mask(tmp_path / "masks" / f"{name}.png", top=1)
    mask(tmp_path / "masks" / "c.png", values)
    options: dict[str, Any] = {"classes": ("wall", "cell"), "mask_kind": "index"}
    with pytest.raises(
        DataError,
        match=f"^{re.escape(f'{tmp_path}: 1 entry cannot be used: masks/c.png ({reason}). {READABLE}. {MEND}')}$",
    ):
        index(tmp_path, **options)
    manifest = index(tmp_path, **options, bad_images="skip")
    assert len(manifest) == 2
    assert manifest.skipped == (("masks/c.png", reason),)


def test_a_lossy_mask(tmp_path: Path) -> None:
    pairs(tmp_path)
    (tmp_path / "masks" / "c.png").unlink()
    mask(tmp_path / "masks" / "c.jpg")
    with pytest.raises(DataError, match=r"masks/c\.jpg \(is a lossy JPEG: its values are not those that were drawn\)"):
        index(tmp_path)


def test_rgb_masks_without_table(tmp_path: Path) -> None:
    pairs(tmp_path)
    mask(tmp_path / "masks" / "a.png", np.full((6, 8, 3), (9, 8, 7), np.uint8))
    mask(tmp_path / "masks" / "b.png", np.full((6, 8, 3), (1, 2, 3), np.uint8))
    mask(tmp_path / "masks" / "c.png", np.full((6, 8), 0, np.uint8))
    message = (
        f"{tmp_path}: 2 of 3 masks are in colours: (0, 0, 0) (48 px), (1, 2, 3) (48 px), (9, 8, 7) (48 px). Expected a "
        f"colour table: one red, green, blue per class. {COLOUR_FILE}."
    )
    with pytest.raises(MaskError, match=f"^{re.escape(message)}$"):
        index(tmp_path)
    manifest = index(tmp_path, colours=((0, 0, 0), (9, 8, 7), (1, 2, 3)))
    assert manifest.classes == ("class_0", "class_1", "class_2")
    reader = SampleReader(tmp_path, manifest)
    assert [int(reader.label_map(place)[0, 0]) for place in range(3)] == [1, 2, 0]
    with pytest.raises(DataError, match=r"masks/b\.png \(holds colours that no class has: \(1, 2, 3\) \(48 px\)\)"):
        index(tmp_path, colours=((0, 0, 0), (9, 8, 7)))


def test_masks_of_one_class(tmp_path: Path) -> None:
    pairs(tmp_path)
    for name in "abc":
        mask(tmp_path / "masks" / f"{name}.png", np.zeros((6, 8), np.uint8))
    message = (
        f"{tmp_path}: its masks show one class only. Expected at least two classes (background counts). Check the "
        "masks, or name the classes with classes (--classes background,cell)."
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        index(tmp_path)
    assert index(tmp_path, classes=("a", "b")).images_per_class().tolist() == [3, 0]


def test_instance_masks_of_thousands_of_objects(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png", size=(60, 60))
    numbered = np.arange(3600, dtype=np.uint16).reshape(60, 60)
    (tmp_path / "masks").mkdir()
    Image.fromarray(numbered).save(tmp_path / "masks" / "a.png")
    manifest = index(tmp_path)
    assert manifest.mask_reading is not None
    assert manifest.mask_reading.kind == "instance"
    assert manifest.images_per_class().tolist() == [1, 1]
    with pytest.raises(DataError, match=r"masks/a\.png \(holds values that mean nothing: .* and 3,589 more\)"):
        index(tmp_path, mask_kind="index", classes=("a", "b"))


def test_one_file_as_image_and_mask(tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / f"{name}.png", seed=ord(name))
        mask(tmp_path / "m" / f"{name}.png")
    (tmp_path / "t.csv").write_text("path,mask\na.png,m/a.png\nm/b.png,m/b.png\nb.png,m/b.png\n")
    manifest = index(tmp_path)
    assert [sample.path for sample in manifest] == ["a.png", "m/b.png", "b.png"]


@pytest.fixture
def another_user() -> Iterator[Path]:
    """A folder of one's own, and the rights of a user who may not read everything, as root may."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        if os.geteuid() != 0:
            yield Path(folder)
            return
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)


def test_an_unreadable_file_and_a_closed_folder(another_user: Path) -> None:
    root = class_folders(another_user / "data")
    (root / "cat" / "0.png").chmod(0)
    picture(root / "shut" / "0.png")
    (root / "shut").chmod(0)
    manifest = index(root, bad_images="skip")
    assert len(manifest) == 5
    assert manifest.skipped == (
        ("shut", "the folder cannot be opened: Permission denied"),
        ("cat/0.png", "cannot be read: Permission denied"),
    )
    root.chmod(0)
    message = f"{root} cannot be opened: Permission denied. Check its access rights."
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        index(root)
    root.chmod(0o755)
    (root / "shut").chmod(0o755)
