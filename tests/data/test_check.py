"""The data doctor on data sets broken on purpose: every fault is named, in one pass, with its remedy."""

import dataclasses
import json
import os
import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelwise.data.check import CheckReport, Finding, check_data
from pixelwise.data.check.survey import evenly


def picture(seed: int, height: int = 40, width: int = 40, channels: int = 3) -> np.ndarray:
    """A smooth random picture: no two seeds are alike, and it survives JPEG."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 5, channels), np.uint8)
    layers = [
        Image.fromarray(coarse[..., k]).resize((width, height), Image.Resampling.BICUBIC) for k in range(channels)
    ]
    stacked = np.stack([np.asarray(layer) for layer in layers], axis=2)
    return stacked[..., 0] if channels == 1 else stacked


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def classes_folder(root: Path, sizes: dict[str, int], seed: int = 0) -> Path:
    for name, count in sizes.items():
        for k in range(count):
            save(root / name / f"{k}.png", picture(seed := seed + 1))
    return root


def pairs_folder(root: Path, count: int = 20, top: int = 3, prefix: str = "") -> Path:
    for k in range(count):
        save(root / "images" / prefix / f"{k:02}.png", picture(k + 1000 * bool(prefix)))
        mask = np.random.default_rng(k).integers(0, top, (40, 40)).astype(np.uint8)
        save(root / "masks" / prefix / f"{k:02}.png", mask)
    return root


def examine(root: Path, **options: object) -> CheckReport:
    report = check_data(root, use_cache=False, **options)
    json.dumps(report.to_json(), allow_nan=False).encode("utf-8")
    for finding in report.findings:
        assert finding.message.endswith((".", "?"))
        assert finding.fix
        assert not finding.fix.endswith(".")
    assert [row[0] for row in report.rows()] == [finding.severity for finding in report.findings]
    return report


def found(report: CheckReport) -> dict[str, Finding]:
    codes = [finding.code for finding in report.findings if finding.code not in ("reading", "class-not-in-split")]
    assert len(codes) == len(set(codes))
    return {finding.code: finding for finding in report.findings}


def test_a_sound_data_set_has_nothing_but_information(tmp_path: Path) -> None:
    report = examine(classes_folder(tmp_path, {"cat": 12, "dog": 11}))
    assert not report.has_errors
    assert (report.layout, report.task, report.num_samples, report.num_decoded) == (
        "class-folders",
        "classification",
        23,
        23,
    )
    assert report.class_counts == {"cat": 12, "dog": 11}
    assert report.class_pixels == {}
    assert report.splits == {"": 23}
    assert [finding.code for finding in report.findings] == ["no-splits"]


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
    assert by_code["undecodable"].severity == "error"  # the index does not know of it, so it cannot leave it out


def test_findings_are_plain_data(broken: Path) -> None:
    report = examine(broken)
    assert json.loads(json.dumps([dataclasses.asdict(finding) for finding in report.findings]))
    content = report.to_json()
    assert content["format"] == 1
    assert content["has_errors"] is True
    owl = next(row for row in content["classes"] if row["name"] == "owl")
    assert owl == {"name": "owl", "images": {"train": 1, "val": 0}, "pixels": None, "pixel_share": None}


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
    assert by_code["unusable-data"].fix == "Give the colours in the order of the classes"
    assert {"empty-file", "size-mismatch", "image-without-mask"} <= by_code.keys()
    assert (report.layout, report.task) == ("images-and-masks", "segmentation")
    table = ((0, 0, 0), (128, 0, 0), (0, 128, 0))
    assert found(examine(tmp_path, colours=table)).keys() >= {"empty-file", "size-mismatch", "image-without-mask"}


def test_one_class_only(tmp_path: Path) -> None:
    classes_folder(tmp_path, {"cat": 3})
    (tmp_path / "cat" / "bad.png").write_bytes(b"")
    by_code = found(examine(tmp_path))
    assert by_code["unusable-data"].message == (
        f"{tmp_path} holds images of one class only ('cat'). Expected at least two class folders."
    )
    assert by_code["empty-file"].paths == ("cat/bad.png",)


@pytest.mark.parametrize("kind", ["missing", "file", "empty"])
def test_no_folder_at_all(kind: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    if kind == "file":
        root.write_text("x")
    elif kind == "empty":
        root.mkdir()
    report = examine(root)
    assert [finding.code for finding in report.findings] == ["unusable-data"]
    reason = {"missing": "does not exist", "file": "is a file", "empty": "is empty"}[kind]
    assert report.findings[0].message == f"{root} {reason}. Expected a folder with images."
    assert report.has_errors


@pytest.mark.parametrize(
    ("top", "code", "severity"),
    [(255, "unused-depth", "warning"), (4095, "unused-depth", "warning"), (60000, "16-bit", "info")],
)
def test_ranges_of_deep_pictures(top: int, code: str, severity: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        for k in range(10):
            pixels = rng.integers(0, top + 1, (32, 32), np.uint16)
            pixels[0, 0] = top
            save(tmp_path / name / f"{k}.png", pixels)
    finding = found(examine(tmp_path))[code]
    assert finding.severity == severity
    assert finding.message == (
        f"16-bit pictures with values 0 to {top:,} ({top.bit_length()} bits, {top / 65535:.1%} of the range)."
    )


def test_real_values_dark_pictures_and_channels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for k in range(3):
        for name in ("real", "dark", "mixed"):
            for kind in ("a", "b"):
                (tmp_path / name / kind).mkdir(parents=True, exist_ok=True)
        for kind in ("a", "b"):
            values = rng.random((32, 32)).astype(np.float32)
            values[0, :2] = -1.5, 2.5
            tifffile.imwrite(tmp_path / "real" / kind / f"{k}.tif", values)
            save(tmp_path / "dark" / kind / f"{k}.png", rng.integers(0, 2, (32, 32), np.uint8))
            shape = (32, 32, 5 if kind == "a" else 3)
            tifffile.imwrite(
                tmp_path / "mixed" / kind / f"{k}.tif", rng.integers(0, 255, shape, np.uint8), photometric="minisblack",
                planarconfig="contig",
            )  # fmt: skip
    assert found(examine(tmp_path / "real"))["float-range"].message == "Real-valued pictures, -1.5 to 2.5."
    assert found(examine(tmp_path / "dark"))["dark"].message == "8-bit pictures whose largest value is 1: nearly black."
    mixed = found(examine(tmp_path / "mixed"))["mixed-channels"]
    assert (mixed.severity, mixed.message) == (
        "error", "Pictures have different numbers of channels: 3 of 3, 3 of 5 channels.",
    )  # fmt: skip


def test_splits_without_training_or_classes(tmp_path: Path) -> None:
    rows = ["path,label,split"]
    for k in range(24):
        save(tmp_path / "p" / f"{k}.png", picture(k))
        rows.append(f"p/{k}.png,{'cat' if k % 2 else 'dog'},{'val' if k % 2 else 'train'}")
    (tmp_path / "d.csv").write_text("\n".join(rows))
    by_code = found(examine(tmp_path))
    assert by_code["class-not-trained"].message == "1 class without training images: cat."
    assert by_code["class-not-in-split"].message.startswith("val lacks 1 class: dog.")
    (tmp_path / "d.csv").write_text("\n".join(rows).replace("train", "test"))
    assert found(examine(tmp_path))["no-training-split"].severity == "error"


def test_only_a_sample_is_decoded_and_said_so(tmp_path: Path) -> None:
    classes_folder(tmp_path, {"a": 20, "b": 20})
    report = examine(tmp_path, max_decoded=7)
    assert report.num_decoded == 7
    assert found(report)["sample"].message == "Pixels were looked at in 7 of 40 samples, evenly spaced."
    calls: list[tuple[int, int]] = []
    check_data(tmp_path, use_cache=False, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (40, 40)


def test_stacks_and_containers(tmp_path: Path) -> None:
    stack = np.random.default_rng(0).integers(0, 256, (24, 32, 32)).astype(np.uint8)
    (tmp_path / "em").mkdir()
    tifffile.imwrite(tmp_path / "em" / "train-volume.tif", stack, photometric="minisblack")
    tifffile.imwrite(
        tmp_path / "em" / "train-labels.tif", (stack > 99).astype(np.uint8) * 255, photometric="minisblack"
    )
    report = examine(tmp_path / "em")
    assert (report.layout, report.num_samples, report.num_decoded) == ("stack", 24, 24)
    assert report.class_pixels["foreground"] == int((stack > 99).sum())
    idx = tmp_path / "idx"
    idx.mkdir()
    header = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in stack.shape)
    (idx / "train-images-idx3-ubyte").write_bytes(header + stack.tobytes())
    (idx / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + (24).to_bytes(4, "big") + bytes(range(4)) * 6)
    report = examine(idx)
    assert (report.layout, report.num_samples, report.num_decoded) == ("idx", 24, 24)
    assert not report.has_errors


def test_names_of_any_bytes(tmp_path: Path) -> None:
    classes_folder(tmp_path, {"a": 12, "b": 12})
    (tmp_path / "a" / os.fsdecode(b"x\xff\n.png")).write_bytes(b"")
    finding = found(examine(tmp_path))["empty-file"]
    assert finding.paths == (r"a/x\xff\n.png",)


def test_many_bad_files_are_counted_and_cut_short(tmp_path: Path) -> None:
    classes_folder(tmp_path, {"a": 12, "b": 12})
    for k in range(150):
        (tmp_path / "a" / f"bad{k}.png").write_bytes(b"")
    finding = found(examine(tmp_path))["empty-file"]
    assert finding.message.startswith("Empty files (150): a/bad0.png is empty (0 bytes); a/bad1.png is empty")
    assert finding.message.endswith("; and 147 more.")
    assert len(finding.paths) == 100


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [(5, None, [0, 1, 2, 3, 4]), (5, 9, [0, 1, 2, 3, 4]), (101, 3, [0, 50, 100]), (0, 3, [])],
)
def test_evenly(count: int, most: int | None, expected: list[int]) -> None:
    assert evenly(count, most).tolist() == expected
