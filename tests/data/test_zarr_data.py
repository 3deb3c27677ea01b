"""Zarr and OME-Zarr pictures and masks in a data folder: the samples of PNG, by window where they are large."""

import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import zarr
from data_folders import examine, found

import pixelwise as pw
from pixelwise.data import windows
from pixelwise.data.augment import Augment
from pixelwise.data.dataset import Dataset
from pixelwise.data.manifest import build_manifest
from pixelwise.data.measuring import measure_preprocess
from pixelwise.data.reading import Glimpses, SampleReader
from pixelwise.errors import DataError, UsageError

HEIGHT, WIDTH, COUNT = 50, 44, 8


def sample(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    label_map[8:30, 10:30] = 1
    label_map[rng.integers(30, 40) :, rng.integers(20, 30) :] = 2
    image = rng.integers(0, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8) + 60 * label_map[..., None]
    return image.astype(np.uint8), label_map


def save_array(path: Path, values: np.ndarray, version: int = 3) -> None:
    chunks = (16, 16, *values.shape[2:])
    zarr.create_array(path, data=values, chunks=chunks, zarr_format=version)


def save_ome(path: Path, image: np.ndarray) -> None:
    """Channels first, as OME-Zarr 0.5 has them, with a coarser level behind the finest."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    planes = image.transpose(2, 0, 1)
    for name, step in (("0", 1), ("1", 2)):
        group.create_array(name, data=np.ascontiguousarray(planes[:, ::step, ::step]), chunks=(1, 20, 20))
    axes = [{"name": "c", "type": "channel"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    levels = [{"path": name, "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 1]}]} for name in "01"]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same samples as PNG, and as Zarr of formats 2 and 3 and OME-Zarr."""
    plain, chunked = tmp_path_factory.mktemp("png"), tmp_path_factory.mktemp("zarr")
    for root in (plain, chunked):
        for folder in ("images", "masks"):
            (root / folder).mkdir()
    for number in range(COUNT):
        image, label_map = sample(number)
        cv2.imwrite(str(plain / "images" / f"{number}.png"), image[..., ::-1])
        cv2.imwrite(str(plain / "masks" / f"{number}.png"), label_map)
        if number % 3 == 0:
            save_ome(chunked / "images" / f"{number}.ome.zarr", image)
        else:
            save_array(chunked / "images" / f"{number}.zarr", image, version=2 + number % 2)
        save_array(chunked / "masks" / f"{number}.zarr", label_map.astype(np.int32 if number % 2 else np.uint8))
    return plain, chunked


def crops(root: Path, **options: object) -> tuple[np.ndarray, np.ndarray]:
    manifest = build_manifest(root, use_cache=False)
    everything = np.arange(len(manifest))
    preprocess = measure_preprocess(Glimpses(SampleReader(root, manifest)), everything, channels=3)
    data = Dataset(
        manifest, root, everything, preprocess, augment=Augment.named("cells"), crop=(24, 20), seed=3, patches=4,
        foreground=0.5, **options,
    )  # fmt: skip
    images, labels, _ = data.arrays(np.arange(4 * len(manifest)), 1)
    return images, labels


def test_samples_are_those_of_png(folders: tuple[Path, Path]) -> None:
    plain, chunked = folders
    first, second = (build_manifest(root, use_cache=False) for root in folders)
    assert [Path(path).name for path in second.paths.table()][:4] == ["0.ome.zarr", "1.zarr", "2.zarr", "3.ome.zarr"]
    for name in ("height", "width", "channels", "dtype", "presence"):
        np.testing.assert_array_equal(first.column(name), second.column(name))
    for one, other in zip(crops(plain), crops(chunked), strict=True):
        np.testing.assert_array_equal(one, other)


def test_large_ones_are_read_by_window(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = crops(folders[1])
    monkeypatch.setattr(windows, "LARGE_PIXELS", 1000)
    monkeypatch.setattr("pixelwise.data.reading.LARGE_PIXELS", 1000)
    monkeypatch.setattr("pixelwise.data.mask_classes.LARGE_PIXELS", 1000)
    monkeypatch.setattr("pixelwise.data.reading.read_image", lambda *_, **__: pytest.fail("a picture was read whole"))
    monkeypatch.setattr(windows, "STRIP_PIXELS", 500)
    for one, other in zip(whole, crops(folders[1]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_from_a_folder_of_zarrs_to_a_model(folders: tuple[Path, Path], tmp_path: Path) -> None:
    report = examine(folders[1])
    assert not report.has_errors
    assert "misnamed" not in found(report)
    assert found(report)["empty-chunks"].severity == "info"
    assert found(report)["empty-chunks"].message.startswith("8 masks without some of their chunks, which are read as")
    spec = pw.spec("unet16").replace(widths=(4, 8))
    run = pw.train(folders[1], spec, settings={"epochs": "1", "crop": "32"}, out=tmp_path / "run", quiet=True)
    assert run.scores is not None
    one, other = (pw.evaluate(run.path, folder, split="all") for folder in folders)
    assert one["mean_iou"] == other["mean_iou"]


def test_a_missing_chunk_and_a_changed_one(folders: tuple[Path, Path], tmp_path: Path) -> None:
    root = Path(shutil.copytree(folders[1], tmp_path / "copy"))
    manifest = build_manifest(root, use_cache=False)
    shutil.rmtree(root / "masks" / "0.zarr" / "c" / "1")  # of a mask, what is left out is the fill value
    chunk = root / "images" / "1.zarr" / "c" / "0" / "0" / "0"
    before = chunk.read_bytes()
    chunk.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    with pytest.raises(DataError, match=r"1\.zarr has changed since it was indexed"):
        SampleReader(root, manifest).image(1)
    chunk.unlink()
    with pytest.raises(DataError, match=r"1\.zarr \(lacks 1 of its chunks: c/0/0/0\)"):
        build_manifest(root, use_cache=False)
    finding = found(examine(root))["missing-chunks"]
    assert finding.message == "Zarrs without some of their chunks (1): images/1.zarr lacks 1 of its chunks: c/0/0/0."
    left = build_manifest(root, use_cache=False, bad_images="skip")
    assert len(left) == COUNT - 1
    filled = build_manifest(root, missing="fill", cache_folder=tmp_path / "cache")
    image = SampleReader(root, filled).image(1)
    expected = sample(1)[0]
    assert not image[:16, :16].any()
    np.testing.assert_array_equal(image[16:], expected[16:])
    with pytest.raises(DataError, match=r"lacks 1 of its chunks"):  # however it was read before
        build_manifest(root, cache_folder=tmp_path / "cache")


def test_without_the_library(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(UsageError, match=r"is a Zarr\. Expected the zarr library\. Install it: pip install"):
        build_manifest(folders[1], use_cache=False)


def test_a_zarr_of_planes_is_no_picture(folders: tuple[Path, Path], tmp_path: Path) -> None:
    root = Path(shutil.copytree(folders[1], tmp_path / "copy"))
    shutil.rmtree(root / "images" / "1.zarr")
    array = zarr.create_array(
        root / "images" / "1.zarr", shape=(5, HEIGHT, WIDTH), chunks=(5, 16, 16), dtype="uint8",
        dimension_names=("z", "y", "x"),
    )  # fmt: skip
    array[:] = 1
    with pytest.raises(DataError, match=r"1\.zarr \(is a volume of 5 planes\)"):
        build_manifest(root, use_cache=False)
