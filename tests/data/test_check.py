"""The data doctor on sound data, odd ranges, stacks, containers, samples, and on folders that cannot be indexed."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from data_folders import classes_folder, examine, found, picture, save

from pixelwise.data.check import check_data
from pixelwise.data.check.survey import evenly
from pixelwise.data.manifest import build_manifest


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


def test_a_named_class_without_images_and_pictures_that_do_not_fit(tmp_path: Path) -> None:
    classes_folder(tmp_path, {"a": 12, "b": 12})
    for k in range(12):
        save(tmp_path / "a" / f"{k}.png", picture(k, 40, 90))
    by_code = found(examine(tmp_path, classes=("a", "b", "c")))
    assert by_code["empty-class"].message == "1 class without images: c."
    assert by_code["mixed-aspect"].message == "Aspect ratios (width / height) from 1.00 to 2.25."


def test_large_pictures_are_mentioned(tmp_path: Path) -> None:
    classes_folder(tmp_path, {"a": 10, "b": 10})
    save(tmp_path / "a" / "0.png", np.tile(picture(1), (103, 103, 1)))
    assert found(examine(tmp_path))["large"].message == (
        "1 picture of more than 4096 x 4096 px: a/0.png is 4,120 x 4,120 px."
    )


def test_a_file_that_vanishes_meanwhile_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pixelwise.data.check import run

    classes_folder(tmp_path, {"a": 12, "b": 12})

    def build_and_lose(*arguments: object, **options: object) -> object:
        manifest = build_manifest(*arguments, **options)
        (tmp_path / "a" / "3.png").unlink()
        return manifest

    monkeypatch.setattr(run, "build_manifest", build_and_lose)
    finding = found(examine(tmp_path))["undecodable"]
    assert (finding.severity, finding.paths) == ("error", ("a/3.png",))
