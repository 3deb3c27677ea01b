"""The cache of the index: what is read again, and what is believed."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from small_sets import class_folders, index, mask, pairs, picture, same, stack

from pixelwise.data import index_cache, indexing
from pixelwise.data.manifest import build_manifest
from pixelwise.storage.arrays import read_arrays, write_arrays


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
