"""Region sources: every kind of file gives, for any region, what the array that was written holds there."""

import json

import cv2
import numpy as np
import pytest
import tifffile
import zarr

from pixelwise.data.images import read_image
from pixelwise.data.regions import is_large, open_source
from pixelwise.errors import ImageError

RNG = np.random.default_rng(7)
GREY = RNG.integers(0, 255, (75, 101), np.uint8)
COLOUR = RNG.integers(0, 255, (75, 101, 3), np.uint8)
VOLUME = RNG.integers(0, 4000, (5, 40, 33), np.uint16)


def check(path, expected, dimensions=None, stored=False):
    """Compare regions at edges, across tiles and whole with the array, (H, W, C) or (D, H, W, C)."""
    with open_source(path, dimensions, stored=stored) as source:
        assert source.shape == expected.shape
        assert source.dtype == expected.dtype
        size = source.size
        regions = [tuple((0, side) for side in size), tuple((side // 3, side // 3 + 1) for side in size)]
        regions += [tuple((side // 4, side - side // 5) for side in size), tuple((side - 1, side) for side in size)]
        for region in regions:
            found = source.read(region)
            wanted = expected[tuple(slice(*span) for span in region)]
            np.testing.assert_array_equal(found, wanted)
            assert found.dtype == expected.dtype
        assert len(source.identity) == 64


def pixel_size(path):
    with open_source(path) as source:
        return source.pixel_size


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "zstd", "packbits"])
@pytest.mark.parametrize("layout", [{"tile": (32, 16)}, {"rowsperstrip": 7}, {}])
@pytest.mark.parametrize("kind", ["grey", "colour", "planar", "big-endian"])
def test_tiffs_of_every_layout(tmp_path, compression, layout, kind):
    path, expected = tmp_path / "a.tif", COLOUR if kind in ("colour", "planar") else GREY[..., None].astype(np.uint16)
    options = {"bigtiff": True, "byteorder": ">"} if kind == "big-endian" else {}
    data = expected[..., 0] if expected.shape[2] == 1 else expected
    if kind == "planar":
        data, options = data.transpose(2, 0, 1), {"planarconfig": "separate"}
    photometric = "rgb" if expected.shape[2] == 3 else "minisblack"
    tifffile.imwrite(path, data, compression=compression, photometric=photometric, **layout, **options)
    check(path, expected)


def test_what_a_picture_shows_is_the_same_by_region(tmp_path):
    for name, data, options in (
        ("palette", GREY % 4, {"photometric": "palette", "colormap": RNG.integers(0, 65535, (3, 256), np.uint16)}),
        ("bilevel", GREY > 99, {}),
        ("inverted", GREY, {"photometric": "miniswhite"}),
        ("alpha", RNG.integers(0, 255, (75, 101, 4), np.uint8), {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
        ("signed", GREY.astype(np.int16) - 99, {}),
        ("jpeg", COLOUR, {"photometric": "ycbcr", "compression": "jpeg"}),
        ("inks", RNG.integers(0, 255, (75, 101, 4), np.uint8), {"photometric": "separated"}),
    ):
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, data, tile=(32, 32), **options)
        check(path, read_image(path))


def test_stacks_are_volumes_and_channels_on_pages_are_channels(tmp_path):
    for name, axes, data, expected in (
        ("pages", None, VOLUME, VOLUME[..., None]),
        ("z", "ZYX", VOLUME, VOLUME[..., None]),
        ("channels", "CYX", VOLUME, VOLUME.transpose(1, 2, 0)),
        ("both", "ZCYX", VOLUME.reshape(5, 2, 20, 33), VOLUME.reshape(5, 2, 20, 33).transpose(0, 2, 3, 1)),
    ):
        for kind in ("ome.tif", "tif"):
            for layout in ({"tile": (16, 16), "compression": "zlib"}, {}):
                path = tmp_path / f"{name}.{kind}"
                if axes or kind == "tif":
                    metadata = {"axes": axes} if axes else None
                    tifffile.imwrite(path, data, metadata=metadata, photometric="minisblack", **layout)
                    check(path, expected)
    tifffile.imwrite(tmp_path / "imagej.tif", VOLUME, imagej=True, metadata={"axes": "ZYX"})
    check(tmp_path / "imagej.tif", VOLUME[..., None])
    with open_source(tmp_path / "z.tif", 3) as source:
        assert source.size == (5, 40, 33)
    with pytest.raises(ImageError, match=r"a TIFF of 5 \(Z\) pages, which is not supported. Expected one picture, or"):
        open_source(tmp_path / "z.tif", 2)
    tifffile.imwrite(tmp_path / "plane.tif", VOLUME[0])
    check(tmp_path / "plane.tif", VOLUME[:1, ..., None], dimensions=3)


def test_the_finest_level_of_a_pyramid(tmp_path):
    path = tmp_path / "pyramid.tif"
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        file.write(COLOUR, tile=(32, 32), photometric="rgb", subifds=1)
        file.write(COLOUR[::2, ::2], tile=(32, 32), photometric="rgb", subfiletype=1)
    check(path, COLOUR)


def test_pixel_sizes_that_files_tell(tmp_path):
    path = tmp_path / "a.ome.tif"
    um = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 250, "PhysicalSizeYUnit": "nm", "PhysicalSizeZ": 2}
    tifffile.imwrite(path, VOLUME, metadata={"axes": "ZYX", **um})
    assert pixel_size(path) == (2, 0.25, 0.5)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, VOLUME, imagej=True, resolution=(4, 2), metadata={"axes": "ZYX", "unit": "um", "spacing": 3})
    assert pixel_size(path) == (3, 0.5, 0.25)
    tifffile.imwrite(path, GREY, resolution=(5000, 2500), resolutionunit="centimeter")
    assert pixel_size(path) == (4, 2)
    tifffile.imwrite(path, GREY, resolution=(72, 72), resolutionunit="inch")
    assert pixel_size(path) is None
    tifffile.imwrite(path, GREY, imagej=True, resolution=(4, 2), metadata={"unit": "pixel"})
    assert pixel_size(path) is None


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("shards", [None, (64, 64)])
def test_zarr_arrays(tmp_path, version, shards):
    if version == 2 and shards:
        pytest.skip("format 2 has no shards")
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=GREY.shape, chunks=(32, 16), shards=shards, dtype="uint8", zarr_format=version,
        config={"write_empty_chunks": True},
    )  # fmt: skip
    array[:] = GREY
    check(tmp_path / "a.zarr", GREY[..., None])
    check(tmp_path / "a.zarr", GREY[None, ..., None], dimensions=3)


def write_ome(path, data, axes, version=3, units=True):
    group = zarr.open_group(path, mode="w", zarr_format=version)
    array = group.create_array("0", shape=data.shape, chunks=tuple(min(16, n) for n in data.shape), dtype=data.dtype)
    array[:] = data
    group.create_array("1", shape=(2,) * data.ndim, dtype=data.dtype)
    kinds = {"c": "channel", "t": "time"}
    named = [{"name": axis, "type": kinds.get(axis, "space")} for axis in axes]
    if units:
        named = [entry | ({"unit": "nanometer"} if entry["type"] == "space" else {}) for entry in named]
    scale = [{"type": "scale", "scale": [500.0] * len(axes)}]
    scales = [{"axes": named, "datasets": [{"path": "0", "coordinateTransformations": scale}, {"path": "1"}]}]
    group.attrs.update({"ome": {"version": "0.5", "multiscales": scales}} if version == 3 else {"multiscales": scales})


@pytest.mark.parametrize("version", [2, 3])
def test_the_finest_level_of_an_ome_zarr_with_axes_in_any_order(tmp_path, version):
    data = VOLUME + 1
    for axes, stored, expected in (
        ("zyx", data, data[..., None]),
        ("cyx", data, data.transpose(1, 2, 0)),
        ("tczyx", data.reshape(1, 5, 4, 10, 33), data.reshape(5, 4, 10, 33).transpose(1, 2, 3, 0)),
        ("xy", data[0].T, data[0][..., None]),
    ):
        write_ome(tmp_path / axes, stored, axes, version)
        check(tmp_path / axes, expected)
        with open_source(tmp_path / axes) as source:
            assert source.pixel_size == (0.5,) * len(source.size)
    write_ome(tmp_path / "bare", data, "zyx", version, units=False)
    assert pixel_size(tmp_path / "bare") is None


def test_mapped_arrays(tmp_path):
    for name, data, expected in (
        ("grey", GREY, GREY[..., None]),
        ("colour", COLOUR, COLOUR),
        ("fortran", np.asfortranarray(GREY), GREY[..., None]),
        ("volume", VOLUME, VOLUME[..., None]),
        ("signed", VOLUME.astype(np.int64) - 9, (VOLUME.astype(np.float32) - 9)[..., None]),
        ("truth", GREY > 9, (GREY > 9)[..., None] * np.uint8(255)),
    ):
        np.save(tmp_path / f"{name}.npy", data)
        check(tmp_path / f"{name}.npy", expected)
    check(tmp_path / "signed.npy", (VOLUME.astype(np.int64) - 9)[..., None], stored=True)
    (tmp_path / "a.raw").write_bytes(b"headhead" + VOLUME.astype(">u2").tobytes())
    fields = {"shape": [5, 40, 33], "dtype": ">u2", "axes": "cyx", "offset": 8, "pixel_size_um": [0.5, 0.5]}
    (tmp_path / "a.json").write_text(json.dumps(fields))
    check(tmp_path / "a.raw", VOLUME.transpose(1, 2, 0))


def test_ordinary_pictures_and_label_maps(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), COLOUR[..., ::-1])
    check(tmp_path / "a.png", COLOUR)
    cv2.imwrite(str(tmp_path / "b.png"), GREY % 4)
    check(tmp_path / "b.png", (GREY % 4)[..., None], stored=True)
    colours = RNG.integers(0, 65535, (3, 256), np.uint16)
    tifffile.imwrite(tmp_path / "c.tif", GREY % 4, photometric="palette", colormap=colours, tile=(32, 32))
    check(tmp_path / "c.tif", (GREY % 4)[..., None], stored=True)


def test_what_is_large(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), GREY)
    tifffile.imwrite(tmp_path / "a.tif", GREY)
    tifffile.imwrite(tmp_path / "b.tif", shape=(4096, 4096), dtype="uint8")
    np.save(tmp_path / "a.npy", GREY)
    zarr.create_array(tmp_path / "folder", shape=(4, 4), dtype="uint8")
    large = {
        name: is_large(tmp_path / name) for name in ("a.png", "a.tif", "b.tif", "a.npy", "folder", "not there", "")
    }
    assert large == {
        "a.png": False, "a.tif": False, "b.tif": True, "a.npy": True, "folder": True, "not there": False, "": False,
    }  # fmt: skip
