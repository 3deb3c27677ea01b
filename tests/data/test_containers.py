"""IDX files and CIFAR batches: indexed, read back pixel for pixel, and refused with a reason when damaged."""

import gzip
import pickle
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from public_data import needed

from pixelwise.data import cifar, idx, samples
from pixelwise.data.digests import frame_sha256
from pixelwise.data.manifest import build_manifest
from pixelwise.data.reading import SampleReader
from pixelwise.errors import DataError

RNG = np.random.default_rng(0)


def idx_bytes(values: NDArray[np.uint8], code: int = 8) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, code, values.ndim, *values.shape) + values.tobytes()


def write_idx(root: Path, *, train: int = 12, test: int = 6, packed: bool = False) -> dict[str, NDArray[np.uint8]]:
    root.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[np.uint8]] = {}
    for split, count in (("train", train), ("t10k", test)):
        arrays[f"{split}-images-idx3-ubyte"] = RNG.integers(0, 256, (count, 5, 4), np.uint8)
        arrays[f"{split}-labels-idx1-ubyte"] = (np.arange(count) % 3).astype(np.uint8)
    for name, values in arrays.items():
        content = idx_bytes(values)
        (root / f"{name}.gz").write_bytes(gzip.compress(content)) if packed else (root / name).write_bytes(content)
    return arrays


@pytest.mark.parametrize("packed", [False, True])
def test_idx(tmp_path: Path, packed: bool) -> None:
    arrays = write_idx(tmp_path / "raw", packed=packed)
    manifest = build_manifest(tmp_path)
    assert (manifest.layout, manifest.task, manifest.classes) == ("idx", "classification", ("0", "1", "2"))
    assert [len(manifest.indices(split)) for split in ("train", "val", "test", "")] == [12, 0, 6, 0]
    reader = SampleReader(tmp_path, manifest)
    for sample in manifest:
        split = "train" if sample.split == "train" else "t10k"
        picture = arrays[f"{split}-images-idx3-ubyte"][sample.frame]
        assert np.array_equal(reader.image(sample.index), picture[..., None])
        assert sample.label == arrays[f"{split}-labels-idx1-ubyte"][sample.frame]
        assert (sample.height, sample.width, sample.channels, sample.dtype) == (5, 4, 1, "uint8")
        assert sample.sha256 == frame_sha256(picture[..., None]).hex()
    assert isinstance(reader.image(0).base, np.memmap) is not packed


def test_idx_prefers_the_unpacked_file_and_says_so(tmp_path: Path) -> None:
    write_idx(tmp_path)
    write_idx(tmp_path, packed=True)
    manifest = build_manifest(tmp_path)
    assert len(manifest) == 18
    assert ("t10k-images-idx3-ubyte.gz", "the same as t10k-images-idx3-ubyte") in manifest.skipped


def test_idx_class_names(tmp_path: Path) -> None:
    write_idx(tmp_path)
    assert build_manifest(tmp_path, classes=("a", "b", "c", "d")).classes == ("a", "b", "c", "d")
    (tmp_path / "classes.txt").write_text("x\ny\nz\n")
    manifest = build_manifest(tmp_path)
    assert manifest.classes == ("x", "y", "z")
    assert manifest.notes == ("Class names come from classes.txt.",)
    with pytest.raises(DataError, match=r"its labels run from 0 to 2\. Expected 0 to 1 for 2 class names"):
        build_manifest(tmp_path, classes=("a", "b"))


def test_idx_labels_that_begin_at_one_get_no_empty_class(tmp_path: Path) -> None:
    write_idx(tmp_path)
    for split in ("train", "t10k"):
        path = tmp_path / f"{split}-labels-idx1-ubyte"
        path.write_bytes(idx_bytes(idx.read_labels(path).astype(np.uint8) + 1))
    manifest = build_manifest(tmp_path)
    assert manifest.classes == ("1", "2", "3")
    assert sorted(set(manifest.column("label").tolist())) == [0, 1, 2]


def test_several_idx_sets_in_one_folder(tmp_path: Path) -> None:
    write_idx(tmp_path)
    for path in list(tmp_path.iterdir()):
        (tmp_path / f"emnist-letters-{path.name}").write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=r'several IDX data sets.*Choose one: layout="idx:emnist-letters"'):
        build_manifest(tmp_path)
    manifest = build_manifest(tmp_path, layout="idx:emnist-letters")
    assert {sample.path for sample in manifest} == {
        "emnist-letters-t10k-images-idx3-ubyte",
        "emnist-letters-train-images-idx3-ubyte",
    }


def fault(path: str, what: str) -> str:
    return f"{path} {what}. Bring the file again."


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
SOUND = idx_bytes(np.zeros((12, 5, 4), np.uint8))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (IMAGES, b"", "does not begin as an IDX file. Expected two zero bytes, a type and 1 to 4 dimensions"),
        (IMAGES, SOUND[:7], "ends inside its header. Expected a whole file"),
        (IMAGES, SOUND[:-1], "holds 239 bytes of values. Expected 240 for the shape (12, 5, 4)"),
        (IMAGES, SOUND + b"x", "holds 241 bytes of values. Expected 240 for the shape (12, 5, 4)"),
        (
            IMAGES,
            struct.pack(">BBBB3I", 0, 0, 8, 3, 2**31, 2**31, 9),
            "declares 41,505,174,165,846,491,136 bytes. Expected at most 17,179,869,184",
        ),
        (
            IMAGES,
            idx_bytes(np.zeros((12, 5), np.uint8)),
            "holds values of type 0x08 and shape (12, 5). Expected unsigned bytes, (N, H, W)",
        ),
        (
            LABELS,
            idx_bytes(np.zeros((12, 1), np.uint8)),
            "holds values of type 0x08 and shape (12, 1). Expected integers, (N,)",
        ),
    ],
)
def test_damaged_idx(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    write_idx(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"^{re.escape(fault(str(tmp_path / name), message))}$"):
        build_manifest(tmp_path)


def test_damaged_gzip(tmp_path: Path) -> None:
    write_idx(tmp_path, packed=True)
    path = tmp_path / f"{IMAGES}.gz"
    sound = path.read_bytes()
    for content, message in (
        (sound[:40], "cannot be unpacked"),
        (gzip.compress(SOUND[:-1]), "holds 239 bytes of values. Expected 240"),
        (gzip.compress(SOUND + bytes(10_000)), "holds more than 240 bytes of values. Expected 240"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=re.escape(message)):
            build_manifest(tmp_path)


def test_idx_files_that_do_not_belong_together(tmp_path: Path) -> None:
    write_idx(tmp_path)
    (tmp_path / LABELS).write_bytes(idx_bytes(np.zeros(11, np.uint8)))
    with pytest.raises(DataError, match=r"holds 12 pictures and train-labels-idx1-ubyte 11 labels"):
        build_manifest(tmp_path)
    (tmp_path / LABELS).unlink()
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte has no file of labels beside it"):
        build_manifest(tmp_path)


def test_one_class_only(tmp_path: Path) -> None:
    write_idx(tmp_path)
    for split, count in (("train", 12), ("t10k", 6)):
        (tmp_path / f"{split}-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(count, np.uint8)))
    with pytest.raises(DataError, match="holds one class only"):
        build_manifest(tmp_path)


def write_cifar(root: Path, *, count: int = 5, labels: int = 1) -> NDArray[np.uint8]:
    root.mkdir(parents=True, exist_ok=True)
    records = RNG.integers(0, 10, (3 * count, labels + 3072), np.uint8)
    names = ("data_batch_1.bin", "data_batch_2.bin", "test_batch.bin") if labels == 1 else ("train.bin", "test.bin")
    for place, name in enumerate(names):
        (root / name).write_bytes(records[place * count : (place + 1) * count].tobytes())
    return records


@pytest.mark.parametrize(("labels", "variant"), [(1, cifar.CIFAR_10), (2, cifar.CIFAR_100)])
def test_cifar(tmp_path: Path, labels: int, variant: cifar.Variant) -> None:
    records = write_cifar(tmp_path / "cifar-batches-bin", labels=labels)
    manifest = build_manifest(tmp_path)
    assert (manifest.layout, len(manifest.classes)) == ("cifar", variant.num_classes)
    assert [len(manifest.indices(split)) for split in ("train", "test")] == ([10, 5] if labels == 1 else [5, 5])
    reader = SampleReader(tmp_path, manifest)
    starts = {"data_batch_1.bin": 0, "data_batch_2.bin": 5, "test_batch.bin": 10, "train.bin": 0, "test.bin": 5}
    for sample in manifest:
        record = records[starts[sample.path.rpartition("/")[2]] + sample.frame]
        assert sample.label == record[labels - 1]
        planes = record[labels:].reshape(3, 32, 32)
        assert np.array_equal(reader.image(sample.index), np.stack(list(planes), -1))


def test_cifar_class_names(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    names = [f"kind {k}" for k in range(10)]
    (tmp_path / "batches.meta.txt").write_text("\n".join(names) + "\n\n")
    assert build_manifest(tmp_path).classes == tuple(names)
    assert build_manifest(tmp_path, classes=tuple("abcdefghij")).classes == tuple("abcdefghij")
    with pytest.raises(DataError, match=r"^2 class names for CIFAR-10\. Expected 10\. Give all\.$"):
        build_manifest(tmp_path, classes=("a", "b"))
    (tmp_path / "batches.meta.txt").write_text("a\nb\n")
    with pytest.raises(DataError, match=r"batches\.meta\.txt names 2 classes\. Expected 10 names, one a line"):
        build_manifest(tmp_path)


def test_damaged_cifar(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    path = tmp_path / "data_batch_1.bin"
    path.write_bytes(bytes(3072))
    message = f"{path} has 3,072 bytes. Expected a multiple of 3,073, the size of one CIFAR-10 record. "
    with pytest.raises(DataError, match=re.escape(message)):
        build_manifest(tmp_path)
    path.write_bytes(b"\x0a" + bytes(3072))
    message = f"{path}: picture 0 has the label 10. Expected 0 to 9 for CIFAR-10. Bring the file again."
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        build_manifest(tmp_path)
    path.unlink()
    write_cifar(tmp_path / "more")
    with pytest.raises(DataError, match=r"holds CIFAR-10 batches in 2 folders\. Expected one"):
        build_manifest(tmp_path)


@pytest.mark.parametrize(
    ("names", "variant", "archive"),
    [
        (("data_batch_1", "test_batch", "batches.meta"), "CIFAR-10", "cifar-10-binary"),
        (("train", "test", "meta"), "CIFAR-100", "cifar-100-binary"),
    ],
)
def test_pickled_batches_are_refused_unopened(
    tmp_path: Path, names: tuple[str, ...], variant: str, archive: str
) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (tmp_path / "ran").touch, ()

    for name in names:
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    message = (
        f"{tmp_path} holds the pickled batches of {variant}; reading a pickle can run any code. Expected the binary "
        f"version. Download https://www.cs.toronto.edu/~kriz/{archive}.tar.gz and unpack it."
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        build_manifest(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_duplicates_inside_containers_have_equal_hashes(tmp_path: Path) -> None:
    records = write_cifar(tmp_path)
    records[12, 1:] = records[3, 1:]  # a test picture that is also in the first batch, under another label
    records[12, 0] = (records[3, 0] + 1) % 10
    (tmp_path / "test_batch.bin").write_bytes(records[10:15].tobytes())
    hashes = [sample.sha256 for sample in build_manifest(tmp_path)]
    assert len(set(hashes)) == 14
    assert hashes[12] == hashes[3]


def test_bundled_fashion_mnist() -> None:
    manifest = build_manifest(samples.folder("fashion"), classes=samples.FASHION_CLASSES)
    images, labels = samples.fashion("train")
    train = manifest.indices("train")
    assert np.array_equal(manifest.column("label")[train], labels)
    reader = SampleReader(samples.folder("fashion"), manifest)
    for place in (0, 17, len(train) - 1):
        assert np.array_equal(reader.image(int(train[place]))[..., 0], images[manifest[int(train[place])].frame])


def test_mnist_itself(data_folder: Path) -> None:
    needed(data_folder, "mnist")
    manifest = build_manifest(data_folder / "mnist")
    assert [len(manifest.indices(split)) for split in ("train", "test")] == [60_000, 10_000]
    assert np.bincount(manifest.column("label")[manifest.indices("test")]).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
