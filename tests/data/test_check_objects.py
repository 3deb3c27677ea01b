"""What the check says of numbered objects."""

import numpy as np
import tifffile
from PIL import Image

from pixelwise.data.check import check_data


def write(root, masks):
    for kind in ("images", "masks"):
        (root / kind).mkdir()
    rng = np.random.default_rng(0)
    for number, mask in enumerate(masks):
        Image.fromarray(rng.integers(0, 255, mask.shape, np.uint8)).save(root / "images" / f"{number}.png")
        tifffile.imwrite(root / "masks" / f"{number}.tif", mask)
    return root


def findings(root):
    report = check_data(root, task="instances", mask_kind="instance", use_cache=False)
    return {finding.code: finding for finding in report.findings}


def test_objects_are_counted_and_touching_ones_too(tmp_path):
    mask = np.zeros((20, 20), np.uint16)
    mask[1:5, 1:5], mask[1:5, 5:9], mask[12:16, 3:9] = 300, 301, 302
    found = findings(write(tmp_path, [mask, mask.T.copy()]))
    assert found["objects"].message == (
        "6 objects in 2 pictures: 3 to 3 in one, 16 px in the median; 4 touch another one."
    )
    assert not {"no-object", "tiny-object", "torn-object", "unread-objects"} & set(found)


def test_odd_objects_are_named(tmp_path):
    mask = np.zeros((20, 20), np.uint16)
    mask[1:5, 1:5] = mask[12:16, 12:16] = 300
    mask[9, 9] = 7
    found = findings(write(tmp_path, [mask, np.zeros((20, 20), np.uint16), np.zeros((20, 20), np.uint16)]))
    assert (found["no-object"].severity, found["no-object"].message) == (
        "warning", "2 pictures of 3 without any object.",
    )  # fmt: skip
    assert found["tiny-object"].message == "1 object of less than 5 px."
    assert found["torn-object"].message == "1 mask with an object in several pieces, the first being masks/0.tif."
    assert found["torn-object"].paths == ("masks/0.tif",)


def test_a_mask_of_too_many_objects_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("pixelwise.data.objects.MOST_OBJECTS", 65_535)
    many = np.arange(260 * 260, dtype=np.uint32).reshape(260, 260)
    few = np.zeros((260, 260), np.uint32)
    few[3:9, 3:9] = 70_000
    found = findings(write(tmp_path, [many, few]))
    assert found["unread-objects"].severity == "error"
    assert found["unread-objects"].message.endswith("holds 67,599 objects.")
    assert found["objects"].message.startswith("1 object in 1 picture")


def test_masks_that_no_object_can_be_read_from_leave_nothing_to_say(tmp_path, monkeypatch):
    monkeypatch.setattr("pixelwise.data.objects.MOST_OBJECTS", 65_535)
    many = np.arange(260 * 260, dtype=np.uint32).reshape(260, 260)
    assert "objects" not in findings(write(tmp_path, [many]))
