"""Tables of strings: what is read, what is refused, what a batch holds; and the composed strings of digits."""

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_sets import picture

from pixelwise.data.check import check_data
from pixelwise.data.images import read_image
from pixelwise.data.layouts.cells import READERS, Target
from pixelwise.data.manifest import Manifest, build_manifest
from pixelwise.data.samples.strings import HEIGHT_PX, compose, digits, read_digits, write_strings
from pixelwise.data.strings import NO_CHARACTER, fewest_windows, parse_string
from pixelwise.data.targets import TARGETS
from pixelwise.errors import DataError
from pixelwise.losses import NO_CHARACTER as NO_CHARACTER_OF_LOSSES
from pixelwise.losses import windows_needed


def index(root: Path, **options: Any) -> Manifest:
    return build_manifest(root, use_cache=False, **options)


def table(root: Path, *rows: str, header: str = "path,text") -> Path:
    for place in range(len(rows)):
        picture(root / f"{place}.png", seed=place)
    lines = (f"{place}.png,{row}" for place, row in enumerate(rows))
    (root / "t.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return root


def test_characters_are_classes_and_order_and_repeats_are_kept(tmp_path: Path) -> None:
    manifest = index(table(tmp_path, "303", "12", "a b"))
    assert (manifest.task, manifest.classes) == ("sequence", ("0", "1", "2", "3", " ", "a", "b"))
    assert [parse_string(text) for text in manifest.annotations.texts()] == [(3, 0, 3), (1, 2), (5, 4, 6)]
    assert manifest.images_per_class().tolist() == [1, 1, 1, 1, 1, 1, 1]
    assert manifest.describe().startswith("table: 3 images with strings of 7 classes")


def test_one_character_is_enough_and_other_headers_serve(tmp_path: Path) -> None:
    assert index(table(tmp_path, "||", "|", header="file,transcription")).classes == ("|",)


def test_accents_are_joined_to_their_letters(tmp_path: Path) -> None:
    assert index(table(tmp_path, "e\u0301", "\u00e9e")).classes == ("e", "\u00e9")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("", "no text for 1.png"),
        ("a\u200bb", "the text of 1.png has a character that cannot be printed, U+200B"),
    ],
)
def test_cells_that_cannot_be_used(tmp_path: Path, cell: str, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        index(table(tmp_path, "1", cell))
    assert index(tmp_path, bad_images="skip").skipped == (("t.csv line 3", message),)


def test_a_table_with_labels_and_texts_asks_which(tmp_path: Path) -> None:
    for place in range(2):
        picture(tmp_path / f"{place}.png", seed=place)
    (tmp_path / "t.csv").write_text("path,label,text\n0.png,cat,12\n1.png,owl,3\n")
    with pytest.raises(DataError, match="has the columns of classification and of sequence"):
        index(tmp_path)
    assert index(tmp_path, task="sequence").classes == ("1", "2", "3")
    assert index(tmp_path, task="classification").classes == ("cat", "owl")


def test_batches_are_filled_up_to_the_longest_string(tmp_path: Path) -> None:
    targets = TARGETS["sequence"](index(table(tmp_path, "12", "3331", "2")), None)
    found = targets.of_batch(np.array([2, 1]), None, [None, None])
    assert found.tolist() == [[1, -1, -1, -1], [2, 2, 2, 0]]
    assert found.dtype == np.int64
    assert targets.sample_bytes == found[0].nbytes
    assert NO_CHARACTER == NO_CHARACTER_OF_LOSSES
    assert [fewest_windows(string) for string in ((), (1,), (2, 2, 2, 0))] == [0, 1, 6]
    import torch

    assert windows_needed(torch.from_numpy(found)).tolist() == [1, 6]


def test_a_readers_target_has_no_class_but_characters() -> None:
    assert READERS["sequence"]({"path": "x.png", "text": "07"}, None) == Target(names=("0", "7"))  # type: ignore[arg-type]


def test_lines_of_text_are_not_called_slender(tmp_path: Path) -> None:
    report = check_data(write_strings(tmp_path, train=24, val=4, test=4), use_cache=False)
    assert report.task == "sequence"
    assert not {"slender", "label-conflict"} & {finding.code for finding in report.findings}


def test_the_bundled_digits_are_balanced_and_disjoint() -> None:
    (images, labels), (test_images, test_labels) = digits("train"), digits("test")
    assert (images.shape, test_images.shape) == ((2000, 28, 28), (500, 28, 28))
    assert np.bincount(labels).tolist() == [200] * 10
    assert np.bincount(test_labels).tolist() == [50] * 10
    assert not {image.tobytes() for image in images} & {image.tobytes() for image in test_images}


def test_composed_strings_are_the_same_each_time_and_say_what_they_show(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_strings(tmp_path / name, train=12, val=2, test=6, seed=3)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 21
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
    with (tmp_path / "a" / "strings.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {len(row["text"]) for row in rows} <= set(range(3, 9))
    assert [row["split"] for row in rows] == ["train"] * 12 + ["val"] * 2 + ["test"] * 6
    assert {read_image(tmp_path / "a" / row["path"]).shape[0] for row in rows} == {HEIGHT_PX}


def test_a_digit_keeps_its_ink_wherever_it_is_laid() -> None:
    images, _ = digits("test")
    rng = np.random.default_rng(0)
    for image in images[:20]:
        canvas = compose(image[None], rng)
        (_, ink), (_, found) = np.nonzero(image), np.nonzero(canvas)
        assert canvas.sum() == image.sum()
        assert np.ptp(ink) == np.ptp(found)
    assert canvas.shape[1] >= HEIGHT_PX


def test_the_whole_of_mnist_serves_as_well(tmp_path: Path, data_folder: Path) -> None:
    source = data_folder / "mnist"
    assert len(read_digits(source, "train")[0]) == 60_000
    write_strings(tmp_path, train=3, val=1, test=2, source=source)
    assert len(list((tmp_path / "pictures").iterdir())) == 6
