"""Which pictures are found, in which order, and what their results are called."""

import gzip
import os
import struct
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

from pixelwise.errors import DataError, ImageError, UsageError
from pixelwise.predict.inputs import WHOLE, find_inputs


def image(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 5), value, np.uint8)).save(path)
    return path


def stack(path, pages):
    frames = [Image.fromarray(np.full((4, 5), value, np.uint8)) for value in range(pages)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path


def idx(path, pictures):
    content = struct.pack(">HBBIII", 0, 8, 3, *pictures.shape) + pictures.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def targets(inputs, **options):
    return [str(item.target) for item in find_inputs(inputs, **options).items]


@pytest.fixture
def folder(tmp_path):
    for name in ("b/2.png", "b/10.jpg", "a.png", "A.tif", "b/c/x.webp", "b/c/y.bmp"):
        image(tmp_path / "in" / name)
    for name in (".hidden.png", ".git/x.png", "__MACOSX/._x.png", "notes.txt", "b/Thumbs.db"):
        path = tmp_path / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "in"


def test_a_folder_is_mirrored_in_natural_order_without_hidden_and_odd_files(folder):
    assert targets([folder]) == ["A", "a", "b/2", "b/10", "b/c/x", "b/c/y"]
    assert all(item.frame == WHOLE for item in find_inputs([folder]).items)


def test_a_file_is_taken_whatever_its_name_is(tmp_path):
    path = image(tmp_path / "x.png").rename(tmp_path / "picture.dat")
    (item,) = find_inputs([str(path)]).items
    assert item.target == PurePosixPath("picture")
    assert item.name == str(path)
    assert item.read().shape == (4, 5, 1)


def test_patterns(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert targets(["*.png"]) == ["a"]
    assert targets(["b/*"]) == ["2", "10"]
    assert targets(["./b/[0-9]*.jp?"]) == ["10"]
    assert targets([f"{folder}/**/*.*"]) == ["A", "a", "b/2", "b/10", "b/c/x", "b/c/y"]
    assert targets(["b/../*.png"]) == ["a"]
    assert ".." not in targets(["*/../b/*.png"])[0].split("/")  # never above the output folder


def test_a_literal_name_with_wild_cards_is_that_file(tmp_path):
    image(tmp_path / "a[1].png")
    image(tmp_path / "a1.png")
    assert targets([tmp_path / "a[1].png"]) == ["a[1]"]


def test_several_inputs_keep_their_folders_apart_and_name_no_picture_twice(folder, tmp_path):
    image(tmp_path / "other" / "a.png")
    assert targets([folder / "b", tmp_path / "other", folder / "b" / "2.png"]) == [
        "b/2", "b/10", "b/c/x", "b/c/y", "other/a",
    ]  # fmt: skip
    (tmp_path / "link.png").symlink_to(folder / "a.png")
    assert targets([tmp_path / "link.png", folder / "a.png"]) == ["link"]


def test_names_that_differ_in_their_suffix_only_are_told_apart(tmp_path):
    image(tmp_path / "a.png")
    image(tmp_path / "a.jpg")
    image(tmp_path / "b.png")
    assert targets([tmp_path]) == ["a_jpg", "a_png", "b"]


def test_names_that_cannot_be_told_apart_are_refused(tmp_path):
    first, second = image(tmp_path / "x" / "a.png"), image(tmp_path / "y" / "a.png")
    with pytest.raises(UsageError) as caught:
        find_inputs([first, second])
    assert str(caught.value) == (
        f"{first} and {second} would both have their results under a_png. Expected a name of its own for each picture. "
        "Predict them into different folders."
    )


def test_each_page_of_a_stack_is_a_picture(tmp_path):
    stack(tmp_path / "s.tif", 12)
    items = find_inputs([tmp_path / "s.tif"]).items
    assert [str(item.target) for item in items] == [f"s_{page:02}" for page in range(12)]
    assert [item.frame for item in items] == list(range(12))
    assert [int(item.read()[0, 0, 0]) for item in items] == list(range(12))
    assert items[3].name == f"{tmp_path / 's.tif'}, frame 3"


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_each_picture_of_an_idx_file(tmp_path, suffix):
    pictures = np.random.default_rng(0).integers(0, 256, (11, 6, 7), dtype=np.uint8)
    idx(tmp_path / f"t10k-images-idx3-ubyte{suffix}", pictures)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"labels are not pictures")
    items = find_inputs([tmp_path]).items
    assert [str(item.target) for item in items] == [f"t10k-images-idx3-ubyte_{n:02}" for n in range(11)]
    for item, expected in zip(items, pictures, strict=True):
        assert np.array_equal(item.read()[:, :, 0], expected)


def test_an_idx_file_that_changed_is_read_again(tmp_path):
    path = idx(tmp_path / "images-idx3-ubyte", np.zeros((1, 2, 2), np.uint8))
    (item,) = find_inputs([path]).items
    assert item.frame == 0
    assert item.read().max() == 0
    idx(path, np.full((1, 2, 2), 9, np.uint8))
    os.utime(path, ns=(1, 1))
    assert item.read().max() == 9
    path.unlink()
    with pytest.raises(ImageError, match="does not exist"):
        item.read()


@pytest.mark.parametrize("name", ["broken.tif", "images-idx3-ubyte"])
def test_a_container_that_cannot_be_opened_is_one_picture_that_fails(tmp_path, name):
    (tmp_path / name).write_bytes(b"II*\0 not really")
    (item,) = find_inputs([tmp_path]).items
    assert item.frame == WHOLE
    with pytest.raises(DataError):
        item.read()


def test_results_of_an_earlier_prediction_are_no_inputs(folder):
    image(folder / "out" / "masks" / "a.png")
    assert "out/masks/a" in targets([folder])
    assert "out/masks/a" not in targets([folder], exclude=[folder / "out" / "masks"])


def test_links_that_lead_nowhere_are_reported(folder):
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    found = find_inputs([folder])
    assert found.faults == ((f"{folder}/gone.png", "a link that leads nowhere"),)
    assert len(found.items) == 6


def test_non_utf8_and_line_breaks_in_names(tmp_path):
    image(tmp_path / "x.png").rename(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")))
    image(tmp_path / "x.png").rename(tmp_path / "two\nlines.png")
    items = find_inputs([tmp_path]).items
    assert [item.name for item in items] == [f"{tmp_path}/caf\\xe9.png", f"{tmp_path}/two\\nlines.png"]
    assert all(item.read().shape == (4, 5, 1) for item in items)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["none.png"], "{0}/none.png does not exist. Expected a file, folder or pattern. Check the path."),
        (["in", "nowhere"], "{0}/nowhere does not exist. Expected a file, folder or pattern. Check the path."),
        (
            ["*.gif"],
            "No image is in {0}/*.gif. Expected files that end in .bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp. "
            "Check the paths.",
        ),
        (
            ["in/.git"],
            "No image is in {0}/in/.git. Expected files that end in .bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp. "
            "Check the paths.",
        ),
    ],
)
def test_nothing_to_predict(folder, names, message):
    if names == ["in/.git"]:
        (folder / ".git" / "x.png").rename(folder / ".git" / "x")
    root = folder.parent
    with pytest.raises(UsageError) as caught:
        find_inputs([root / name for name in names])
    assert str(caught.value) == message.format(root)


def test_an_empty_list():
    with pytest.raises(UsageError, match="No image is in an empty list of inputs"):
        find_inputs([])
