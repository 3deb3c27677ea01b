"""``pixelwise predict`` for folders and patterns with large pictures among small ones, and for what cannot be used."""

import csv

import numpy as np
import pytest
import tifffile

from large_pictures import contents, field_of
from pixelwise.cli import large
from pixelwise.data.images import read_stored
from pixelwise.data.regions import opening
from pixelwise.predict.tiling import planner

PICTURE = np.random.default_rng(4).integers(0, 200, (90, 110), np.uint8)


@pytest.fixture(autouse=True)
def _large_from_4000_pixels_on(monkeypatch):
    """And each network's graph is followed once."""
    monkeypatch.setattr(opening, "LARGE_PIXELS", 4000)
    monkeypatch.setattr(planner, "receptive_field", field_of)


@pytest.fixture
def folder(tmp_path):
    """A large picture, one as OME-TIFF in a folder, and one as Zarr; a stack of small pages, and a small picture."""
    zarr = pytest.importorskip("zarr")
    root = tmp_path / "new"
    (root / "b").mkdir(parents=True)
    tifffile.imwrite(root / "large.tif", PICTURE, tile=(32, 32))
    tifffile.imwrite(root / "b" / "slide.ome.tif", PICTURE[::-1], tile=(32, 32))
    array = zarr.create_array(root / "array.zarr", shape=PICTURE.shape, chunks=(64, 64), dtype="uint8")
    array[:] = PICTURE
    tifffile.imwrite(root / "stack.tif", np.stack([PICTURE[:40, :40]] * 3), photometric="minisblack")
    tifffile.imwrite(root / "small.tif", PICTURE[:40, :50])
    return root


def rows(table):
    with table.open() as file:
        return {row["path"] + row["frame"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize("given", ["folder", "names", pytest.param("patterns", marks=pytest.mark.slow)])
def test_large_pictures_go_their_way_among_small_ones(pixelwise, trained, folder, tmp_path, given):
    if given == "names":  # a Zarr may be called anything where it is named
        array = (folder / "array.zarr").rename(folder / "array")
        inputs = [*sorted(folder.rglob("*.tif")), array]
    else:
        inputs = [folder] if given == "folder" else [folder / "**" / "*.tif", folder / "*.zarr"]
    out = tmp_path / "out"
    slide = "slide" if given == "names" else "b/slide"
    done = pixelwise("predict", trained / "masks", *inputs, "--out", out, "--tile", 48, "--write", "geojson")
    assert done.code == 0, done.err
    assert done.out.count(" tiles of ") == 3 + done.out.splitlines()[-1].count(" tiles of ")
    assert done.out.splitlines()[-1].startswith("7 predicted, 0 failed")
    found = {path: row["mask"] for path, row in rows(out / "areas.csv").items()}
    if given == "names":
        found = {f"{path}.zarr" if path.endswith("array") else path: mask for path, mask in found.items()}
    assert found == {
        f"{folder}/large.tif": "masks/large.tif",
        f"{folder}/b/slide.ome.tif": f"masks/{slide}.tif",
        f"{folder}/array.zarr": "masks/array.tif",
        f"{folder}/small.tif": "masks/small.png",
        **{f"{folder}/stack.tif{page}": f"masks/stack_{page}.png" for page in range(3)},
    }
    assert (out / "summaries" / f"{slide}.json").exists()
    assert sorted(entry.name for entry in (out / "geojson").rglob("*.geojson")) == [
        "array.geojson", "large.geojson", "slide.geojson", "small.geojson", *(f"stack_{k}.geojson" for k in range(3)),
    ]  # fmt: skip
    flipped, upright = (read_stored(out / "masks" / name)[1] for name in (f"{slide}.tif", "large.tif"))
    assert flipped.shape == upright.shape == (90, 110, 1)
    assert (upright == read_stored(out / "masks" / "array.tif")[1]).all()


def test_a_command_that_was_stopped_between_pictures_goes_on_with_the_next(
    pixelwise, trained, folder, tmp_path, monkeypatch
):
    command = ("predict", trained / "masks", folder, "--out", tmp_path / "out", "--tile", 48)
    with monkeypatch.context() as patch:
        predict, calls = large.LargePictures.predict, iter(range(9))

        def stopped(self, item, cells, *, keep_finished, begins):
            if next(calls) == 2:
                raise KeyboardInterrupt
            return predict(self, item, cells, keep_finished=keep_finished, begins=begins)

        patch.setattr(large.LargePictures, "predict", stopped)
        pixelwise(*command)
    summaries = sorted((tmp_path / "out" / "summaries").rglob("*.json"))
    assert len(summaries) == 2
    before = [path.stat().st_mtime_ns for path in summaries]
    done = pixelwise(*command)
    assert done.code == 0, done.err
    assert [path.stat().st_mtime_ns for path in summaries] == before  # they were not made again
    assert len(rows(tmp_path / "out" / "areas.csv")) == 7
    refused = pixelwise(*command)
    assert (refused.code, "would be replaced" in refused.err) == (2, True)
    assert pixelwise(*command, "--overwrite", "-q").code == 0
    assert [path.stat().st_mtime_ns for path in summaries] > before


def test_a_refused_command_leaves_what_it_was_to_replace(pixelwise, trained, folder, tmp_path):
    command = ("predict", trained / "masks", folder / "large.tif", "--out", tmp_path / "out", "--tile", 48, "-q")
    assert pixelwise(*command).code == 0
    before = contents(tmp_path / "out")
    refused = pixelwise(*command, "--overwrite", "--memory", "10MB")
    assert refused.code == 2
    assert "is too little for one tile" in refused.err
    truncated(folder / "large.tif")
    failed = pixelwise(*command, "--overwrite")
    assert (failed.code, "is damaged or truncated" in failed.err) == (2, True)
    assert contents(tmp_path / "out") == before


def truncated(path):
    path.write_bytes(path.read_bytes()[:-2000])
    return path


def without_a_chunk(path):
    (path / "c" / "0" / "1").unlink()
    return path


@pytest.mark.parametrize("break_it", [truncated, without_a_chunk], ids=["TIFF", "Zarr"])
def test_nothing_but_damage_is_a_fault_of_the_input_and_leaves_nothing(pixelwise, trained, folder, tmp_path, break_it):
    bad = break_it(folder / ("array.zarr" if break_it is without_a_chunk else "large.tif"))
    done = pixelwise("predict", trained / "masks", bad, "--out", tmp_path / "out", "--tile", 48)
    assert done.code == 2
    assert done.out == "0 predicted, 1 failed. No results\n"
    assert done.err.startswith(f"pixelwise: {bad} {'lacks 1 of' if bad.is_dir() else 'is damaged or truncated'}")
    assert not (tmp_path / "out").exists()
    good = folder / "small.tif"
    done = pixelwise("predict", trained / "masks", bad, good, "--out", tmp_path / "out", "--tile", 48, "-q")
    assert done.code == 3
    assert list(rows(tmp_path / "out" / "areas.csv")) == [str(good)]
