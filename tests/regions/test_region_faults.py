"""Files that are not what they say: one clear error each, before any pixel is predicted."""

import json

import numpy as np
import pytest
import tifffile
import zarr

from pixelwise.data.regions import open_source
from pixelwise.errors import ImageError, UsageError

RNG = np.random.default_rng(5)
GREY = RNG.integers(0, 255, (75, 101), np.uint8)


def refused(path, *arguments, **keywords):
    with pytest.raises(ImageError) as fault, open_source(path, *arguments, **keywords) as source:
        source.read(tuple((0, side) for side in source.size))
    return str(fault.value).replace(str(path), "PATH")


def write_zarr(path, data=GREY, chunks=(32, 32), **options):
    array = zarr.create_array(path, shape=data.shape, chunks=chunks, dtype=data.dtype, **options)
    array[:] = data
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_a_zarr_with_missing_chunks(tmp_path, version):
    path = write_zarr(tmp_path / "a.zarr", GREY | 1, zarr_format=version)
    names = ["0.1", "2.3"] if version == 2 else ["c/0/1", "c/2/3"]
    for name in names:
        (path / name).unlink()
    assert refused(path) == (
        f"PATH lacks 2 of its chunks: {', '.join(names)}. Expected every one of them. Copy the file again; or, where "
        "its writer leaves out what is empty, allow it with --missing fill."
    )
    with open_source(path, missing="fill") as source:
        filled = source.read(((0, 75), (0, 101)))[..., 0]
    assert (filled[:32, 32:64] == 0).all()
    np.testing.assert_array_equal(filled[32:64], GREY[32:64] | 1)
    for file in [*path.glob("c/*/*"), *path.glob("?.?")]:
        file.unlink()
    assert "lacks 12 of its chunks: " in refused(path)
    assert " and 8 more. Expected" in refused(path)


def test_missing_is_refuse_or_fill(tmp_path):
    with pytest.raises(UsageError) as fault:
        open_source(tmp_path, missing="guess")
    assert str(fault.value) == "missing='guess'. Expected refuse or fill. Correct the value."


def test_a_damaged_chunk(tmp_path):
    path = write_zarr(tmp_path / "a.zarr")
    (path / "c" / "1" / "1").write_bytes(b"nonsense")
    assert refused(path).startswith("PATH is damaged in rows 0 to 74, columns 0 to 100: ")


def rewrite(path, **changes):
    file = path / "zarr.json"
    metadata = json.loads(file.read_text())
    file.write_text(json.dumps(metadata | changes))


def test_metadata_of_a_zarr_are_checked_before_the_library_reads_them(tmp_path, monkeypatch):
    path = write_zarr(tmp_path / "a.zarr")
    original = (path / "zarr.json").read_text()
    codec = {"name": "numcodecs.pickle", "configuration": {}}
    grid = {"name": "regular", "configuration": {"chunk_shape": [1, 1]}}
    for changes, message in (
        ({"codecs": [{"name": "bytes"}, codec]}, "PATH is packed by numcodecs.pickle. Expected blosc, bytes, crc32c, "),
        ({"data_type": "string"}, "PATH holds string. Expected booleans, whole numbers of 8 to 64 bits, or real ones "),
        (
            {"shape": [0, 5]},
            "PATH has damaged metadata: sides of [0, 5]. Expected a Zarr array or an OME-Zarr. Restore ",
        ),
        ({"shape": [5]}, "PATH has damaged metadata: its axes contradict each other. "),
        (
            {"shape": [10**6, 10**6], "chunk_grid": grid},
            "PATH declares 1,000,000,000,000 chunks. Expected at most 16,777",
        ),
        ({"node_type": "group"}, "PATH is a Zarr group without OME's multiscales. Expected an array, or an OME-Zarr. "),
        (
            {"dimension_names": ["t", "x"]},
            "PATH has the axes t, x and the shape (75, 101). Expected y and x, and at most",
        ),
    ):
        rewrite(path, **changes)
        assert refused(path).startswith(message)
        (path / "zarr.json").write_text(original)
    (path / "zarr.json").write_text("{")
    assert refused(path).startswith("PATH has damaged metadata: ")
    (path / "zarr.json").write_text(" " * (1 << 21))
    assert refused(path).startswith("PATH/zarr.json is no metadata. Expected at most 1048576 bytes.")
    (path / "zarr.json").write_text(original)
    monkeypatch.setattr("pixelwise.data.regions.zarr_source.MAX_CHUNK_BYTES", 1000)
    assert refused(path) == (
        "PATH has chunks of 32 x 32, 1,024 bytes each. Expected at most 1,000, so that parts of it can be read. Write "
        "it anew in smaller chunks."
    )


def test_levels_outside_of_an_ome_zarr(tmp_path):
    write_zarr(tmp_path / "secret.zarr")
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.attrs["ome"] = {"multiscales": [{"axes": ["y", "x"], "datasets": [{"path": "../secret.zarr"}]}]}
    assert refused(tmp_path / "a.zarr").startswith("PATH points to a level outside of itself: '../secret.zarr'. ")


def test_folders_and_pictures_that_are_no_zarr(tmp_path):
    assert refused(tmp_path) == ("PATH is a folder that holds no Zarr. Expected an image file. Check the path.")
    assert refused(tmp_path / "none.tif").startswith("PATH does not exist. ")
    assert refused(tmp_path / "none.npy").startswith("PATH does not exist. ")
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert "PATH" in refused(tmp_path / "a.png")


@pytest.mark.parametrize("options", [{"tile": (32, 32), "compression": "zlib"}, {"rowsperstrip": 10}, {}])
def test_a_truncated_tiff(tmp_path, options):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RNG.integers(0, 255, (300, 400), np.uint8), metadata=None, **options)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    assert refused(path).startswith("PATH is damaged or truncated: it ends after ")


def test_tiffs_without_some_of_their_tiles(tmp_path):
    path = tmp_path / "a.tif"
    tiles = [GREY[:32, :32], None, GREY[:32, :32], None, None, GREY[:32, :32]]
    tifffile.imwrite(path, iter(tiles), shape=(64, 96), dtype="uint8", tile=(32, 32), compression="zlib")
    assert refused(path) == (
        "PATH lacks 3 of its tiles: 1 of page 0, 3 of page 0, 4 of page 0. Expected every one of them. Copy the file "
        "again; or, where its writer leaves out what is empty, allow it with --missing fill."
    )
    with open_source(path, missing="fill") as source:
        filled = source.read(((0, 64), (0, 96)))[..., 0]
    np.testing.assert_array_equal(filled[:32, :32], GREY[:32, :32])
    assert not filled[:, 32:64][:32].any()


def test_tiffs_that_can_only_be_unpacked_whole(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    monkeypatch.setattr("pixelwise.data.regions.tiff_source.MAX_CHUNK_BYTES", 5000)
    tifffile.imwrite(path, GREY, compression="zlib", rowsperstrip=75)
    assert refused(path) == (
        "PATH is a TIFF whose strips or tiles unpack to 7,575 bytes each, which is not supported. Expected at most "
        "5,000, so that parts of it can be read. Save it in tiles, for instance with libvips: vips copy IN.tif "
        '"OUT.tif[tile,bigtiff]".'
    )
    tifffile.imwrite(path, GREY, rowsperstrip=75)  # lies unpacked in the file, so its parts can be mapped
    with open_source(path) as source:
        np.testing.assert_array_equal(source.read(((3, 5), (7, 9)))[..., 0], GREY[3:5, 7:9])


def test_tiffs_that_do_not_lie_upright_or_hold_several_pictures(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, extratags=[(274, 3, 1, 6)])
    assert refused(path).startswith(
        "PATH is a TIFF whose orientation is 6, which is not supported. Expected an upright "
    )
    tifffile.imwrite(path, np.stack([GREY] * 4), imagej=True, metadata={"axes": "TYX"})
    assert refused(path).startswith(
        "PATH is a TIFF of 4 (T) pages, which is not supported. Expected one picture, or one"
    )


def test_damaged_tiles(tmp_path):
    path = tmp_path / "a.tif"
    for compression in ("zlib", "lzw", "jpeg"):
        tifffile.imwrite(path, GREY, tile=(32, 32), compression=compression)
        with tifffile.TiffFile(path) as file:
            start, count = file.pages[0].dataoffsets[4], file.pages[0].databytecounts[4]
        content = bytearray(path.read_bytes())
        content[start : start + count] = b"\xff" * count
        path.write_bytes(content)
        assert refused(path).startswith("PATH is damaged or truncated: ")


def test_mapped_files_that_are_not_described_or_too_short(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(100))
    assert refused(path) == (
        "PATH holds raw numbers of unknown shape and type. Expected their description in a.raw.json. Write it, for "
        'instance {"shape": [4096, 4096], "dtype": "uint16"}.'
    )
    sidecar = tmp_path / "a.raw.json"
    for content, message in (
        (
            '{"shape": [10, 10], "dtype": "uint16"}',
            "PATH has 100 bytes. Expected 200 for 10 x 10 values of uint16. Corr",
        ),
        (
            '{"shape": [10, 10], "dtype": "object"}',
            "PATH is described as object of (10, 10). Expected a numpy type of ",
        ),
        (
            '{"shape": [10, 10], "dtype": "nonsense"}',
            "PATH is described as nonsense of (10, 10). Expected a numpy type",
        ),
        ('{"shape": [10, -1], "dtype": "u1"}', "PATH is described as u1 of (10, -1). Expected a numpy type of numbers"),
        ('{"shape": [10]}', "PATH.json does not describe a raw file (shape: List should have at least 2 items"),
        ("{", "PATH.json does not describe a raw file ("),
        ('{"shape": [5, 10, 2], "dtype": "u1", "axes": "tyx"}', "PATH has the axes t, y, x and the shape (5, 10, 2). "),
    ):
        sidecar.write_text(content)
        assert refused(path).startswith(message)
    np.save(tmp_path / "b.npy", GREY)
    whole = (tmp_path / "b.npy").read_bytes()
    (tmp_path / "b.npy").write_bytes(whole[:-500])
    assert refused(tmp_path / "b.npy").startswith("PATH is damaged or truncated: ")
    np.save(tmp_path / "c.npy", np.array([[1, None]]), allow_pickle=True)
    assert refused(tmp_path / "c.npy").startswith("PATH is damaged or truncated: ")
    np.save(tmp_path / "d.npy", GREY.astype(complex))
    assert refused(tmp_path / "d.npy").startswith(
        "PATH holds complex128 values. Expected booleans, whole numbers of 8 "
    )
    np.save(tmp_path / "e.npy", np.full((4, 4), 2**40))
    assert refused(tmp_path / "e.npy").startswith("PATH holds int64 values 1099511627776 to 1099511627776. Expected ")
    np.save(tmp_path / "f.npy", np.zeros((2, 3, 4, 5, 6)))
    assert refused(tmp_path / "f.npy").startswith("PATH has the axes of no known order and the shape (2, 3, 4, 5, 6). ")


def test_values_that_are_not_finite(tmp_path):
    bad = GREY.astype(np.float32)
    bad[3, 4], bad[70, 100] = np.inf, np.nan
    np.save(tmp_path / "a.npy", bad)
    assert refused(tmp_path / "a.npy").startswith(
        "PATH holds 2 values that are NaN or infinite in rows 0 to 74, columns 0 to 100. Expected finite numbers."
    )


def test_volumes_and_pictures_are_told_apart(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 6, 7), np.uint8))
    with open_source(tmp_path / "a.npy", 2) as source:
        assert source.shape == (5, 6, 7)
    write_zarr(tmp_path / "a.zarr", np.ones((5, 6, 7), np.uint8), (5, 6, 7), dimension_names=("z", "y", "x"))
    assert refused(tmp_path / "a.zarr", 2).startswith("PATH is a volume of 5 planes. Expected one picture. Save each ")
    tifffile.imwrite(tmp_path / "a.png.tif", GREY)
    from PIL import Image

    Image.fromarray(GREY).save(tmp_path / "a.png")
    assert refused(tmp_path / "a.png", 3).startswith("PATH is a picture. Expected a volume (TIFF, Zarr, .npy, raw). ")


def test_regions_outside_of_the_picture_are_a_mistake_of_the_caller(tmp_path):
    np.save(tmp_path / "a.npy", GREY)
    with open_source(tmp_path / "a.npy") as source:
        for region in (((0, 76), (0, 1)), ((5, 5), (0, 1)), ((-1, 3), (0, 1)), ((0, 1),)):
            with pytest.raises(ValueError, match="does not lie within"):
                source.read(region)


def test_without_the_zarr_library_the_extra_is_named(tmp_path, monkeypatch):
    import sys

    path = write_zarr(tmp_path / "a.zarr")
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(UsageError) as fault:
        open_source(path)
    assert str(fault.value) == (
        f"{path} is a Zarr. Expected the zarr library. Install it: pip install 'pixelwise[zarr]'."
    )
