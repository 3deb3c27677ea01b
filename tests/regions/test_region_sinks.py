"""Region sinks: whatever is written in whatever order, readers find the array; a stop costs one tile at most."""

import numpy as np
import pytest
import tifffile
import zarr

from pixelwise.data.regions import open_source
from pixelwise.data.regions.creating import SUFFIXES, block_sides, open_sink
from pixelwise.data.regions.sink import Form
from pixelwise.errors import ImageError, OutputError

RNG = np.random.default_rng(3)
LABELS = RNG.integers(0, 4, (150, 205, 1), np.uint8)
OBJECTS = RNG.integers(0, 2**31 - 1, (150, 205, 1), np.int32)
SHARES = RNG.random((150, 205, 3), np.float32)
VOLUME = RNG.integers(0, 4, (5, 50, 70, 1), np.uint8)


def tiles(size, side):
    """Disjoint regions that cover ``size``."""
    grids = [[(start, min(start + side, length)) for start in range(0, length, side)] for length in size]
    return [tuple(grid[k] for grid, k in zip(grids, place, strict=True)) for place in np.ndindex(*map(len, grids))]


def form_of(data, fmt, **fields):
    block = (64, 64) if data.ndim == 3 else (1 if fmt == "tiff" else 3, 32, 64)
    return Form(shape=data.shape, dtype=data.dtype, block=block, **fields)


def write(sink, data, regions):
    for region in regions:
        sink.write(region, data[tuple(slice(*span) for span in region)])


@pytest.mark.parametrize("fmt", ["tiff", "zarr"])
@pytest.mark.parametrize("data", [LABELS, OBJECTS, SHARES, VOLUME], ids=["labels", "objects", "shares", "volume"])
def test_readers_find_what_was_written(tmp_path, fmt, data):
    path = tmp_path / f"a{SUFFIXES[fmt]}"
    size = data.shape[:-1]
    regions = tiles(size, 44)
    um = (0.25, 0.5, 2.0)[-len(size) :]
    sink = open_sink(path, fmt, form_of(data, fmt, pixel_size=um))
    write(sink, data, RNG.permutation(np.array(regions)).tolist())
    assert not path.exists()
    sink.close()
    with open_source(path, len(size), stored=True) as source:
        np.testing.assert_array_equal(source.read(tuple((0, side) for side in size)), data)
        assert source.dtype == data.dtype
        assert source.pixel_size == pytest.approx(um)
    other = tifffile.imread(path) if fmt == "tiff" else np.asarray(zarr.open_array(path / "0", mode="r"))
    if fmt == "zarr" and data.shape[-1] > 1:
        other = np.moveaxis(other, 0, -1)
    np.testing.assert_array_equal(other, data[..., 0] if data.shape[-1] == 1 else data)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("fmt", ["tiff", "zarr"])
def test_what_stands_under_the_name_is_not_taken_for_the_unfinished_output(tmp_path, fmt):
    path, regions = tmp_path / f"a{SUFFIXES[fmt]}", tiles(LABELS.shape[:-1], 64)
    stopped = open_sink(path, fmt, form_of(LABELS, fmt))
    write(stopped, LABELS, regions[:3])
    noted = {place: record for place, record, _ in stopped.flush()}
    stopped.abandon()
    older = open_sink(tmp_path / f"older{SUFFIXES[fmt]}", fmt, form_of(LABELS, fmt))
    write(older, 3 - LABELS, regions)
    older.close()
    older.path.rename(path)
    successor = open_sink(path, fmt, form_of(LABELS, fmt), noted)
    assert not successor.holds(regions[3])
    write(successor, LABELS, regions)
    successor.close()
    with open_source(path, 2, stored=True) as source:
        np.testing.assert_array_equal(source.read(((0, 150), (0, 205))), LABELS)


@pytest.mark.parametrize("fmt", ["tiff", "zarr"])
@pytest.mark.parametrize("stop_at", [0, 3, 11, 12])
def test_a_successor_ends_in_the_same_bytes(tmp_path, fmt, stop_at):
    regions = tiles(LABELS.shape[:-1], 64)
    first = open_sink(tmp_path / f"once{SUFFIXES[fmt]}", fmt, form_of(LABELS, fmt))
    write(first, LABELS, regions)
    first.close()
    path = tmp_path / f"twice{SUFFIXES[fmt]}"
    stopped = open_sink(path, fmt, form_of(LABELS, fmt))
    write(stopped, LABELS, regions[:stop_at])
    noted = {place: record for place, record, _ in stopped.flush()}
    write(stopped, LABELS * 0 + 3, regions[stop_at : stop_at + 1])  # on the disk, but not noted down
    stopped.abandon()
    unfinished = path.with_name(path.name + ".unfinished")
    with pytest.raises(ImageError, match="is the unfinished output of a prediction that was stopped"):
        open_source(unfinished)
    if fmt == "tiff":
        unfinished.rename(tmp_path / "renamed.tif")
        with pytest.raises(ImageError, match="it holds no page"):
            open_source(tmp_path / "renamed.tif")
        (tmp_path / "renamed.tif").rename(unfinished)
    successor = open_sink(path, fmt, form_of(LABELS, fmt), noted)
    assert [successor.holds(region) for region in regions] == [k < stop_at for k in range(len(regions))]
    write(successor, LABELS, regions)
    successor.close()
    if fmt == "tiff":
        assert path.read_bytes() == (tmp_path / "once.tif").read_bytes()
    else:
        files = sorted(entry.relative_to(path) for entry in path.rglob("*"))
        assert files == sorted(
            entry.relative_to(tmp_path / "once.zarr") for entry in (tmp_path / "once.zarr").rglob("*")
        )
        assert all(
            (path / file).read_bytes() == (tmp_path / "once.zarr" / file).read_bytes()
            for file in files if (path / file).is_file()
        )  # fmt: skip


@pytest.mark.parametrize("fmt", ["tiff", "zarr"])
def test_an_output_without_all_its_pixels_does_not_appear(tmp_path, fmt):
    path = tmp_path / f"a{SUFFIXES[fmt]}"
    sink = open_sink(path, fmt, form_of(LABELS, fmt))
    write(sink, LABELS, tiles(LABELS.shape[:-1], 64)[1:])
    with pytest.raises(OutputError) as fault:
        sink.close()
    assert str(fault.value) == f"{path} is not finished: 1 of its blocks were not written. Predict it again."
    assert not path.exists()
    sink.abandon()


def test_palettes_show_the_classes(tmp_path):
    sink = open_sink(tmp_path / "a.tif", "tiff", form_of(LABELS, "tiff", palette=((0, 0, 0), (255, 0, 7))))
    write(sink, LABELS, tiles(LABELS.shape[:-1], 64))
    sink.close()
    with open_source(tmp_path / "a.tif") as source:
        seen = source.read(((0, 150), (0, 205)))
    assert seen[LABELS[..., 0] == 1].tolist()[0] == [255, 0, 7]


def test_sides_of_blocks():
    assert block_sides((9999, 9999), "tiff") == (512, 512)
    assert block_sides((100, 200), "zarr") == (112, 208)
    assert block_sides((9, 999, 999), "tiff") == (1, 512, 512)
    assert block_sides((9, 999, 99), "zarr") == (16, 128, 112)
