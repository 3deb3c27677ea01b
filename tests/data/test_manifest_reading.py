"""Samples read by their place in a manifest: right pixels, kept once, and files that changed since are refused."""

import copy
import os
import pickle
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from small_sets import class_folders, mask, pairs, picture, stack

from pixelwise.data import reading
from pixelwise.data.manifest import Manifest, build_manifest
from pixelwise.data.reading import SampleReader
from pixelwise.errors import DataError

RNG = np.random.default_rng(4)


def reader_of(root: Path) -> SampleReader:
    return SampleReader(root, build_manifest(root, use_cache=False))


def write_stack(root: Path) -> tuple["np.ndarray[tuple[int, ...], np.dtype[np.uint16]]", SampleReader]:
    volume = RNG.integers(0, 60_000, (5, 6, 8), np.uint16)
    stack(root / "image.tif", volume)
    stack(root / "labels.tif", np.where(volume > 9000, 255, 0).astype(np.uint8))
    return volume, reader_of(root)


def test_stacks_are_decoded_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume, reader = write_stack(tmp_path)
    for frame in (3, 0, 4):
        assert np.array_equal(reader.image(frame)[..., 0], volume[frame])
        assert np.array_equal(reader.label_map(frame), volume[frame] > 9000)
    monkeypatch.setattr(reading, "read_image", None)
    assert reader.image(3) is reader.image(3)
    with pytest.raises(ValueError, match="read-only"):
        reader.image(3)[0] = 0


def test_frames_beyond_the_limit_are_decoded_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "KEPT_BYTES", 100)
    volume, reader = write_stack(tmp_path)
    assert reader.image(0) is reader.image(0)  # 96 bytes
    assert reader.image(1) is not reader.image(1)
    assert np.array_equal(reader.image(1)[..., 0], volume[1])


def test_a_copy_for_another_process_opens_its_own_files(tmp_path: Path) -> None:
    _, reader = write_stack(tmp_path)
    reader.image(0)
    for other in (pickle.loads(pickle.dumps(reader)), copy.copy(reader)):
        assert np.array_equal(other.image(0), reader.image(0))
        assert other.image(0) is not reader.image(0)


def test_threads_share_a_reader(tmp_path: Path) -> None:
    volume, reader = write_stack(tmp_path)
    wrong: list[int] = []

    def work() -> None:
        for frame in list(range(5)) * 20:
            if not np.array_equal(reader.image(frame)[..., 0], volume[frame]):
                wrong.append(frame)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def changed(path: Path) -> str:
    return (
        f"^{re.escape(str(path))} has changed since it was indexed. Expected the file as it was indexed. Restore it, "
        r"or start a new run on the changed data\.$"
    )


def test_a_vanished_file(tmp_path: Path) -> None:
    reader = reader_of(class_folders(tmp_path))
    path = tmp_path / "cat" / "1.png"
    path.unlink()
    message = (
        f"{path} cannot be read any more (No such file or directory). Expected the file as it was indexed. Restore it, "
        "or start a new run on the changed data."
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        reader.image(1)
    assert reader.image(0).shape == (6, 8, 1)


def test_a_file_of_another_size(tmp_path: Path) -> None:
    reader = reader_of(class_folders(tmp_path))
    picture(tmp_path / "cat" / "1.png", size=(9, 9))
    with pytest.raises(DataError, match=changed(tmp_path / "cat" / "1.png")):
        reader.image(1)


def test_a_file_of_the_same_size_and_another_content(tmp_path: Path) -> None:
    reader = reader_of(class_folders(tmp_path))
    path = tmp_path / "cat" / "1.png"
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))
    with pytest.raises(DataError, match=changed(path)):
        reader.image(1)


def test_a_copied_file_of_the_same_content_is_accepted_and_hashed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = reader_of(pairs(tmp_path))
    for folder in ("images", "masks"):
        os.utime(tmp_path / folder / "a.png", ns=(1, 1))
    before = reader.image(0)
    reader.label_map(0)
    monkeypatch.setattr(reading, "file_sha256", None)
    assert np.array_equal(reader.image(0), before)
    reader.label_map(0)


def test_a_changed_mask(tmp_path: Path) -> None:
    reader = reader_of(pairs(tmp_path))
    path = tmp_path / "masks" / "a.png"
    size = path.stat().st_size
    mask(path, np.flipud(np.array(reader.label_map(0)) * 255))
    path.write_bytes(path.read_bytes().ljust(size, b"\0"))
    os.utime(path, ns=(1, 1))
    with pytest.raises(DataError, match=changed(path)):
        reader.label_map(0)


def test_a_changed_stack(tmp_path: Path) -> None:
    volume, reader = write_stack(tmp_path)
    volume[2, 0, 0] ^= 1
    stack(tmp_path / "image.tif", volume)
    os.utime(tmp_path / "image.tif", ns=(1, 1))
    assert np.array_equal(reader.image(1)[..., 0], volume[1])  # this slice is as it was
    with pytest.raises(DataError, match=changed(tmp_path / "image.tif")):
        reader.image(2)
    os.utime(tmp_path / "labels.tif", ns=(1, 1))
    assert reader.label_map(2).shape == (6, 8)


def test_a_changed_container(tmp_path: Path) -> None:
    records = RNG.integers(0, 10, (6, 3073), np.uint8)
    for name, part in (("data_batch_1.bin", records[:4]), ("test_batch.bin", records[4:])):
        (tmp_path / name).write_bytes(part.tobytes())
    manifest = build_manifest(tmp_path, use_cache=False)
    records[1, 5] ^= 1
    (tmp_path / "data_batch_1.bin").write_bytes(records[:4].tobytes())
    os.utime(tmp_path / "data_batch_1.bin", ns=(1, 1))
    reader = SampleReader(tmp_path, manifest)
    reader.image(0)
    with pytest.raises(DataError, match=changed(tmp_path / "data_batch_1.bin")):
        reader.image(1)


def test_no_mask(tmp_path: Path) -> None:
    message = "cat/0.png has no mask. Expected a data set of images and masks. Index the folder for segmentation."
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        reader_of(class_folders(tmp_path)).label_map(0)


def test_names_in_any_encoding_are_read(tmp_path: Path) -> None:
    class_folders(tmp_path)
    name = os.fsdecode(b"caf\xe9\n.png")
    (tmp_path / "cat" / "0.png").rename(tmp_path / "cat" / name)
    manifest = build_manifest(tmp_path, use_cache=False)
    manifest.save(tmp_path / "m.safetensors")
    loaded = Manifest.load(tmp_path / "m.safetensors")
    place = next(sample.index for sample in loaded if sample.path == f"cat/{name}")
    assert SampleReader(tmp_path, loaded).image(place).shape == (6, 8, 1)
