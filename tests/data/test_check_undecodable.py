"""Files with sound headers and damaged pixels: found by the check, left out of the index when that is asked for."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from data_folders import classes_folder, examine, found, pairs_folder, picture, save

from pixelwise.data.check import CheckReport
from pixelwise.data.check import run as check_run
from pixelwise.data.manifest import Manifest, build_manifest
from pixelwise.errors import DataError

NAN = "holds 4,800 values of 4,800 that are NaN or infinite"


def damage(path: Path) -> None:
    """Change one byte amid the pixels, so that a checksum is wrong."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def not_finite(path: Path) -> None:
    tifffile.imwrite(path, np.full((40, 40, 3), np.nan, np.float32), photometric="rgb")


def indexed(root: Path, report: CheckReport) -> Manifest:
    return build_manifest(root, bad_images="skip", use_cache=False, exclude=dict(report.undecodable))


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    classes_folder(tmp_path, {"cat": 12, "dog": 12})
    damage(tmp_path / "cat" / "3.png")
    not_finite(tmp_path / "dog" / "nan.tif")
    return tmp_path


def test_refusing_makes_them_errors(animals: Path) -> None:
    report = examine(animals)
    finding = found(report)["undecodable"]
    assert (finding.severity, finding.paths) == ("error", ("cat/3.png", "dog/nan.tif"))
    assert finding.fix == (
        "Restore them from their source, or remove them; bad_images skip (--bad-images skip) leaves them out"
    )
    assert report.num_samples == 25
    assert [path for path, _ in report.undecodable] == ["cat/3.png", "dog/nan.tif"]
    with pytest.raises(DataError, match=r"cat/3\.png"):
        build_manifest(animals, use_cache=False, exclude=dict(report.undecodable))


def test_skipping_leaves_them_out_of_report_and_manifest(animals: Path) -> None:
    report = examine(animals, bad_images="skip")
    assert not report.has_errors
    finding = found(report)["undecodable"]
    assert finding.severity == "warning"
    assert finding.message.startswith("Files with sound headers that cannot be decoded (2): cat/3.png is damaged")
    assert finding.message.endswith(f"dog/nan.tif {NAN}. They are left out.")
    assert (report.num_samples, report.num_decoded) == (23, 23)
    assert report.class_counts == {"cat": 11, "dog": 12}
    assert "mixed-depths" not in found(report)
    assert report.to_json()["undecodable"][1] == ["dog/nan.tif", NAN]
    manifest = indexed(animals, report)
    assert len(manifest) == 23
    assert dict(manifest.skipped)["dog/nan.tif"] == NAN
    assert "is damaged" in dict(manifest.skipped)["cat/3.png"]
    again = build_manifest(animals, bad_images="skip", use_cache=False, exclude=dict(manifest.skipped))
    assert again.digest() == manifest.digest()


def test_no_picture_is_looked_at_twice(animals: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    surveys = []
    survey_pictures = check_run.survey_pictures

    def counted(root: Path, manifest: Manifest, **options: object) -> object:
        surveys.append(len(manifest))
        return survey_pictures(root, manifest, **options)

    monkeypatch.setattr(check_run, "survey_pictures", counted)
    examine(animals, bad_images="skip")
    assert surveys == [25]


def test_duplicates_are_found_among_what_stays(animals: Path) -> None:
    (animals / "cat" / "5.png").write_bytes((animals / "cat" / "11.png").read_bytes())
    finding = found(examine(animals, bad_images="skip"))["duplicate"]
    assert finding.message == "1 exact duplicate: cat/5.png = cat/11.png."


def test_masks_and_their_images_go_together(tmp_path: Path) -> None:
    pairs_folder(tmp_path, count=20)
    damage(tmp_path / "masks" / "03.png")
    damage(tmp_path / "images" / "07.png")
    report = examine(tmp_path, bad_images="skip")
    manifest = indexed(tmp_path, report)
    # A damaged mask cannot even be indexed, since its values are needed; only the image's damage shows later.
    assert [path for path, _ in report.undecodable] == ["images/07.png"]
    assert report.num_samples == len(manifest) == 18
    assert {path for path, _ in manifest.skipped} == {"masks/03.png", "images/07.png"}


def test_a_class_that_only_bad_pictures_had_is_gone(tmp_path: Path) -> None:
    classes_folder(tmp_path, {"cat": 12, "dog": 12})
    (tmp_path / "owl").mkdir()
    not_finite(tmp_path / "owl" / "0.tif")
    report = examine(tmp_path, bad_images="skip")
    assert report.class_counts == {"cat": 12, "dog": 12}
    assert report.num_decoded == 24
    assert indexed(tmp_path, report).classes == ("cat", "dog")
    assert found(report)["empty-class"].severity == "warning"


def test_nothing_is_left(tmp_path: Path) -> None:
    classes_folder(tmp_path, {"cat": 3})
    (tmp_path / "dog").mkdir()
    not_finite(tmp_path / "dog" / "0.tif")
    report = examine(tmp_path, bad_images="skip")
    finding = found(report)["unusable-data"]
    assert finding.severity == "error"
    assert finding.message == (
        f"{tmp_path} holds usable images of one class only ('cat'). Expected at least two classes."
    )
    assert found(report)["not-finite"].paths == ("dog/0.tif",)


def test_names_that_cannot_be_printed(tmp_path: Path) -> None:
    classes_folder(tmp_path, {"cat": 12, "dog": 12})
    name = "new\nline \udcff.png"
    save(tmp_path / "cat" / "x.png", picture(99)).rename(tmp_path / "cat" / name)
    damage(tmp_path / "cat" / name)
    report = examine(tmp_path, bad_images="skip")
    assert [path for path, _ in report.undecodable] == [r"cat/new\nline \xff.png"]
    assert len(indexed(tmp_path, report)) == 24
