"""The data doctor on class folders broken on purpose: every fault is named, in one pass, with its remedy."""

import dataclasses
import json
import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from data_folders import classes_folder, examine, found, pairs_folder, picture, save
from PIL import Image

from pixelwise.data.manifest import build_manifest


def break_classes(root: Path) -> None:
    """Every fault of images and of class folders."""
    for split, seed in (("train", 0), ("val", 500)):
        classes_folder(root / split, {"cat": 30, "dog": 12, "owl": 1 if split == "train" else 0, "eel": 2}, seed)
    train, val = root / "train", root / "val"
    (train / "cat" / "empty.png").write_bytes(b"")
    (train / "cat" / "text.png").write_text("not a picture")
    (train / "cat" / "cut.jpg").write_bytes(jpeg(picture(900))[:-200])
    (train / "cat" / "bomb.png").write_bytes(bomb())
    (train / "cat" / "drawing.png").write_text("<svg xmlns='x'/>")
    damaged = bytearray(save(train / "dog" / "damaged.png", picture(901)).read_bytes())
    damaged[len(damaged) // 2] ^= 255
    (train / "dog" / "damaged.png").write_bytes(damaged)
    tifffile.imwrite(train / "dog" / "nan.tif", np.full((40, 40, 3), np.nan, np.float32), photometric="rgb")
    tifffile.imwrite(train / "dog" / "pages.tif", np.zeros((3, 40, 40), np.uint8), photometric="minisblack")
    shutil.copy(train / "cat" / "3.png", val / "cat" / "copy.png")  # the same bytes in another split
    shutil.copy(train / "cat" / "4.png", train / "dog" / "copy.png")  # the same bytes under another label
    shutil.copy(train / "cat" / "5.png", train / "cat" / "copy.png")
    near = Image.open(train / "cat" / "6.png").resize((80, 80), Image.Resampling.BICUBIC)
    near.save(val / "dog" / "near.jpg", quality=90)
    Image.open(train / "cat" / "7.png").save(val / "cat" / "repacked.bmp")  # the same pixels in other bytes
    Image.open(train / "cat" / "8.png").resize((90, 90), Image.Resampling.BICUBIC).save(train / "cat" / "near.png")
    save(train / "cat" / "grey.png", picture(902, channels=1))
    exif = Image.Exif()
    exif[0x0112] = 6
    save(train / "cat" / "turned.jpg", picture(903, 40, 60), exif=exif)
    Image.fromarray(picture(904)).convert("CMYK").save(train / "cat" / "print.jpg")
    save(train / "cat" / "clear.png", picture(905, channels=4))
    Image.fromarray(picture(906)).quantize(16).save(train / "cat" / "palette.png")
    (train / "cat" / "really.jpg").write_bytes(save(root / "x.png", picture(907)).read_bytes())
    (root / "x.png").unlink()
    save(train / "cat" / "icon.png", picture(908, 3, 3))
    save(train / "cat" / "strip.png", picture(909, 20, 90))
    save(train / "cat" / "black.png", np.zeros((40, 40, 3), np.uint8))
    (train / "fox").mkdir()
    for odd in (".ipynb_checkpoints", "__MACOSX"):
        (root / odd).mkdir()
        (root / odd / "x.png").write_bytes(b"")
    (train / "cat" / "gone.png").symlink_to(root / "nowhere.png")
    (train / "cat" / "outside.png").symlink_to(save(root.parent / "other" / "o.png", picture(910)))
    (train / "cat" / "loop").symlink_to(train)
    save(root / "loose.png", picture(911))


def jpeg(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def bomb() -> bytes:
    from test_images_faults import BOMB

    return BOMB


CLASS_FAULTS = {
    "empty-file": ("error", "Empty files (1): train/cat/empty.png is empty (0 bytes)."),
    "damaged": (
        "error",
        "Damaged or truncated files (1): train/cat/cut.jpg is damaged or truncated: Premature end of JPEG file.",
    ),
    "too-large": (
        "error",
        "Pictures that declare too many pixels (1): train/cat/bomb.png declares 40,000 x 40,000 = 1,600,000,000 "
        "pixels.",
    ),
    "not-an-image": (
        "error",
        "Files that are no readable images (2): train/cat/drawing.png is an SVG drawing; train/cat/text.png is a text "
        "file.",
    ),
    "several-frames": (
        "error",
        "Files of several frames where one picture is expected (1): train/dog/pages.tif holds 3 frames, one picture is "
        "expected: split the file.",
    ),
    "unreadable": (
        "error",
        "Files and folders that cannot be read (1): train/cat/gone.png: a link that leads nowhere.",
    ),
    "empty-class": ("error", "Classes without images (1): train/fox: a class folder without images."),
    "undecodable": ("error", "Files with sound headers that cannot be decoded (2): train/dog/damaged.png is damaged"),
    "duplicate-across-splits": (
        "error",
        "2 pictures in two splits: train/cat/3.png (train) = val/cat/copy.png (val); train/cat/7.png (train) = "
        "val/cat/repacked.bmp (val). Scores on such pictures measure memory, not skill.",
    ),
    "mixed-depths": ("error", "Pictures have different depths: "),
    "label-conflict": (
        "warning",
        "1 picture under two classes: train/cat/4.png (train) = train/dog/copy.png (train).",
    ),
    "near-duplicate-across-splits": (
        "warning",
        "1 pair of nearly equal pictures in two splits: train/cat/6.png (train) = val/dog/near.jpg (val).",
    ),
    "link": ("warning", "Links that are not followed (2): train/cat/loop: a link to a folder around it (a loop), not"),
    "left-aside": ("warning", "Entries that no rule of the layout covers (1): loose.png: it lies in no class folder."),
    "misnamed": ("warning", "1 file of another format than the name says: train/cat/really.jpg is a PNG."),
    "mixed-channels": ("warning", "Grey and colour pictures are mixed: 1 of 1, "),
    "tiny": ("warning", "1 picture of less than 16 px: train/cat/icon.png is 3 x 3 px."),
    "slender": (
        "warning",
        "1 picture at least 3 times as long as wide: train/cat/strip.png is 20 x 90 px.",
    ),
    "blank": ("warning", "1 picture of one single value: train/cat/black.png."),
    "single-image-class": (
        "warning",
        "1 class with a single image: owl. It can be learned from or tested on, not both.",
    ),
    "imbalance": ("warning", "Classes differ in size by a factor of "),
    "class-not-in-split": (
        "warning",
        "val lacks 1 class: owl. Their scores there are undefined. Class numbers come from one table for all splits, "
        "so none is shifted.",
    ),
    "no-test-split": ("warning", "No test split is given: scores will be those on val, "),
    "duplicate": ("info", "1 exact duplicate: train/cat/5.png (train) = train/cat/copy.png (train)."),
    "near-duplicate": (
        "info",
        "1 pair of nearly equal pictures: train/cat/8.png (train) = train/cat/near.png (train).",
    ),
    "odd-entry": (
        "info",
        "Hidden entries and those of other programs (2): .ipynb_checkpoints: hidden folder; __MACOSX: folder of "
        "another program.",
    ),
    "exif-orientation": ("info", "1 image with an EXIF orientation, which is applied."),
    "cmyk": ("info", "1 image in CMYK, converted to RGB without colour profile."),
    "transparency": ("info", "1 image with an alpha channel, laid over white."),
    "palette": ("info", "1 image with a palette, expanded to RGB."),
    "mixed-sizes": ("info", "6 different sizes: 3 to 90 px high, 3 to 90 px wide, in the middle 40 x 40."),
    "small-class": ("info", "1 class of fewer than 10 images: eel (4)."),
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "animals"
    break_classes(root)
    return root


def test_every_fault_of_class_folders(broken: Path) -> None:
    report = examine(broken)
    by_code = found(report)
    assert report.has_errors
    assert by_code.keys() - {"reading"} == CLASS_FAULTS.keys()
    for code, (severity, message) in CLASS_FAULTS.items():
        finding = by_code[code]
        assert (code, finding.severity) == (code, severity)
        assert finding.message.startswith(message)
    assert by_code["undecodable"].paths == ("train/dog/damaged.png", "train/dog/nan.tif")
    severities = [finding.severity for finding in report.findings]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)


def test_skipping_turns_what_is_left_out_into_warnings(broken: Path) -> None:
    by_code = found(examine(broken, bad_images="skip"))
    assert by_code["empty-file"].severity == "warning"
    assert (
        by_code["empty-file"].message == "Empty files (1): train/cat/empty.png is empty (0 bytes). They are left out."
    )
    assert by_code["undecodable"].severity == "warning"
    assert by_code["undecodable"].message.endswith("NaN or infinite. They are left out.")
    assert "mixed-depths" not in by_code  # only the picture of NaN had another depth


def test_findings_are_plain_data(broken: Path) -> None:
    report = examine(broken)
    assert json.loads(json.dumps([dataclasses.asdict(finding) for finding in report.findings]))
    content = report.to_json()
    assert content["format"] == 1
    assert content["has_errors"] is True
    owl = next(row for row in content["classes"] if row["name"] == "owl")
    assert owl == {"name": "owl", "images": {"train": 1, "val": 0}, "pixels": None, "pixel_share": None}


def void_pairs(root: Path) -> Path:
    pairs_folder(root, 6)
    for number, mask in enumerate(sorted((root / "masks").iterdir())):
        values = np.zeros((40, 40), np.uint8)
        values[:20], values[:, number:30] = 1, 2
        save(mask, values)
    (root / "classes.txt").write_text("road\ncar\nVoid\n")
    return root


def test_a_class_called_void_is_asked_about(tmp_path: Path) -> None:
    report = examine(void_pairs(tmp_path))
    finding = next(one for one in report.findings if one.code == "void-class")
    assert finding.severity == "warning"
    assert finding.message == "Class 2 is called Void, but is learned and scored like any other."
    assert "--ignore 2" in finding.fix


def test_an_ignored_last_class_is_no_class(tmp_path: Path) -> None:
    manifest = build_manifest(void_pairs(tmp_path), ignore=2, use_cache=False)
    assert manifest.classes == ("road", "car")
    report = examine(tmp_path, ignore=2)
    assert not {"void-class", "unused-class"} & {one.code for one in report.findings}
    assert "Void is ignored and is no class." in report.notes
