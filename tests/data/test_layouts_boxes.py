"""Any number of boxes a picture: tables with a row for each box, COCO's JSON, and the targets made of them."""

import json

import cv2
import numpy as np
import pytest

from pixelwise.data.dataset import Dataset
from pixelwise.data.manifest import build_manifest
from pixelwise.data.preprocess import Preprocess
from pixelwise.errors import DataError

HEADER = "path,label,x_min,y_min,x_max,y_max,split\n"


def pictures(root, *names, size=(20, 30)):
    root.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), np.full(size, 10 * number, np.uint8))
    return root


def found(manifest):
    return dict(zip(manifest.paths.texts(), manifest.annotations.texts(), strict=True))


def test_a_table_with_a_row_for_each_box_is_for_detection(tmp_path):
    root = pictures(tmp_path / "d", "a.png", "b.png", "c.png")
    rows = ["a.png,cat,1,2,5,6,train", "a.png,dog,10,2,15.5,6,train", "b.png,dog,0,0,30,20,val", "c.png,,,,,,test"]
    (root / "boxes.csv").write_text(HEADER + "\n".join(rows))
    manifest = build_manifest(root)
    assert (manifest.task, manifest.classes) == ("detection", ("cat", "dog"))
    assert found(manifest) == {"a.png": "0 1 2 5 6;1 10 2 15.5 6", "b.png": "1 0 0 30 20", "c.png": ""}
    assert manifest.images_per_class(np.arange(3)).tolist() == [1, 2]
    assert [manifest[index].split for index in range(3)] == ["train", "val", "test"]


def test_one_box_a_picture_is_for_detection_where_it_is_asked_for(tmp_path):
    root = pictures(tmp_path / "d", "a.png", "b.png")
    (root / "boxes.csv").write_text("path,label,x_min,y_min,x_max,y_max\na.png,cat,1,2,5,6\nb.png,cat,1,2,50,60\n")
    assert build_manifest(root).task == "localisation"
    manifest = build_manifest(root, task="detection")
    assert found(manifest) == {"a.png": "0 1 2 5 6", "b.png": "0 1 2 30 20"}
    assert "1 box reaches beyond its picture and was cut to it." in manifest.notes


def test_rows_of_one_picture_have_to_agree_and_boxes_to_lie_inside(tmp_path):
    root = pictures(tmp_path / "d", "a.png", "b.png")
    rows = ["a.png,cat,1,2,5,6,train", "a.png,cat,1,2,5,6,test", "b.png,cat,40,2,50,6,train", "b.png,cat,9,9,9,10,val"]
    (root / "boxes.csv").write_text(HEADER + "\n".join(rows))
    with pytest.raises(DataError) as caught:
        build_manifest(root, task="detection")
    twice = "boxes.csv line 3 (a.png stands already in boxes.csv line 2 with another split or group)"
    assert twice in str(caught.value)
    assert "b.png (1 box lies outside the picture of 20 x 30 px)" in str(caught.value)
    assert "boxes.csv line 5 (the box of b.png has no extent: x 9 to 9, y 9 to 10)" in str(caught.value)


def coco(images, annotations, categories=(("cat", 7), ("dog", 3))):
    return json.dumps(
        {
            "info": {"year": 2026},
            "images": [{"id": number, "file_name": name, "width": 30} for number, name in images],
            "annotations": [
                {"id": place, "image_id": image, "category_id": label, "bbox": box, "iscrowd": crowd}
                for place, (image, label, box, crowd) in enumerate(annotations)
            ],
            "categories": [{"id": number, "name": name} for name, number in categories],
        }
    )


def test_cocos_files_one_for_each_split(tmp_path):
    root = pictures(tmp_path / "d", "images/a.png", "images/b.png", "images/c.png")
    (root / "annotations").mkdir()
    boxes = [(1, 7, [1, 2, 4, 4.5], 0), (1, 3, [0, 0, 30, 20], 0), (1, 3, [0, 0, 9, 9], 1)]
    (root / "annotations" / "instances_train2017.json").write_text(coco([(1, "a.png"), (2, "b.png")], boxes))
    (root / "annotations" / "instances_val2017.json").write_text(coco([(1, "c.png")], [(1, 7, [5, 5, 5, 5], 0)]))
    manifest = build_manifest(root)
    assert (manifest.layout, manifest.task, manifest.classes) == ("coco", "detection", ("dog", "cat"))
    boxes = {"images/a.png": "1 1 2 5 6.5;0 0 0 30 20", "images/b.png": "", "images/c.png": "1 5 5 10 10"}
    assert found(manifest) == boxes
    assert [manifest[index].split for index in range(3)] == ["train", "train", "val"]
    assert any("of which 1 of crowds left out" in note for note in manifest.notes)


def test_predictions_that_name_pictures_by_paths_of_elsewhere_are_read(tmp_path):
    root = pictures(tmp_path / "d", "images/a.png", "images/b.png")
    names = [(1, "/elsewhere/new/a.png"), (2, "new/b.png")]
    (root / "objects.json").write_text(coco(names, [(1, 7, [1, 2, 4, 4.5], 0), (2, 3, [0, 0, 30, 20], 0)]))
    manifest = build_manifest(root)
    assert found(manifest) == {"images/a.png": "1 1 2 5 6.5", "images/b.png": "0 0 0 30 20"}
    assert "Found by name alone: 2 files." in manifest.notes


def test_a_file_beside_the_pictures_of_its_split(tmp_path):
    root = pictures(tmp_path / "d", "train/a.png", "valid/a.png")
    for split in ("train", "valid"):
        (root / split / "_annotations.coco.json").write_text(coco([(1, "a.png")], [(1, 7, [1, 1, 5, 5], 0)]))
    manifest = build_manifest(root, task="detection")
    assert manifest.paths.texts() == ["train/a.png", "valid/a.png"]
    assert [manifest[index].split for index in range(2)] == ["train", "val"]


def test_faults_of_coco_files_are_named(tmp_path):
    root = pictures(tmp_path / "d", "a.png")
    boxes = [(1, 7, [1, 2, 0, 4], 0), (5, 7, [1, 2, 3, 4], 0), (1, 9, [1, 2, 3, 4], 0)]
    (root / "all.json").write_text(coco([(1, "a.png"), (2, "lost.png")], boxes))
    with pytest.raises(DataError) as caught:
        build_manifest(root)
    for fault in (
        "all.json annotation 0 (its box of 0 x 4 px has no extent)",
        "all.json annotation 1 (there is no image 5)",
        "all.json annotation 2 (there is no category 9)",
        "all.json (lost.png is not there)",
    ):
        assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"images": [], "annotations": [', "all.json is no annotation file that can be read. Expected COCO's form"),
        ('{"images": [{"id": 1}], "annotations": []}', "no annotation file: images.0.file_name: Field required"),
        (coco([], [], categories=()), "the annotation files name no categories"),
    ],
)
def test_other_json_is_refused(tmp_path, content, message):
    root = pictures(tmp_path / "d", "a.png")
    (root / "all.json").write_text(content)
    with pytest.raises(DataError) as caught:
        build_manifest(root)
    assert message in str(caught.value)


def test_several_files_have_to_be_splits_with_the_same_categories(tmp_path):
    root = pictures(tmp_path / "d", "a.png", "b.png")
    (root / "one.json").write_text(coco([(1, "a.png")], []))
    (root / "two.json").write_text(coco([(1, "b.png")], []))
    with pytest.raises(DataError, match="holds several annotation files: one\\.json, two\\.json"):
        build_manifest(root)
    (root / "one.json").rename(root / "train.json")
    (root / "two.json").unlink()
    (root / "test.json").write_text(coco([(1, "b.png")], [], categories=(("mouse", 7),)))
    with pytest.raises(DataError, match="category 7 is 'mouse' and 'cat'"):
        build_manifest(root)


def test_targets_count_from_the_middle_of_the_view(tmp_path):
    root = pictures(tmp_path / "d", "a.png", "b.png")
    (root / "boxes.csv").write_text("path,label,x_min,y_min,x_max,y_max\na.png,cat,1,2,5,6\na.png,cat,20,10,30,20\n")
    manifest = build_manifest(root, task="detection")
    whole = Preprocess(channels=1, resize="none", size=None, low=0, high=255, mean=(0.5,), std=(0.2,))
    for crop, size in ((None, (20, 30)), ((10, 16), (10, 16))):
        data = Dataset(manifest, root, np.arange(1), whole, augment=None, crop=crop, seed=0)
        _, targets, _ = data.arrays(np.array([0]), 0)
        if crop is None:
            assert targets.tolist() == [[[0, 3 - 15, 4 - 10, 4, 4], [0, 25 - 15, 15 - 10, 10, 10]]]
        else:  # rows 5 to 15, columns 7 to 23: of the second box 3 x 5 px, too little; of the first nothing
            assert targets.tolist() == [[[-1] * 5, [-1] * 5]]
        assert (
            data.sample_bytes == size[0] * size[1] + 9 * 40 + 20
        )  # each box with eight mirror images, and the picture
    halved = Preprocess(channels=1, resize="stretch", size=(10, 15), low=0, high=255, mean=(0.5,), std=(0.2,))
    data = Dataset(manifest, root, np.arange(1), halved, augment=None, crop=None, seed=0)
    assert data.arrays(np.array([0]), 0)[1][0, 0].tolist() == [0, 1.5 - 7.5, 2 - 5, 2, 2]


def test_masks_of_objects_become_boxes(tmp_path):
    root = pictures(tmp_path / "d", "images/a.png", "images/b.png")
    (root / "masks").mkdir()
    numbered = np.zeros((20, 30), np.uint16)
    numbered[2:6, 3:8], numbered[2:6, 8:12], numbered[15:, 20:] = 301, 302, 7
    cv2.imwrite(str(root / "masks" / "a.png"), numbered)
    cv2.imwrite(str(root / "masks" / "b.png"), np.zeros_like(numbered))
    manifest = build_manifest(root, task="detection")
    assert (manifest.task, len(manifest.classes)) == ("detection", 1)
    assert found(manifest) == {"images/a.png": "0 20 15 30 20;0 3 2 8 6;0 8 2 12 6", "images/b.png": ""}
    assert any(note.startswith("Boxes are drawn around each object;") for note in manifest.notes)
