"""The manifest: its columns, its digest, its file, and data sets that people use."""

import os
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from public_data import needed
from small_sets import class_folders, index, mask, pairs, picture, same, stack

from pixelwise.data import samples
from pixelwise.data.columns import TextColumn
from pixelwise.data.digests import file_sha256
from pixelwise.data.manifest import Manifest
from pixelwise.data.reading import SampleReader
from pixelwise.errors import RunError
from pixelwise.storage.arrays import read_arrays, write_arrays

# --- columns and samples


@given(st.lists(st.text(max_size=5) | st.just(os.fsdecode(b"\xe9\xff"))))
def test_text_columns_keep_every_string(texts: list[str]) -> None:
    texts = [text.encode("utf-8", "replace").decode() if not text.isprintable() else text for text in texts]
    column = TextColumn.of(texts)
    assert [column[row] for row in range(len(column))] == column.texts() == texts
    assert len(column.table()) == len(set(texts))
    rebuilt = TextColumn.from_arrays("x", column.arrays("x"), len(texts))
    assert rebuilt.texts() == texts


@pytest.mark.parametrize(
    "change",
    [
        {"x.codes": np.array([0, 9], np.int32)},
        {"x.codes": np.array([0, 1, 0], np.int32)},
        {"x.codes": np.array([0, 1], np.int64)},
        {"x.offsets": np.array([0, 2, 1], np.int64)},
        {"x.offsets": np.array([0, 1, 99], np.int64)},
        {"x.offsets": np.zeros(0, np.int64)},
        {"x.text": np.zeros((2, 1), np.uint8)},
    ],
)
def test_text_columns_that_contradict_themselves(change: dict[str, Any]) -> None:
    arrays = {**TextColumn.of(["a", "b"]).arrays("x"), **change}
    with pytest.raises(ValueError, match=r"'x|3 rows among 2"):
        TextColumn.from_arrays("x", arrays, 2)


def test_samples_and_columns(tmp_path: Path) -> None:
    root = pairs(tmp_path)
    Image.fromarray(np.zeros((6, 8, 3), np.uint16)[..., 0]).save(root / "images" / "a.png")
    manifest = index(root)
    sample = manifest[0]
    assert (sample.index, sample.path, sample.mask, sample.label) == (0, "images/a.png", "masks/a.png", -1)
    assert (sample.height, sample.width, sample.channels, sample.dtype) == (6, 8, 1, "uint16")
    status = (root / "images" / "a.png").stat()
    assert (sample.size_bytes, sample.mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert sample.sha256 == file_sha256(root / "images" / "a.png").hex()
    assert manifest.column("mask_sha256")[1].tobytes() == file_sha256(root / "masks" / "b.png")
    assert len(list(manifest)) == len(manifest) == 3
    assert repr(manifest) == "Manifest(images-and-masks, segmentation, 3 samples, 2 classes)"
    assert manifest.images_per_class().tolist() == [3, 3]
    assert manifest.column("group").tolist() == [0, 0, 0]
    with pytest.raises(IndexError, match="sample 3 of 3"):
        manifest[3]
    with pytest.raises(ValueError, match="read-only"):
        manifest.column("label")[0] = 1


def test_presence_says_which_classes_a_mask_shows(tmp_path: Path) -> None:
    pairs(tmp_path, tuple("abcd"))
    rng = np.random.default_rng(5)
    shown = {name: sorted(set(rng.integers(0, 12, 4).tolist())) for name in "abcd"}
    for name, values in shown.items():
        mask(tmp_path / "masks" / f"{name}.png", np.resize(np.array(values, np.uint8), (6, 8)))
    manifest = index(tmp_path, mask_kind="index")
    bits = np.unpackbits(manifest.column("presence"), axis=1, bitorder="little", count=len(manifest.classes))
    assert [np.flatnonzero(row).tolist() for row in bits] == list(shown.values())


def test_splits(tmp_path: Path) -> None:
    manifest = index(class_folders(tmp_path))
    divided = manifest.with_splits(np.array([1, 1, 2, 3, 0, 1]), note="by hand.")
    assert divided.indices("train").tolist() == [0, 1, 5]
    assert divided.indices("").tolist() == [4]
    assert divided[3].split == "test"
    assert divided.describe().splitlines()[1::2] == ["Splits: train 3, val 1, test 1, in no split 1.", "by hand."]
    with pytest.raises(ValueError, match="one split code"):
        manifest.with_splits(np.zeros(2))
    with pytest.raises(ValueError, match="one split code"):
        manifest.with_splits(np.full(6, 4))


def test_describe_names_a_dozen_classes(tmp_path: Path) -> None:
    text = index(class_folders(tmp_path, tuple(f"c{k}" for k in range(15)), each=1)).describe()
    assert text.splitlines()[2].endswith("c11 (1) and 3 more classes.")


# --- digest


def test_the_digest_follows_what_training_depends_on(tmp_path: Path) -> None:
    root = pairs(tmp_path / "data")
    manifest = index(root)
    digests = {manifest.digest(), manifest.with_splits(np.array([1, 2, 3])).digest()}
    digests.add(index(root, classes=("cell", "wall")).digest())
    digests.add(index(root, mask_kind="rgb", colours=((0, 0, 0), (255, 255, 255)), classes=("a", "b")).digest())
    mask(root / "masks" / "a.png", np.full((6, 8), 255, np.uint8))
    digests.add(index(root).digest())
    picture(root / "images" / "a.png", seed=99)
    digests.add(index(root).digest())
    (root / "images" / "a.png").rename(root / "images" / "d.png")
    (root / "masks" / "a.png").rename(root / "masks" / "d.png")
    digests.add(index(root).digest())
    assert len(digests) == 7


def test_the_digest_does_not_follow_times_or_places(tmp_path: Path) -> None:
    one, two = class_folders(tmp_path / "one"), class_folders(tmp_path / "two")
    os.utime(two / "cat" / "0.png", ns=(1, 1))
    (two / "notes.txt").write_text("x")
    assert index(one).digest() == index(two).digest()


# --- the file


@pytest.mark.parametrize("kind", ["classes", "masks", "stack"])
def test_save_and_load(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "data"
    if kind == "classes":
        class_folders(root)
        name = os.fsdecode(b"caf\xe9\n.png")
        picture(root / "plain.png", seed=8).rename(root / "cat" / name)
        (root / "cat" / ".hidden").write_text("")
    elif kind == "masks":
        pairs(root)
    else:
        volume = np.random.default_rng(0).integers(0, 256, (4, 6, 8), np.uint8)
        stack(root / "image.tif", volume)
        stack(root / "labels.tif", (volume > 9).astype(np.uint8))
    manifest = index(root)
    manifest.save(tmp_path / "m.safetensors")
    loaded = Manifest.load(tmp_path / "m.safetensors")
    assert same(manifest, loaded)
    assert manifest.digest() == loaded.digest() == pickle.loads(pickle.dumps(manifest)).digest()
    again = tmp_path / "again.safetensors"
    loaded.save(again)
    assert again.read_bytes() == (tmp_path / "m.safetensors").read_bytes()


def test_files_that_are_no_manifest(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    with pytest.raises(RunError, match=re.escape(f"{path} is missing. Expected the manifest of a run. Restore it")):
        Manifest.load(path)
    write_arrays(path, {"x": np.zeros(1)}, {})
    with pytest.raises(RunError, match=re.escape(f"{path} is not a manifest.")):
        Manifest.load(path)
    index(class_folders(tmp_path / "data")).save(path)
    arrays, metadata = read_arrays(path)
    write_arrays(path, arrays, dict.fromkeys(metadata, "4"))
    with pytest.raises(RunError, match=re.escape(f"{path} has format 4. Expected at most 3. Update pixelwise.")):
        Manifest.load(path)


def test_a_manifest_of_before_volumes(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    manifest = index(class_folders(tmp_path / "data"))
    manifest.save(path)
    arrays, metadata = read_arrays(path)
    old = {name: array for name, array in arrays.items() if name not in ("depth", "spacing")}
    write_arrays(path, old, dict.fromkeys(metadata, "2"))
    loaded = Manifest.load(path)
    assert same(manifest, loaded)
    assert loaded.digest() == manifest.digest()
    assert loaded.spacing(0) is None
    assert loaded[0].depth == 0


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("label", np.array([0, 0, 0, 1, 1, 7], np.int32), "the column 'label' holds 7"),
        ("split", np.full(1, 9, np.uint8), "the column 'split' holds 9"),
        ("dtype", np.full(1, 9, np.uint8), "the column 'dtype' holds 9"),
        ("height", np.zeros(2, np.int32), "a column of 2 rows among 6"),
        ("height", None, "'height' is missing"),
        ("sha256", np.zeros((6, 31), np.uint8), "a hash of the wrong length"),
        ("path.codes", np.full(6, 6, np.int32), "the column 'path' contradicts itself"),
        ("about", np.frombuffer(b"{}", np.uint8), "'rows'"),
        ("about", np.frombuffer(b"{", np.uint8), "Expecting property name"),
    ],
)
def test_damaged_manifests(tmp_path: Path, name: str, column: Any, message: str) -> None:
    path = tmp_path / "m.safetensors"
    index(class_folders(tmp_path / "data")).save(path)
    arrays, metadata = read_arrays(path)
    changed = {key: value for key, value in {**arrays, name: column}.items() if value is not None}
    path.write_bytes(safetensors.numpy.save(changed, metadata=metadata))
    with pytest.raises(RunError, match=f"is damaged .*{re.escape(message)}"):
        Manifest.load(path)


# --- real data


def test_bundled_nuclei(tmp_path: Path) -> None:
    manifest = index(samples.write_nuclei(tmp_path / "nuclei"))
    assert manifest.classes == ("background", "nucleus")
    assert [len(manifest.indices(split)) for split in ("train", "val", "test")] == [9, 3, 4]
    assert manifest[0].dtype == "uint16"
    image, labels = samples.nuclei()
    reader = SampleReader(tmp_path / "nuclei", manifest)
    place = next(sample.index for sample in manifest if sample.path == "images/train/r1c2.png")
    assert np.array_equal(reader.image(place)[..., 0], image[128:256, 256:384])
    assert np.array_equal(reader.label_map(place), labels[128:256, 256:384] > 0)
    whole = index(samples.folder("nuclei"))
    assert (len(whole), whole.classes) == (1, ("background", "foreground"))


@pytest.mark.parametrize(
    ("name", "splits", "classes"),
    [("isbi2012_em", [30, 0, 0], 2), ("camvid_small", [100, 25, 40], 12), ("flowers12_oxford", [720, 0, 240], 12)],
)
def test_public_data_sets(data_folder: Path, name: str, splits: list[int], classes: int) -> None:
    needed(data_folder, name)
    manifest = index(data_folder / name)
    assert [len(manifest.indices(split)) for split in ("train", "val", "test")] == splits
    assert len(manifest.classes) == classes
