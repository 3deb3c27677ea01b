"""Masks of each kind, from files to label maps; what their readings refuse; how kinds are told apart."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from pixelwise.data.masks import (
    IGNORE,
    MaskReading,
    MaskSurvey,
    apply_reading,
    guess_mask_kind,
    read_label_map,
    read_mask_raw,
    read_mask_values,
)
from pixelwise.data.writing import write_indexed_png
from pixelwise.errors import ImageError, MaskError

VALUES = np.array([[0, 1, 2], [2, 255, 1]], np.uint8)


def mask_file(folder: Path, values: np.ndarray, name: str = "m.png") -> Path:
    Image.fromarray(values).save(folder / name)
    return folder / name


def test_index_masks(tmp_path: Path) -> None:
    path = mask_file(tmp_path, VALUES)
    labels = read_label_map(path, MaskReading("index", 3))
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, VALUES)
    void_first = apply_reading(VALUES[:1], MaskReading("index", 3, ignore=0), "m")
    assert void_first.tolist() == [[255, 1, 2]]


@pytest.mark.parametrize(
    ("reading", "came", "expected"),
    [
        (
            MaskReading("index", 2),
            "m.png holds values that mean nothing: 2 (2 px)",
            "class indices 0 to 1 and 255 (ignored)",
        ),
        (
            MaskReading("index", 3, ignore=None),
            "m.png holds values that mean nothing: 255 (1 px)",
            "class indices 0 to 2",
        ),
        (
            MaskReading("binary255", 2),
            "m.png holds values that mean nothing: 1 (2 px), 2 (2 px)",
            "0 (background) and 255 (foreground)",
        ),
    ],
)
def test_unknown_values_are_named_with_their_counts(reading: MaskReading, came: str, expected: str) -> None:
    with pytest.raises(MaskError) as caught:
        apply_reading(VALUES, reading, "m.png")
    assert str(caught.value) == (
        f"{came}. Expected {expected}. Correct the mask, or choose how masks are read (--mask-kind, --classes, "
        "--ignore)."
    )


def test_many_unknown_values_are_cut_short() -> None:
    with pytest.raises(MaskError, match=r"11 \(1 px\), 12 \(1 px\), .*, 18 \(1 px\) and 2 more\. Expected"):
        apply_reading(np.arange(11, 21, dtype=np.uint8)[None], MaskReading("index", 2), "m.png")


def test_binary_masks_in_every_disguise(tmp_path: Path) -> None:
    truth = np.array([[0, 1, 1], [1, 0, 0]], np.uint8)
    reading = MaskReading("binary255", 2, None)
    assert np.array_equal(read_label_map(mask_file(tmp_path, truth * 255), reading), truth)
    grey_as_rgb = np.repeat(truth[..., None] * 255, 3, axis=2)
    assert np.array_equal(read_label_map(mask_file(tmp_path, grey_as_rgb), reading), truth)
    opaque = np.concatenate([grey_as_rgb, np.full((2, 3, 1), 255, np.uint8)], axis=2)
    assert np.array_equal(read_label_map(mask_file(tmp_path, opaque), reading), truth)
    bilevel = mask_file(tmp_path, truth.astype(bool))
    assert np.array_equal(read_mask_raw(bilevel), truth)  # one bit: 0 and 1, an index mask
    tifffile.imwrite(tmp_path / "m.tif", truth.astype(bool))
    assert np.array_equal(read_mask_raw(tmp_path / "m.tif"), truth)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palette_masks_give_indices_at_any_depth(bits: int, tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, min(1 << bits, 20), (9, 13)).astype(np.uint8)
    picture = Image.frombytes("P", (13, 9), labels.tobytes())
    picture.putpalette(np.random.default_rng(1).integers(0, 256, 768).astype(np.uint8).tobytes())
    picture.save(tmp_path / "m.png", bits=bits)
    values, palette = read_mask_values(tmp_path / "m.png")
    assert palette
    assert np.array_equal(values, labels)
    assert np.array_equal(read_label_map(tmp_path / "m.png", MaskReading("palette", 20)), labels)


def test_clear_palette_entries_do_not_matter(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2, 1]], np.uint8)
    picture = Image.frombytes("P", (4, 1), labels.tobytes())
    picture.putpalette(bytes(range(30, 39)) + bytes(759))
    picture.save(tmp_path / "m.png", transparency=1)
    assert np.array_equal(read_mask_raw(tmp_path / "m.png"), labels)


@pytest.mark.parametrize("bits", [2, 4])
def test_shallow_grey_masks_are_not_stretched(bits: int, tmp_path: Path) -> None:
    from test_images import png

    rows = b"\0\x1b" if bits == 2 else b"\0\x01\x23"
    path = tmp_path / "m.png"
    path.write_bytes(png(4, 1, bits, 0, rows))
    assert read_mask_raw(path).tolist() == [[0, 1, 2, 3]]


def test_written_label_maps_read_back(tmp_path: Path) -> None:
    write_indexed_png(tmp_path / "m.png", VALUES, [(0, 0, 0), (9, 9, 9), (5, 6, 7)])
    assert np.array_equal(read_label_map(tmp_path / "m.png", MaskReading("palette", 3)), VALUES)


COLOURS = ((0, 0, 0), (128, 0, 0), (0, 128, 0), (255, 255, 255))


@given(arrays(np.uint8, (4, 5), elements=st.integers(0, 3)))
def test_colour_masks(labels: np.ndarray) -> None:
    reading = MaskReading("rgb", 4, None, COLOURS)
    painted = np.array(COLOURS, np.uint8)[labels]
    assert np.array_equal(apply_reading(painted, reading, "m"), labels)


def test_colours_without_class_are_named() -> None:
    painted = np.array([[[0, 0, 0], [128, 0, 1], [128, 0, 1], [9, 9, 9]]], np.uint8)
    with pytest.raises(MaskError) as caught:
        apply_reading(painted, MaskReading("rgb", 4, None, COLOURS), "m.png")
    assert str(caught.value) == (
        "m.png holds colours that no class has: (128, 0, 1) (2 px), (9, 9, 9) (1 px). Expected the 4 colours of the "
        "table. Correct the mask, or add them: put class_dict.csv into the data folder, with the columns name, r, g, b "
        "(0 to 255) and a line for each class; from Python, colours=((r, g, b), ...) does the same."
    )
    greys = apply_reading(np.array([[0, 255]], np.uint8), MaskReading("rgb", 4, None, COLOURS), "m")
    assert greys.tolist() == [[0, 3]]
    with pytest.raises(MaskError, match=r"is in colours\. Expected single values \(kind index\)"):
        apply_reading(painted, MaskReading("index", 4), "m.png")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_instance_masks_become_foreground(dtype: type, tmp_path: Path) -> None:
    objects = np.array([[0, 1, 255], [254, 0, 17]]).astype(dtype)
    tifffile.imwrite(tmp_path / "m.tif", objects)
    labels = read_label_map(tmp_path / "m.tif", MaskReading("instance", 2, None))
    assert labels.tolist() == [[0, 1, 1], [1, 0, 1]]  # the 255th object is an object


def test_wide_index_masks(tmp_path: Path) -> None:
    values = np.array([[0, 1, 700, -1]], np.int32)
    assert apply_reading(values[:, :2], MaskReading("index", 2), "m").tolist() == [[0, 1]]
    with pytest.raises(MaskError, match="mean nothing: -1 \\(1 px\\), 700 \\(1 px\\)"):
        apply_reading(values, MaskReading("index", 2), "m")
    assert apply_reading(values[:, [0, 1, 3]], MaskReading("index", 2, -1), "m").tolist() == [[0, 1, 255]]
    big = np.array([[0, 1, 65535]], np.uint16)
    assert apply_reading(big, MaskReading("index", 2, 65535), "m").tolist() == [[0, 1, 255]]
    with pytest.raises(MaskError, match=r"-1 \(1 px\)\. Expected 0 \(background\) and positive"):
        apply_reading(values, MaskReading("instance", 2, None), "m")


def bad_masks(folder: Path) -> dict[str, tuple[Path, str]]:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))
    photo.convert("L").save(folder / "a.jpg")
    photo.save(folder / "a.webp", quality=80)
    photo.convert("CMYK").save(folder / "c.tif")
    tifffile.imwrite(folder / "n.tif", np.zeros((8, 8, 5), np.uint8), photometric="minisblack", planarconfig="contig")
    tifffile.imwrite(folder / "f.tif", np.array([[0.5, 1.0, np.nan]], np.float32))
    tifffile.imwrite(folder / "w.tif", VALUES, photometric="miniswhite")
    tifffile.imwrite(folder / "16.tif", np.zeros((8, 8, 3), np.uint16), photometric="rgb")
    clear = np.zeros((2, 2, 4), np.uint8)
    clear[0, 0, 3] = 255
    Image.fromarray(clear).save(folder / "t.png")
    lossy = (
        "its values are not those that were drawn. Expected a mask in a lossless format. Export the masks anew as PNG"
    )
    form = "Expected one channel of class values, or 8-bit red, green, blue"
    return {
        "jpeg": (folder / "a.jpg", f"is a lossy JPEG: {lossy}"),
        "webp": (folder / "a.webp", f"is a lossy WebP: {lossy}"),
        "cmyk": (folder / "c.tif", f"stores 4 channels of uint8 (CMYK). {form}"),
        "channels": (folder / "n.tif", f"stores 5 channels of uint8 (N). {form}"),
        "deep": (folder / "16.tif", f"stores 3 channels of uint16 (RGB). {form}"),
        "fraction": (folder / "f.tif", "holds 2 values that are not whole numbers. Expected class values or object"),
        "alpha": (folder / "t.png", "has 3 pixels that are not opaque. Expected a mask without transparency"),
    }


@pytest.mark.parametrize("name", ["jpeg", "webp", "cmyk", "channels", "deep", "fraction", "alpha"])
def test_unfit_mask_files(name: str, tmp_path: Path) -> None:
    path, message = bad_masks(tmp_path)[name]
    with pytest.raises(MaskError) as caught:
        read_mask_raw(path)
    assert str(caught.value).startswith(f"{path} {message}")


def test_inverted_tables_and_damage_are_refused(tmp_path: Path) -> None:
    bad_masks(tmp_path)
    with pytest.raises(ImageError, match="white is its smallest value"):
        read_mask_raw(tmp_path / "w.tif")
    path = mask_file(tmp_path, np.random.default_rng(0).integers(0, 9, (50, 50)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ImageError, match="damaged or truncated"):
        read_mask_raw(path)


def test_other_formats_keep_mask_values(tmp_path: Path) -> None:
    Image.fromarray(VALUES).save(tmp_path / "m.bmp")
    assert np.array_equal(read_mask_raw(tmp_path / "m.bmp"), VALUES)
    painted = np.array(COLOURS, np.uint8)[np.arange(4)[None]]
    Image.fromarray(painted).save(tmp_path / "m.webp", lossless=True)
    assert np.array_equal(read_mask_raw(tmp_path / "m.webp"), painted)
    stack = np.stack([VALUES, VALUES[::-1]])
    tifffile.imwrite(tmp_path / "m.tif", stack, photometric="minisblack")
    assert np.array_equal(read_mask_raw(tmp_path / "m.tif", frame=1), VALUES[::-1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("other", 2), "Mask kind 'other' is not known"),
        (("index", 256), "256 classes. Expected 1 to 255"),
        (("index", 0), "0 classes"),
        (("binary255", 3), "3 classes for masks of kind binary255"),
        (("rgb", 3, None, ((0, 0, 0), (1, 1, 1))), "2 different colours for 3 classes"),
        (("rgb", 1, None, ((0, 0, 256),)), "A colour of the table is out of range"),
    ],
)
def test_contradictory_readings(arguments: tuple, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        MaskReading(*arguments)


@pytest.mark.parametrize(
    "reading", [MaskReading("index", 5), MaskReading("rgb", 4, None, COLOURS), MaskReading("index", 2, -1)]
)
def test_readings_survive_json(reading: MaskReading) -> None:
    assert MaskReading.from_json(reading.to_json()) == reading


def discs(count: int, size: int = 80, seed: int = 0) -> np.ndarray:
    """Objects numbered from 1, each in one piece."""
    mask = np.zeros((size, size), np.uint8)
    step = size // 6
    for k in range(count):
        row, column = divmod(k, 6)
        mask[row * step : row * step + step - 3, column * step : column * step + step - 3] = k + 1
    return mask


SCATTERED = np.random.default_rng(0).integers(0, 5, (40, 40)).astype(np.uint8)


@pytest.mark.parametrize(
    ("masks", "kind", "num_classes", "sentence"),
    [
        ([VALUES[:1] // 2 * 255], "binary255", 2, "The masks hold only 0 and 255: 0 is background, 255 is foreground."),
        ([np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)], "binary255", 2, "hold only 0 and 255"),
        ([np.array([[0, 1, 255]], np.uint8)], "index", 2, "They run from 0 to 1. 255 is ignored."),
        ([SCATTERED], "index", 5, "The masks hold class indices. They run from 0 to 4."),
        (
            [SCATTERED % 3 + 1],
            "index",
            4,
            "No pixel is 0: the classes may be numbered from 1 instead of 0.",
        ),
        ([np.array([[0, 1, -1]], np.int32)], "index", 2, "-1 is ignored."),
        ([np.array([[0, 1, 300]], np.uint16)], "instance", 2, "values up to 300, too many for classes"),
        ([discs(20)], "instance", 2, "each value is one connected piece"),
        ([discs(3), discs(5), discs(8)], "instance", 2, "each value is one connected piece"),
        ([discs(1), discs(2), discs(3)], "index", 4, "They run from 0 to 3."),
        ([np.array([[0, 128, 255]], np.uint8)], "rgb", 3, "The masks hold the shades 0, 128, 255: each is a class"),
        ([np.zeros((3, 3), np.uint8)], "index", 1, "They run from 0 to 0."),
    ],
)
def test_guesses(masks: list[np.ndarray], kind: str, num_classes: int, sentence: str) -> None:
    reading, why = guess_mask_kind(masks)
    assert (reading.kind, reading.num_classes) == (kind, num_classes)
    assert sentence in why
    for values in masks:  # a guess covers what it was made from
        apply_reading(values, reading, "m")


def test_palette_guess_and_options() -> None:
    reading, why = guess_mask_kind([SCATTERED], palette=True)
    assert (reading.kind, reading.num_classes) == ("palette", 5)
    assert why.startswith("The masks are palette pictures")
    survey = MaskSurvey()
    survey.add(discs(20))
    assert survey.reading(kind="index")[0] == MaskReading("index", 21)
    assert survey.reading(kind="index")[1] == "Read as index, as asked for. They run from 0 to 20."
    assert survey.reading(num_classes=30, kind="index")[0].num_classes == 30
    assert survey.reading(kind="instance")[0] == MaskReading("instance", 2, None)
    assert survey.reading(colours=COLOURS)[0].kind == "rgb"
    survey.add(np.array([[300]], np.uint16))
    with pytest.raises(MaskError, match=r"hold values up to 300\. Expected class indices up to 254"):
        survey.reading(kind="index")


def test_colour_masks_need_a_table() -> None:
    survey = MaskSurvey()
    survey.add(np.array([[[0, 0, 0], [128, 0, 0], [128, 0, 0]]], np.uint8))
    survey.add(np.zeros((2, 2), np.uint8))
    survey.add(np.full((1, 1, 3), 9, np.uint8))  # grey after all
    with pytest.raises(MaskError) as caught:
        survey.reading()
    assert str(caught.value) == (
        "1 of 3 masks are in colours: (0, 0, 0) (5 px), (128, 0, 0) (2 px), (9, 9, 9) (1 px). Expected a colour table: "
        "one red, green, blue per class. Put class_dict.csv into the data folder, with the columns name, r, g, b (0 to "
        "255) and a line for each class; from Python, colours=((r, g, b), ...) does the same."
    )
    assert survey.reading(colours=COLOURS)[0] == MaskReading("rgb", 4, None, COLOURS)
    photo = MaskSurvey()
    photo.add(np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8))
    with pytest.raises(MaskError, match=r"or more different ones\. Expected one colour per class, at most 255"):
        photo.reading()
    with pytest.raises(MaskError, match="There is no mask to look at"):
        MaskSurvey().reading()


def test_ignore_is_the_value_that_losses_skip() -> None:
    assert IGNORE == 255
