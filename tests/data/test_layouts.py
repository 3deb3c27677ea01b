"""Layouts found by looking, and what is said where none fits."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_sets import class_folders, mask, pairs, picture, stack

from pixelwise.data.layouts.listing import LAYOUTS
from pixelwise.data.layouts.tree import walk
from pixelwise.data.manifest import Manifest, build_manifest
from pixelwise.data.names import natural_key, show_path, some, split_code
from pixelwise.errors import DataError, UsageError

READABLE = "Expected readable images, each with its label or mask"
MEND = 'Mend or remove them, or leave them out with bad_images="skip" (--bad-images skip).'


def index(root: Path, **options: Any) -> Manifest:
    return build_manifest(root, use_cache=False, **options)


def table_of(manifest: Manifest) -> list[tuple[str, str, str]]:
    """(path, class or mask, split) of each sample."""
    target = (lambda s: manifest.classes[s.label]) if manifest.task == "classification" else (lambda s: s.mask)
    return [(sample.path, target(sample), sample.split) for sample in manifest]


def refuses(root: Path, message: str, **options: Any) -> None:
    with pytest.raises((DataError, UsageError), match=f"^{re.escape(message)}$"):
        index(root, **options)


# --- names


def test_natural_order() -> None:
    names = ["img10", "img2", "img1", "a", "img02", "10", "9", "²", "img" + "9" * 5000]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "img1", "img02", "img2", "img10", "img" + "9" * 5000, "²"]


@given(st.lists(st.text(max_size=6), unique=True))
def test_natural_order_is_total(names: list[str]) -> None:
    backwards = names[::-1]
    assert sorted(names, key=natural_key) == sorted(backwards, key=natural_key)
    assert len({natural_key(name) for name in names}) == len(names)


def test_names_that_cannot_be_printed() -> None:
    assert show_path("naïve/ß.png") == "naïve/ß.png"
    assert show_path(os.fsdecode(b"caf\xe9\n.png")) == "caf\\xe9\\n.png"
    assert some(list("abc"), 2) == "a, b and 1 more"
    assert [split_code(name) for name in ("Train", "valid", "dev", "test ", "cat")] == [1, 2, 2, 3, 0]


# --- class folders


def test_class_folders(tmp_path: Path) -> None:
    class_folders(tmp_path, ("dog", "cat10", "cat2"))
    picture(tmp_path / "dog" / "deeper" / "9.png", seed=77)
    manifest = index(tmp_path)
    assert (manifest.layout, manifest.task, manifest.classes) == (
        "class-folders",
        "classification",
        ("cat2", "cat10", "dog"),
    )
    assert len(manifest) == 10
    assert table_of(manifest)[-1] == ("dog/deeper/9.png", "dog", "")
    assert manifest.describe().splitlines()[:3] == [
        "class-folders: 10 images of 3 classes, 6 x 8 px.",
        "Splits: in no split 10.",
        "Images per class: cat2 (3), cat10 (3), dog (4).",
    ]


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_class_folders_in_splits_share_one_table(tmp_path: Path, val: str) -> None:
    class_folders(tmp_path / "train", ("a", "b", "c"))
    class_folders(tmp_path / val, ("a", "c"), each=1)
    picture(tmp_path / "test" / "1.png", seed=9)  # a hidden test set
    manifest = index(tmp_path)
    assert manifest.classes == ("a", "b", "c")
    assert table_of(manifest)[-2:] == [(f"{val}/a/0.png", "a", "val"), (f"{val}/c/0.png", "c", "val")]
    assert ("test", "1 image that lies in no class folder") in manifest.skipped
    assert "test/ holds 1 image without class folders: left out." in manifest.notes


def test_class_folders_with_a_given_table(tmp_path: Path) -> None:
    class_folders(tmp_path, ("a", "b"))
    manifest = index(tmp_path, classes=("b", "x", "a"))
    assert manifest.classes == ("b", "x", "a")
    assert sorted(set(manifest.column("label").tolist())) == [0, 2]
    refuses(
        tmp_path,
        f"{tmp_path} holds the folders b, which are not among the classes. Expected folders named a, bb. Did you "
        "mean bb?",
        classes=("a", "bb"),
    )
    refuses(tmp_path, "The class table names a class twice. Expected one name for each class.", classes=("a", "a"))


def test_one_class_is_refused_with_a_hint_where_the_folder_is_one_too_high(tmp_path: Path) -> None:
    class_folders(tmp_path, ("cat",))
    expected = "Expected at least two class folders"
    refuses(
        tmp_path,
        f"{tmp_path} holds images of one class only ('cat'). {expected}. Add a folder for each further class.",
    )
    class_folders(tmp_path / "all" / "flowers", ("rose", "tulip"))
    with pytest.raises(
        DataError, match=re.escape(f"Did you mean {tmp_path / 'all' / 'flowers'}, which holds 2 folders")
    ):
        index(tmp_path / "all")


def test_an_empty_class_is_refused_or_left_out(tmp_path: Path) -> None:
    class_folders(tmp_path, ("a", "b"))
    (tmp_path / "c").mkdir()
    refuses(tmp_path, f"{tmp_path}: 1 entry cannot be used: c (a class folder without images). {READABLE}. {MEND}")
    manifest = index(tmp_path, bad_images="skip")
    assert manifest.classes == ("a", "b")
    assert manifest.skipped == (("c", "a class folder without images"),)


def test_a_class_whose_images_are_all_bad_leaves_the_table(tmp_path: Path) -> None:
    class_folders(tmp_path, ("a", "b", "c"), each=2)
    for name in ("0.png", "1.png"):
        (tmp_path / "b" / name).write_bytes(b"")
    manifest = index(tmp_path, bad_images="skip")
    assert manifest.classes == ("a", "c")
    assert manifest.column("label").tolist() == [0, 0, 1, 1]
    assert manifest.skipped[-1] == ("b", "a class without usable images")
    (tmp_path / "a" / "0.png").write_bytes(b"")
    (tmp_path / "a" / "1.png").write_bytes(b"")
    refuses(
        tmp_path,
        f"{tmp_path} holds usable images of one class only ('c'). Expected at least two classes. Mend the images of "
        "the others.",
        bad_images="skip",
    )


def test_classes_that_train_lacks(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", ("a", "b"))
    class_folders(tmp_path / "test", ("a", "B"))
    refuses(
        tmp_path,
        f"{tmp_path}: test holds classes that train lacks: B. Expected every class among the training images. "
        "Check the folders' spelling, or add training images of these classes.",
    )


def test_split_folders_beside_class_folders(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", ("a", "b"))
    class_folders(tmp_path, ("c",))
    refuses(
        tmp_path,
        f"{tmp_path} holds split folders (train) beside others (c). Expected either train/CLASS, val/CLASS, "
        "test/CLASS, or CLASS folders alone. Move the folders so that one rule fits all.",
    )


def test_a_class_may_be_named_like_a_split(tmp_path: Path) -> None:
    assert index(class_folders(tmp_path, ("bus", "train"))).classes == ("bus", "train")


# --- images and masks


@pytest.mark.parametrize(
    ("images", "masks", "image_name", "mask_name", "split"),
    [
        ("images", "masks", "x.png", "x.png", ""),
        ("images", "labels", "x.jpg", "x.png", ""),
        ("Images", "Annotations", "x.png", "x.tif", ""),
        ("images/train", "masks/train", "x.png", "x.png", "train"),
        ("images/val/deep", "masks/val/deep", "x.png", "x_mask.png", "val"),
        ("test/image", "test/label", "x.png", "x.png", "test"),
        ("images", "masks", "x.png", "x_gt.png", ""),
        (".", ".", "x.png", "x_mask.png", ""),
        ("case1/scans", "case1/scans", "x.png", "x_label.png", ""),
        ("train", "train_masks", "x.png", "x_mask.png", "train"),
        (".", "masks", "x.png", "x.png", ""),
        ("cells", "cells", "x_image.png", "x_mask.png", ""),
    ],
)
def test_images_and_masks(tmp_path: Path, images: str, masks: str, image_name: str, mask_name: str, split: str) -> None:
    for place in range(3):
        picture(tmp_path / images / image_name.replace("x", f"x{place}"), seed=place)
        mask(tmp_path / masks / mask_name.replace("x", f"x{place}"))
    manifest = index(tmp_path)
    assert (manifest.layout, manifest.task) == ("images-and-masks", "segmentation")
    assert manifest.classes == ("background", "foreground")
    expected = [
        (os.path.normpath(f"{images}/{image_name.replace('x', f'x{k}')}"),
         os.path.normpath(f"{masks}/{mask_name.replace('x', f'x{k}')}"), split)
        for k in range(3)
    ]  # fmt: skip
    assert table_of(manifest) == expected


def test_orphans_are_listed(tmp_path: Path) -> None:
    pairs(tmp_path)
    for number in range(12):
        picture(tmp_path / "images" / f"lonely{number}.png", seed=number)
    mask(tmp_path / "masks" / "z.png")
    shown = "; ".join(f"images/lonely{number}.png (an image without mask)" for number in range(9))
    refuses(
        tmp_path,
        f"{tmp_path}: 13 entries cannot be used: masks/z.png (a mask without image); {shown}; and 3 more. {READABLE}. "
        f"{MEND}",
    )
    manifest = index(tmp_path, bad_images="skip")
    assert len(manifest) == 3
    assert len(manifest.skipped) == 13


def test_pairs_that_cannot_be_told_apart(tmp_path: Path) -> None:
    pairs(tmp_path)
    picture(tmp_path / "images" / "a.jpg")
    mask(tmp_path / "masks" / "b_mask.png")
    manifest = index(tmp_path, bad_images="skip")
    assert sorted(manifest.skipped) == [
        ("images/a.jpg", "an image without mask"),
        ("images/a.png", "an image without mask"),
        ("masks/a.png", "a mask with 2 images of its name"),
        ("masks/b_mask.png", "a second mask for images/b.png"),
    ]


def test_no_stem_agrees(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    mask(tmp_path / "masks" / "b.png")
    refuses(
        tmp_path,
        f"{tmp_path}: 2 entries cannot be used: masks/b.png (a mask without image); images/a.png (an image without "
        f"mask). {READABLE}. {MEND}",
    )
    with pytest.raises(DataError, match=r"none of its images can be used \(masks/b\.png"):
        index(tmp_path, bad_images="skip")


def test_a_hidden_test_set_is_left_out(tmp_path: Path) -> None:
    pairs(tmp_path, images="train/images", masks="train/masks")
    picture(tmp_path / "test" / "images" / "a.png")
    manifest = index(tmp_path)
    assert len(manifest) == 3
    assert manifest.skipped == (("test/images/a.png", "the split 'test' has no masks"),)
    assert manifest.notes[0] == "The split 'test' has no masks: 1 image left out."


def test_pictures_outside_the_two_folders_are_left_out(tmp_path: Path) -> None:
    pairs(tmp_path)
    picture(tmp_path / "preview.png")
    assert index(tmp_path).skipped == (("preview.png", "it lies outside the folders of images and masks"),)


def test_class_folders_about_masks_are_class_folders(tmp_path: Path) -> None:
    assert index(class_folders(tmp_path, ("with_mask", "without_mask"))).layout == "class-folders"


# --- stacks


def volume(frames: int = 4) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    return np.random.default_rng(1).integers(0, 256, (frames, 6, 8), np.uint8)


@pytest.mark.parametrize(
    ("image", "labels", "split"),
    [
        ("train-volume.tif", "train-labels.tif", "train"),
        ("image.tif", "labels.tif", ""),
        ("em_volume.tiff", "em_labels.tiff", ""),
        ("images/x.tif", "masks/x.tif", ""),
    ],
)
def test_stacks(tmp_path: Path, image: str, labels: str, split: str) -> None:
    stack(tmp_path / image, volume())
    stack(tmp_path / labels, np.where(volume() > 99, 255, 0).astype(np.uint8))
    manifest = index(tmp_path)
    assert manifest.layout == "stack"
    assert [(s.path, s.frame, s.mask, s.mask_frame, s.split) for s in manifest] == [
        (image, frame, labels, frame, split) for frame in range(4)
    ]
    assert index(tmp_path, layout="stack").digest() == manifest.digest()


def test_a_stack_without_labels_and_a_stack_of_another_length(tmp_path: Path) -> None:
    stack(tmp_path / "train-volume.tif", volume())
    stack(tmp_path / "train-labels.tif", np.where(volume() > 99, 255, 0).astype(np.uint8))
    stack(tmp_path / "test-volume.tif", volume())
    assert index(tmp_path).skipped == (("test-volume.tif", "the split 'test' has no masks"),)
    stack(tmp_path / "train-labels.tif", np.zeros((3, 6, 8), np.uint8))
    refuses(
        tmp_path,
        f"{tmp_path}: 1 entry cannot be used: train-labels.tif (a mask of 3 frames for an image of 4). "
        f"{READABLE}. {MEND}",
    )


def test_layout_stack_without_stack(tmp_path: Path) -> None:
    refuses(
        pairs(tmp_path),
        f"{tmp_path} holds no multi-page TIFF. Expected {LAYOUTS['stack']}. Leave the layout out.",
        layout="stack",
    )


# --- choice and refusal


def test_the_unknown_layout_is_described(tmp_path: Path) -> None:
    for number in range(2):
        picture(tmp_path / f"{number}.png")
    (tmp_path / "notes.txt").write_text("x")
    ways = "".join(f"\n  {name}: {text}" for name, text in LAYOUTS.items())
    refuses(
        tmp_path,
        f"{tmp_path}: how its images belong to classes or masks cannot be told; it holds 2 images among 3 files "
        f"(.png 2, .txt 1). Put the images of each class into a folder of its own, or write a table. The layouts "
        f"are:{ways}.",
    )


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        (["data.zip"], "Unpack data.zip first"),
        (["scan.nii.gz"], "Images are read from JPEG, PNG, TIFF, BMP and WebP files: convert others to PNG or TIFF"),
        (["inner/readme.txt"], "Did you mean ROOT/inner"),
        (
            ["x.png", "table.csv"],
            "If table.csv names the images, call its columns path and label, mask, labels or text",
        ),
        (["train/a.png", "test/b.png"], "Put the images of each class into a folder of its own, or write a table"),
    ],
)
def test_hints(tmp_path: Path, files: list[str], hint: str) -> None:
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        picture(path) if path.suffix == ".png" else path.write_text("nothing,here\n")
    with pytest.raises(DataError, match=re.escape(f". {hint.replace('ROOT', str(tmp_path))}. The layouts are:")):
        index(tmp_path)


def test_several_layouts_in_one_folder(tmp_path: Path) -> None:
    class_folders(tmp_path, ("cat", "dog"))
    (tmp_path / "labels.csv").write_text("path,label\ncat/0.png,x\ndog/0.png,y\n")
    refuses(
        tmp_path,
        f'{tmp_path} can be read in 2 ways: table, class-folders. Expected one layout. Choose one, layout="table" '
        "(--layout table), or give the folder of one data set.",
    )
    assert index(tmp_path, layout="table").classes == ("x", "y")
    assert index(tmp_path, layout="class-folders").classes == ("cat", "dog")


def test_the_task_decides_between_masks_and_labels(tmp_path: Path) -> None:
    pairs(tmp_path)
    (tmp_path / "labels.csv").write_text("path,label\nimages/a.png,x\nimages/b.png,y\n")
    with pytest.raises(DataError, match="can be read in 2 ways: table, images-and-masks"):
        index(tmp_path)
    assert index(tmp_path, task="classification").layout == "table"
    assert index(tmp_path, task="segmentation").layout == "images-and-masks"


def test_a_layout_that_cannot_serve_the_task(tmp_path: Path) -> None:
    refuses(
        class_folders(tmp_path / "a"),
        f"{tmp_path / 'a'} holds the layout 'class-folders', which serves classification; segmentation needs masks. "
        f'Expected {LAYOUTS["images-and-masks"]}. Choose task="classification", or add what is missing.',
        task="segmentation",
    )
    refuses(
        pairs(tmp_path / "b"),
        f"{tmp_path / 'b'} holds the layout 'images-and-masks', which serves segmentation; classification needs a "
        f'class for each image. Expected {LAYOUTS["class-folders"]}. Choose task="segmentation", '
        "or add what is missing.",
        task="classification",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"layout": "class-folder"},
            "'class-folder' is not a layout. Expected class-folders, table, images-and-masks, object-masks, coco, "
            "stack, idx, cifar. Did you mean class-folders?",
        ),
        ({"layout": "stack:x"}, "'stack:x': the layout stack takes no choice. Expected stack."),
        (
            {"task": "segmentaton"},
            "'segmentaton' is not a task. Expected classification, segmentation, multilabel, localisation, sequence, "
            "instances, volumes, detection. Did you mean segmentation?",
        ),
        ({"bad_images": "ignore"}, "'ignore' is no way to treat bad images. Expected refuse or skip."),
    ],
)
def test_unknown_options(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    class_folders(tmp_path)
    with pytest.raises(UsageError, match=re.escape(message.rstrip("."))):
        index(tmp_path, **options)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_chosen_layout_that_is_not_there(tmp_path: Path, layout: str) -> None:
    (tmp_path / "readme.txt").write_text("x")
    refuses(
        tmp_path,
        f"{tmp_path} does not hold the layout '{layout}'; it holds 0 images among 1 file (.txt 1). Expected "
        f"{LAYOUTS[layout]}. Leave the layout out to have it found.",
        layout=layout,
    )


# --- the folder itself


def test_no_folder(tmp_path: Path) -> None:
    (tmp_path / "flowers").mkdir()
    (tmp_path / "file.csv").write_text("x")
    expected = "Expected a folder with images"
    refuses(tmp_path / "flower", f"{tmp_path / 'flower'} does not exist. {expected}. Did you mean flowers?")
    refuses(tmp_path / "x" / "y", f"{tmp_path / 'x' / 'y'} does not exist. {expected}. Check the path.")
    refuses(
        tmp_path / "file.csv",
        f"{tmp_path / 'file.csv'} is a file. {expected}. Give the folder that holds it: {tmp_path}.",
    )
    refuses(tmp_path / "flowers", f"{tmp_path / 'flowers'} is empty. {expected}. Check the path.")


def test_odd_entries_are_skipped_and_recorded(tmp_path: Path) -> None:
    class_folders(tmp_path)
    picture(tmp_path / "cat" / ".ipynb_checkpoints" / "0-checkpoint.png")
    picture(tmp_path / "__MACOSX" / "cat" / "._0.png")
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "dog" / "._0.png").write_bytes(b"x")
    os.mkfifo(tmp_path / "dog" / "pipe.png")
    manifest = index(tmp_path)
    assert len(manifest) == 6
    assert manifest.classes == ("cat", "dog")
    assert sorted(manifest.skipped) == [
        ("__MACOSX", "folder of another program"),
        ("cat/.ipynb_checkpoints", "hidden folder"),
        ("cat/Thumbs.db", "file of another program"),
        ("dog/._0.png", "hidden file"),
        ("dog/pipe.png", "neither a file nor a folder"),
    ]


def test_links(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "data")
    outside = class_folders(tmp_path / "outside")
    (root / "cat" / "loop").symlink_to(root)
    (root / "cat" / "self").symlink_to(root / "cat")
    (root / "cat" / "away").symlink_to(outside)
    (root / "cat" / "away.png").symlink_to(outside / "cat" / "0.png")
    (root / "cat" / "mine.png").symlink_to(root / "dog" / "0.png")
    (root / "kitten").symlink_to(root / "cat")
    tree = walk(root)
    assert "cat/mine.png" in tree.files
    assert "kitten/0.png" in tree.files
    reasons = dict(tree.skipped)
    assert reasons["cat/loop"] == reasons["cat/self"] == "a link to a folder around it (a loop), not followed"
    assert reasons["cat/away"] == reasons["cat/away.png"] == "a link out of the data folder, not followed"
    assert reasons["kitten/loop"].startswith("a link")
    (root / "dog" / "broken.png").symlink_to(root / "nowhere.png")
    (root / "dog" / "ring.png").symlink_to(root / "dog" / "ring.png")
    assert set(walk(root).faults) == {
        ("dog/broken.png", "a link that leads nowhere"),
        ("dog/ring.png", "a link that leads nowhere"),
    }


def test_links_between_linked_folders_end(tmp_path: Path) -> None:
    for name in "abcd":
        picture(tmp_path / name / "0.png", seed=ord(name))
    for one in "abcd":
        for other in "abcd":
            if one != other:
                (tmp_path / one / f"to_{other}").symlink_to(tmp_path / other)
    tree = walk(tmp_path)
    assert len(tree.files) == 4 + 12


def test_only_links_that_lead_out(tmp_path: Path) -> None:
    outside = class_folders(tmp_path / "outside")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cat").symlink_to(outside / "cat")
    with pytest.raises(DataError, match=r"1 link leads out of the folder, not followed \(cat\): copy the files"):
        index(tmp_path / "data")


def test_folders_deeper_than_pythons_stack(tmp_path: Path) -> None:
    handle = os.open(tmp_path, os.O_RDONLY)
    depth = sys.getrecursionlimit() + 5
    for _ in range(depth):
        os.mkdir("d", dir_fd=handle)
        inner = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(os.open("file", os.O_CREAT, dir_fd=handle))
    os.close(handle)
    assert len(walk(tmp_path).folders) == depth
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)  # deeper than shutil.rmtree can go


def test_names_in_any_encoding(tmp_path: Path) -> None:
    names = ["naïve ß.png", "two\nlines.png", os.fsdecode(b"caf\xe9.png")]
    for place, name in enumerate(names):
        for label in ("a", "b"):
            picture(tmp_path / label / "plain.png", seed=place + 10 * ord(label)).rename(tmp_path / label / name)
    manifest = index(tmp_path)
    assert {sample.path for sample in manifest} == {f"{label}/{name}" for label in "ab" for name in names}
