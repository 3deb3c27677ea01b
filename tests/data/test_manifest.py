"""The manifest: its columns, its file, its cache, and the faults of images and masks that it refuses or records."""

import os
import pickle
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from public_data import needed
from small_sets import class_folders, mask, pairs, picture, stack

from pixelwise.data import index_cache, indexing, samples
from pixelwise.data.columns import TextColumn
from pixelwise.data.digests import file_sha256
from pixelwise.data.manifest import Manifest, build_manifest
from pixelwise.data.mask_reading import COLOUR_FILE
from pixelwise.data.reading import SampleReader
from pixelwise.errors import DataError, MaskError, RunError
from pixelwise.storage.arrays import read_arrays, write_arrays

READABLE = "Expected readable images, each with its label or mask"
MEND = 'Mend or remove them, or leave them out with bad_images="skip" (--bad-images skip).'


def index(root: Path, **options: Any) -> Manifest:
    return build_manifest(root, use_cache=False, **options)


def same(one: Manifest, other: Manifest) -> bool:
    about = ("layout", "task", "classes", "mask_reading", "skipped", "notes")
    return list(one) == list(other) and all(getattr(one, name) == getattr(other, name) for name in about)


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


# --- faults of images and masks


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


# --- the cache


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    read: list[str] = []
    original = indexing._read

    def counting(path: Path, item: indexing.Wanted, status: os.stat_result) -> indexing.FileRecord:
        read.append(item.path)
        return original(path, item, status)

    monkeypatch.setattr(indexing, "_read", counting)
    return read


def settle(root: Path) -> None:
    """Make all files a minute old."""
    when = time.time_ns() - 60 * 10**9
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, ns=(when, when))


def test_only_what_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = pairs(tmp_path / "data"), tmp_path / "cache"
    stack(root / "images" / "v.tif", np.zeros((3, 6, 8), np.uint8))
    stack(root / "masks" / "v.tif", np.ones((3, 6, 8), np.uint8) * 255)
    settle(root)
    first = build_manifest(root, cache_folder=cache)
    assert same(first, index(root))
    read = count_reads(monkeypatch)
    assert same(build_manifest(root, cache_folder=cache), first)
    assert read == []
    picture(root / "images" / "a.png", seed=50)
    mask(root / "masks" / "d.png")
    picture(root / "images" / "d.png", seed=51)
    (root / "images" / "b.png").unlink()
    (root / "masks" / "b.png").unlink()
    changed = build_manifest(root, cache_folder=cache)
    assert sorted(read) == ["images/a.png", "images/d.png", "masks/d.png"]
    assert same(changed, index(root))
    assert len(list(cache.iterdir())) == 1


def test_a_file_may_change_role(tmp_path: Path) -> None:
    root, cache = pairs(tmp_path / "data"), tmp_path / "cache"
    settle(root)
    build_manifest(root, cache_folder=cache)
    assert build_manifest(root, layout="class-folders", cache_folder=cache).classes == ("images", "masks")
    assert len(build_manifest(root, cache_folder=cache)) == 3


def test_fresh_files_are_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file written twice within one tick of a coarse clock has the same time."""
    root, cache = class_folders(tmp_path / "data"), tmp_path / "cache"
    build_manifest(root, cache_folder=cache)
    read = count_reads(monkeypatch)
    build_manifest(root, cache_folder=cache)
    assert len(read) == 6


@pytest.mark.parametrize("content", [b"", b"junk", None])
def test_a_cache_that_cannot_be_used_is_no_fault(tmp_path: Path, content: bytes | None) -> None:
    root, cache = class_folders(tmp_path / "data"), tmp_path / "cache"
    settle(root)
    build_manifest(root, cache_folder=cache)
    (path,) = cache.iterdir()
    if content is None:
        arrays, metadata = read_arrays(path)
        write_arrays(path, {**arrays, "num_looks": np.zeros(1, np.int64)}, metadata)
    else:
        path.write_bytes(content)
    assert len(build_manifest(root, cache_folder=cache)) == 6
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the cache's folder would be")
    assert len(build_manifest(root, cache_folder=blocked)) == 6


def test_where_the_cache_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert index_cache.default_cache_folder() == tmp_path / "xdg" / "pixelwise" / "manifests"
    build_manifest(class_folders(tmp_path / "data"))
    assert len(list((tmp_path / "xdg" / "pixelwise" / "manifests").iterdir())) == 1
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert index_cache.default_cache_folder() == tmp_path / "home" / ".cache" / "pixelwise" / "manifests"
    monkeypatch.setenv("HOME", "")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert index_cache.default_cache_folder() is None
    assert len(build_manifest(tmp_path / "data")) == 6


def test_progress(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    index(class_folders(tmp_path, each=50), progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (100, 100)
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})


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
