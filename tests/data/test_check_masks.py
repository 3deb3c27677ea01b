"""The data doctor on images and masks broken on purpose: every fault is named, in one pass, with its remedy."""

from pathlib import Path

import numpy as np
import pytest
from data_folders import examine, found, pairs_folder, picture, save
from PIL import Image

from pixelwise.data.mask_reading import COLOUR_FILE, MaskReading
from pixelwise.data.masks import MaskSurvey


def break_pairs(root: Path) -> None:
    pairs_folder(root, 30)
    images, masks = root / "images", root / "masks"
    save(images / "orphan.png", picture(100))
    save(masks / "widow.png", np.zeros((40, 40), np.uint8))
    save(images / "size.png", picture(101))
    save(masks / "size.png", np.zeros((40, 41), np.uint8))
    save(images / "value.png", picture(102))
    save(masks / "value.png", np.array([[0, 1], [77, 77]], np.uint8).repeat(20, 0).repeat(20, 1))
    save(images / "lossy.png", picture(103))
    save(masks / "lossy.jpg", np.zeros((40, 40), np.uint8))
    save(images / "clear.png", picture(104))
    save(masks / "clear.png", np.zeros((40, 40, 4), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 3
    save(images / "turned.jpg", picture(105), exif=exif)
    save(masks / "turned.png", np.zeros((40, 40), np.uint8))
    save(images / "void.png", picture(106))
    save(masks / "void.png", np.full((40, 40), 255, np.uint8))


PAIR_FAULTS = {
    "image-without-mask": ("error", "Images without mask (1): images/orphan.png: an image without mask."),
    "mask-without-image": ("error", "Masks without an image of their own (1): masks/widow.png: a mask without image."),
    "size-mismatch": (
        "error",
        "Masks of another size than their images (1): masks/size.png: a mask of 40 x 41 px for an image of 40 x 40 px.",
    ),
    "unknown-mask-values": (
        "error",
        "Masks with values that mean nothing (1): masks/value.png holds values that mean nothing: 77 (800 px).",
    ),
    "lossy-mask": (
        "error",
        "Masks in a lossy format (1): masks/lossy.jpg is a lossy JPEG: its values are not those that were drawn.",
    ),
    "unfit-mask": ("error", "Masks of an unfit form (1): masks/clear.png has 1,600 pixels that are not opaque."),
    "exif-mask": ("warning", "1 image turned by EXIF, with a mask that is not: masks/turned.png."),
    "unused-class": ("warning", "1 class in no mask: star."),
    "one-class-mask": ("info", "2 masks of 32 with one class only, or none."),
    "ignored-pixels": ("info", "3.1% of all pixels are ignored."),
    "exif-orientation": ("info", "1 image with an EXIF orientation, which is applied."),
    "no-splits": ("info", "No split is given."),
}


def test_every_fault_of_images_and_masks(tmp_path: Path) -> None:
    break_pairs(tmp_path)
    report = examine(tmp_path, classes=("sky", "sea", "sand", "star"))
    by_code = found(report)
    assert by_code.keys() - {"reading"} == PAIR_FAULTS.keys()
    for code, (severity, message) in PAIR_FAULTS.items():
        assert (code, by_code[code].severity) == (code, severity)
        assert by_code[code].message.startswith(message)
    assert report.notes == (
        "The masks hold class indices. They run from 0 to 77, but only 4 classes are named. 255 is ignored.",
    )
    truth = np.zeros(256, np.int64)
    for path in sorted((tmp_path / "masks").glob("[0-9tv]*.png")):
        if path.stem not in ("value",):
            truth += np.bincount(np.asarray(Image.open(path)).ravel(), minlength=256)
    assert report.class_pixels == dict(zip(("sky", "sea", "sand", "star"), truth[:4].tolist(), strict=True))
    assert report.classes[0].pixel_share == pytest.approx(truth[0] / truth[:4].sum())


def test_off_by_one_and_rare_classes(tmp_path: Path) -> None:
    pairs_folder(tmp_path, 20)
    for path in (tmp_path / "masks").iterdir():
        values = np.asarray(Image.open(path)) // 2 + 1
        values[0, :2] = 3
        Image.fromarray(values).save(path)
    by_code = found(examine(tmp_path))
    assert by_code["off-by-one"].message == (
        "No pixel of any mask is 0, so class 0 (class_0) is empty: the classes seem to be numbered from 1."
    )
    assert by_code["pixel-imbalance"].message == "1 class with less than 1 % of the pixels: class_3 (0.12%)."


def test_reading_of_masks_is_told(tmp_path: Path) -> None:
    pairs_folder(tmp_path, 20, top=2)
    for path in (tmp_path / "masks").iterdir():
        Image.fromarray(np.asarray(Image.open(path)) * np.uint8(255)).save(path)
    report = examine(tmp_path)
    messages = [finding.message for finding in report.findings if finding.code == "reading"]
    assert "The masks hold only 0 and 255: 0 is background, 255 is foreground." in messages


def test_colour_masks_without_table_are_an_error_and_the_rest_is_still_found(tmp_path: Path) -> None:
    pairs_folder(tmp_path, 5)
    painted = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]], np.uint8)
    for path in (tmp_path / "masks").iterdir():
        Image.fromarray(painted[np.asarray(Image.open(path))]).save(path)
    save(tmp_path / "images" / "size.png", picture(7, 40, 50))
    save(tmp_path / "masks" / "size.png", painted[np.zeros((40, 40), np.uint8)])
    (tmp_path / "images" / "00.png").write_bytes(b"")
    (tmp_path / "masks" / "01.png").unlink()
    report = examine(tmp_path)
    by_code = found(report)
    assert by_code["unusable-data"].severity == "error"
    assert "masks are in colours: (0, 0, 0)" in by_code["unusable-data"].message
    assert by_code["unusable-data"].fix == COLOUR_FILE
    assert {"empty-file", "size-mismatch", "image-without-mask"} <= by_code.keys()
    assert (report.layout, report.task) == ("images-and-masks", "segmentation")
    table = ((0, 0, 0), (128, 0, 0), (0, 128, 0))
    assert found(examine(tmp_path, colours=table)).keys() >= {"empty-file", "size-mismatch", "image-without-mask"}


@pytest.mark.parametrize(("painted", "is_legal"), [((128, 128, 128), True), ((128, 0, 0), False)])
def test_colours_that_are_asked_for_are_those_of_the_class_file(tmp_path: Path, painted, is_legal) -> None:
    """Grey masks were read by their own shades, whatever colours the classes had."""
    pairs_folder(tmp_path, 6)
    for number, path in enumerate(sorted((tmp_path / "masks").iterdir())):  # every second one is all background
        save(path, np.full((40, 40), 128 * (number % 2), np.uint8) * np.eye(40, k=number, dtype=np.uint8))
    (tmp_path / "classes.txt").write_text(f"bg 0 0 0\nfg {' '.join(map(str, painted))}\n")
    faults = found(examine(tmp_path, mask_kind="rgb"))
    assert ("unknown-mask-colours" in faults) is not is_legal
    if not is_legal:
        assert faults["unknown-mask-colours"].severity == "error"
        assert "holds colours that no class has: (128, 128, 128)" in faults["unknown-mask-colours"].message


def test_shades_become_the_colours_where_none_are_given() -> None:
    survey = MaskSurvey()
    survey.add(np.array([[0, 1], [3, 3]], np.uint8))
    reading, why = survey.reading(kind="rgb")
    assert reading == MaskReading("rgb", 3, None, ((0, 0, 0), (1, 1, 1), (3, 3, 3)))
    assert why == (
        "Read as rgb, as asked for. No colours are given for classes: the shades 0, 1, 3 are taken for them, in this "
        "order."
    )
    for shade in range(100, 120):
        survey.add(np.full((2, 2), shade, np.uint8))
    assert "111, 112 and 7 more are taken" in survey.reading(kind="rgb")[1]
