"""Tables of several labels and of boxes, and boxes around masks: what is read, and what is refused."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_sets import class_folders, mask, pairs, picture, stack

from pixelwise.data.check import check_data
from pixelwise.data.manifest import Manifest, build_manifest
from pixelwise.data.names import SPLITS
from pixelwise.data.samples.scenes import write_scattered, write_wardrobes
from pixelwise.data.split import split_manifest
from pixelwise.errors import DataError
from pixelwise.storage.arrays import read_arrays, write_arrays

BOXES = "path,label,x_min,y_min,x_max,y_max\n"


def index(root: Path, **options: Any) -> Manifest:
    return build_manifest(root, use_cache=False, **options)


def images(root: Path, *names: str) -> None:
    for place, name in enumerate(names):
        picture(root / name, seed=place)  # 6 x 8 px


def refuses(root: Path, message: str, **options: Any) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message.replace('ROOT', str(root)))}$"):
        index(root, **options)


# --- several labels -------------------------------------------------------------------------------------------------


def test_labels_of_a_cell(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png", "c.png", "d.png")
    (tmp_path / "t.csv").write_text("path,labels\na.png,tree; sky\nb.png,\nc.png,sky|sky|car |\nd.png,tree\n")
    manifest = index(tmp_path)
    assert (manifest.task, manifest.classes) == ("multilabel", ("car", "sky", "tree"))
    assert manifest.annotations.texts() == ["2 1", "", "1 0", "2"]
    assert manifest[0].annotation == "2 1"
    assert manifest.column("label").tolist() == [-1] * 4
    assert manifest.images_per_class().tolist() == [1, 2, 2]
    assert manifest.shows([2, 3]).toarray().tolist() == [[1, 1, 0], [0, 0, 1]]
    assert manifest.labelled().all()
    assert manifest.describe().startswith("table: 4 images with any number of 3 classes, 6 x 8 px.")


def test_one_label_is_enough_for_several(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    (tmp_path / "t.csv").write_text("path,tags\na.png,cat\nb.png,\n")
    assert index(tmp_path).classes == ("cat",)
    (tmp_path / "t.csv").write_text("path,tags\na.png,\nb.png,;\n")
    refuses(tmp_path, "ROOT: no row names a class. Expected names in the column 'labels'. Fill the column in.")


def test_labels_that_no_usable_image_shows_are_dropped(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    (tmp_path / "c.png").write_bytes(b"no picture")
    (tmp_path / "t.csv").write_text("path,labels\na.png,u;w\nb.png,w\nc.png,v\n")
    manifest = index(tmp_path, bad_images="skip")
    assert (manifest.classes, manifest.annotations.texts()) == (("u", "w"), ["0 1", "1"])
    assert ("v", "a class without usable images") in manifest.skipped
    assert index(tmp_path, bad_images="skip", classes=("v", "w", "u")).annotations.texts() == ["2 1", "1"]
    (tmp_path / "t.csv").write_text("path,labels\na.png,\nc.png,v\n")
    refuses(
        tmp_path,
        "ROOT: no usable image shows a class. Expected at least one class. Mend the images that do.",
        bad_images="skip",
    )


def test_a_row_without_its_mask(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    mask(tmp_path / "m.png")
    (tmp_path / "t.csv").write_text("path,mask\na.png,m.png\nb.png,\n")
    with pytest.raises(DataError, match=r"t\.csv line 3 \(no mask for b\.png\)"):
        index(tmp_path)
    assert "Left out: 1 entry, first t.csv line 3 (no mask for b.png)." in index(tmp_path, bad_images="skip").describe()


def test_columns_for_two_aims_are_a_choice(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    (tmp_path / "t.csv").write_text("path,label,labels\na.png,x,x;y\nb.png,y,\n")
    refuses(
        tmp_path,
        "ROOT: t.csv has the columns of classification and of multilabel. Expected one aim. Choose with "
        'task="classification" or task="multilabel" (--task).',
    )
    assert index(tmp_path, task="multilabel").annotations.texts() == ["0 1", ""]
    assert index(tmp_path, task="classification").column("label").tolist() == [0, 1]


def test_sets_of_labels_are_stratified(tmp_path: Path) -> None:
    manifest = index(write_wardrobes(tmp_path, train=150, test=0, num_classes=4))
    free = manifest.with_splits(np.zeros(len(manifest), np.uint8))
    divided = split_manifest(free, fractions=(0.6, 0.2, 0.2), seed=1)
    for split, share in zip(SPLITS[1:], (0.6, 0.2, 0.2), strict=True):
        counts = divided.images_per_class(divided.indices(split))
        np.testing.assert_allclose(counts, share * manifest.images_per_class(), atol=1.5)


# --- boxes ----------------------------------------------------------------------------------------------------------


def test_boxes_of_a_table(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "t.csv").write_text(
        "filename,class,xmin,ymin,xmax,ymax,split\na.png,owl,1,2,3.5,6,train\nb.png,cat,-1,0,9,2,train\nc,owl,0,0,8,6,test\n"
    )
    manifest = index(tmp_path)
    assert (manifest.task, manifest.classes) == ("localisation", ("cat", "owl"))
    assert manifest.column("label").tolist() == [1, 0, 1]
    assert manifest.annotations.texts() == ["1 2 3.5 6", "0 0 8 2", "0 0 8 6"]
    assert manifest.notes[-1] == "1 box reaches beyond its picture and was cut to it."
    assert manifest.labelled().all()
    assert index(tmp_path, task="classification").annotations.texts() == [""] * 3
    assert index(tmp_path, bad_images="skip", classes=("owl", "cat")).column("label").tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a.png,x,1,2,,4", "t.csv line 3 (the box of a.png has '' for x_max, not a number)"),
        ("a.png,x,1,2,nan,4", "t.csv line 3 (the box of a.png has 'nan' for x_max, not a number)"),
        ("a.png,x,5,2,3,4", "t.csv line 3 (the box of a.png has x_min and x_max swapped: 5 and 3)"),
        ("a.png,x,1,4,3,2", "t.csv line 3 (the box of a.png has y_min and y_max swapped: 4 and 2)"),
        ("a.png,x,3,2,3,4", "t.csv line 3 (the box of a.png has no extent: x 3 to 3, y 2 to 4)"),
        ('a.png,x,"1,5",2,3,4', "t.csv line 3 (the box of a.png has '1,5' for x_min, not a number: write 1.5)"),
        ("a.png,x,one,2,3,4", "t.csv line 3 (the box of a.png has 'one' for x_min, not a number)"),
        ("a.png,,1,2,3,4", "t.csv line 3 (no label for a.png)"),
        ("a.png,x,9,2,12,4", "a.png (its box (x 9 to 12, y 2 to 4) lies outside the picture of 6 x 8 px)"),
    ],
)  # fmt: skip
def test_boxes_that_are_none(tmp_path: Path, row: str, reason: str) -> None:
    images(tmp_path, "a.png", "b.png")
    (tmp_path / "t.csv").write_text(f"{BOXES}b.png,y,1,2,3,4\n{row}\n")
    refuses(
        tmp_path,
        f"ROOT: 1 entry cannot be used: {reason}. Expected readable images, each with its label or mask. Mend or "
        'remove them, or leave them out with bad_images="skip" (--bad-images skip).',
    )
    assert len(index(tmp_path, bad_images="skip")) == 1
    report = check_data(tmp_path, use_cache=False)
    assert ("no label" in reason) or "unfit-box" in {finding.code for finding in report.findings}


def test_missing_columns_are_named(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    (tmp_path / "t.csv").write_text("path,label,x_min\na.png,x,1\nb.png,y,2\n")
    refuses(
        tmp_path,
        "ROOT: t.csv has the columns path, label, x_min. Expected the columns y_min, x_max, y_max for localisation. "
        'Add it, or choose task="classification" (--task), which the columns serve.',
        task="localisation",
        layout="table",
    )
    refuses(
        class_folders(tmp_path / "folders"),
        "ROOT/folders holds the layout 'class-folders', which serves classification; localisation needs a class and a "
        "box for each image. Expected DATA/*.csv or *.tsv with the columns path and label, mask, labels or text, and "
        'if wanted split and group. Choose task="classification", or add what is missing.'.replace(
            "ROOT", str(tmp_path)
        ),
        task="localisation",
    )


_WHOLE_BOX = "the columns label, x_min, y_min, x_max, y_max"


@pytest.mark.parametrize(
    ("header", "row", "options", "message"),
    [
        (
            "path,labels",
            "x",
            {"task": "classification"},
            "t.csv has the columns path, labels. Expected a column 'label' for classification. Add it, or choose "
            'task="multilabel" (--task), which the columns serve.',
        ),
        (
            "path,label,x_min,y_min,x_max,y_max",
            "x,1,2,3,4",
            {"task": "multilabel"},
            "t.csv has the columns path, label, x_min, y_min, x_max, y_max. Expected a column 'labels' for multilabel. "
            'Add it, or choose task="localisation" or task="detection" (--task), which the columns serve.',
        ),
        (
            "path,x_min,y_min,x_max,y_max",
            "1,2,3,4",
            {},
            f"t.csv has boxes and no column 'label'. Expected {_WHOLE_BOX}. Add a column 'label' with the class of "
            "each box; one name for all will do.",
        ),
        (
            "path,x_min,y_min,x_max,y_max",
            "1,2,3,4",
            {"task": "localisation"},
            "t.csv has the columns path, x_min, y_min, x_max, y_max. Expected a column 'label' for localisation. Add a "
            "column 'label' with the class of each box; one name for all will do.",
        ),
        (
            "path,labels,x_min,y_min,x_max,y_max",
            "x,1,2,3,4",
            {},
            f"t.csv has boxes and no column 'label'. Expected {_WHOLE_BOX}. Add a column 'label' with the class of "
            'each box; one name for all will do, or choose task="multilabel" (--task) to do without boxes.',
        ),
        (
            "path,label,x_min,y_min,x_max",
            "x,1,2,3",
            {},
            f"t.csv has x_min, y_min, x_max, but no y_max. Expected {_WHOLE_BOX}. Add what is missing of the boxes, or "
            'choose task="classification" (--task) to do without boxes.',
        ),
        (
            "path,label,x,y,width,height",
            "x,1,2,3,4",
            {},
            f"t.csv has boxes with width and height. Expected {_WHOLE_BOX}. Write x_max = x + width and "
            'y_max = y + height, in pixels, or choose task="classification" (--task) to do without boxes.',
        ),
        (
            "path,label,left,top,w,h",
            "x,1,2,3,4",
            {"task": "localisation"},
            "t.csv has the columns path, label, left, top, w, h. Expected the columns x_max, y_max for localisation. "
            "Write x_max = x + width and y_max = y + height, in pixels.",
        ),
        (
            "path,labels,tags",
            "x,y",
            {},
            "t.csv has 2 columns for 'labels': labels, tags. Expected one. Remove or rename the others.",
        ),
        (
            "path,label,xmin,x_min,y_min,x_max,y_max",
            "x,1,1,2,3,4",
            {},
            "t.csv has 2 columns for 'x_min': xmin, x_min. Expected one. Remove or rename the others.",
        ),
        (
            "path,label,path",
            "x,a.png",
            {},
            "t.csv has 2 columns for 'path': path, path. Expected one. Remove or rename the others.",
        ),
    ],
)  # fmt: skip
def test_columns_that_cannot_be_meant_so(
    tmp_path: Path, header: str, row: str, options: dict[str, Any], message: str
) -> None:
    images(tmp_path, "pictures/a.png", "pictures/b.png")  # a folder that must not be taken for a class
    (tmp_path / "t.csv").write_text(f"{header}\npictures/a.png,{row}\npictures/b.png,{row}\n")
    refuses(tmp_path, f"ROOT: {message}", **options)


def test_a_table_without_rows(tmp_path: Path) -> None:
    images(tmp_path, "pictures/a.png")
    (tmp_path / "t.csv").write_text(BOXES)
    refuses(tmp_path, "ROOT: t.csv has no rows. Expected one row for each image below the header. Write them.")


def test_rows_at_fault_are_named_a_few_times(tmp_path: Path) -> None:
    images(tmp_path, *(f"{k}.png" for k in range(5)))
    (tmp_path / "t.csv").write_text("path,labels\n" + "".join(f"{k}.png,x,y\n" for k in range(5)))
    report = check_data(tmp_path, use_cache=False)
    whole, rows = report.findings
    assert whole.message.count("3 cells, the header has 2") == 3
    assert "; and 2 more)" in whole.message
    assert rows.code == "unfit-row"
    assert rows.fix == "Put cells that hold the separator in quotes, and complete short rows"


def test_names_that_differ_in_case_only(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "t.csv").write_text("path,label,text\na.png,Owl,A\nb.png,owl,a\nc.png,cat,a\n")
    report = check_data(tmp_path, task="classification", use_cache=False)
    told = [finding.message for finding in report.findings if finding.code == "similar-names"]
    assert told == ["1 class spelt in several ways: Owl and owl."]
    report = check_data(tmp_path, task="sequence", use_cache=False)
    assert "similar-names" not in {finding.code for finding in report.findings}


def test_columns_that_are_not_used_are_told(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    (tmp_path / "t.csv").write_text("path,label,labels,tags,width,\na.png,x,u,v,8,\nb.png,y,u,v,8,\n")
    told = "t.csv: not used for classification: labels, tags, width."
    assert told in index(tmp_path, task="classification").notes
    assert told in [finding.message for finding in check_data(tmp_path, task="classification").findings]


def test_class_folders_beside_a_table_of_other_things(tmp_path: Path) -> None:
    class_folders(tmp_path)
    (tmp_path / "t.csv").write_text("path,camera\na.png,3\n")
    assert index(tmp_path).layout == "class-folders"


@pytest.mark.parametrize("with_table", [False, True])
def test_boxes_around_masks(tmp_path: Path, with_table: bool) -> None:
    pairs(tmp_path)  # rows 1 and 2, columns 2 to 4 of each mask are 255
    mask(tmp_path / "masks" / "b.png", np.zeros((6, 8), np.uint8))
    if with_table:
        lines = [f"images/{name}.png,masks/{name}.png" for name in "abc"]
        (tmp_path / "t.csv").write_text("path,mask\n" + "\n".join(lines) + "\n")
    layout = "table" if with_table else "images-and-masks"
    manifest = index(tmp_path, task="localisation", layout=layout)
    assert (manifest.task, manifest.layout, manifest.classes) == ("localisation", layout, ("foreground",))
    assert manifest.paths.texts() == ["images/a.png", "images/c.png"]
    assert manifest.annotations.texts() == ["2 1 5 3"] * 2
    assert manifest.column("presence").shape == (2, 0)
    assert manifest.notes[-2:] == (
        "Boxes are drawn around the largest class of each mask; 'background' counts as background.",
        "1 mask of background only: left out.",
    )
    report = check_data(tmp_path, use_cache=False, task="localisation", layout=layout)
    assert not report.has_errors
    assert [finding.severity for finding in report.findings if finding.code == "no-object"] == ["info"]
    assert ("masks/b.png", "a mask of background only: there is nothing to draw a box around") in manifest.skipped
    assert index(tmp_path, layout=layout).task == "segmentation"


def test_boxes_around_masks_of_several_classes_and_of_stacks(tmp_path: Path) -> None:
    values = np.zeros((3, 6, 8), np.uint8)
    values[0, 1:3, 1:3], values[0, 4, 5:7] = 2, 1
    values[1, 0, :] = 3
    stack(tmp_path / "volume.tif", np.random.default_rng(0).integers(0, 255, (3, 6, 8), np.uint8))
    stack(tmp_path / "volume_labels.tif", values)
    (tmp_path / "classes.txt").write_text("nothing\nred\ngreen\nblue\n")
    manifest = index(tmp_path, task="localisation")
    assert (manifest.layout, manifest.classes) == ("stack", ("green", "blue"))
    assert [(row.frame, row.label, row.annotation) for row in manifest] == [(0, 0, "1 1 3 3"), (1, 1, "0 0 8 1")]
    assert "Nowhere the largest, and no class any more: red." in manifest.notes
    assert not {"empty-class", "unusable"} & codes(tmp_path, task="localisation").keys()
    named = index(tmp_path, task="localisation", classes=("nothing", "r", "g", "b"))
    assert (named.classes, named.column("label").tolist()) == (("r", "g", "b"), [1, 2])


def test_masks_without_any_object(tmp_path: Path) -> None:
    pairs(tmp_path)
    for name in "abc":
        values = np.zeros((6, 8), np.uint8)
        values[0, 0] = 255 * (name == "a")
        mask(tmp_path / "masks" / f"{name}.png", values)
    assert len(index(tmp_path, task="localisation")) == 1
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(tmp_path / "masks" / "a.png")
    with pytest.raises(DataError, match=r"none of its images can be used.*a mask of background only"):
        index(tmp_path, task="localisation", classes=("background", "cell"))


# --- the manifest ---------------------------------------------------------------------------------------------------


def test_annotations_are_kept_and_digested(tmp_path: Path) -> None:
    root = write_scattered(tmp_path / "data", train=12, test=4, num_classes=3)
    manifest = index(root)
    manifest.save(tmp_path / "m.safetensors")
    loaded = Manifest.load(tmp_path / "m.safetensors")
    assert [row.annotation for row in loaded] == [row.annotation for row in manifest]
    assert loaded.digest() == manifest.digest()
    lines = (root / "boxes.csv").read_text().splitlines()
    cells = lines[1].split(",")
    cells[2] = str(int(cells[2]) + 1)
    (root / "boxes.csv").write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]))
    assert index(root).digest() != manifest.digest()


def test_manifests_from_before_annotations_are_read(tmp_path: Path) -> None:
    manifest = index(class_folders(tmp_path / "data"))
    manifest.save(tmp_path / "m.safetensors")
    arrays, metadata = read_arrays(tmp_path / "m.safetensors")
    old = {name: array for name, array in arrays.items() if not name.startswith("annotation.")}
    write_arrays(tmp_path / "old.safetensors", old, dict.fromkeys(metadata, "1"))
    loaded = Manifest.load(tmp_path / "old.safetensors")
    assert loaded.annotations.texts() == [""] * 6
    assert loaded.digest() == manifest.digest()


# --- the check ------------------------------------------------------------------------------------------------------


def codes(root: Path, **options: Any) -> dict[str, str]:
    return {finding.code: finding.message for finding in check_data(root, use_cache=False, **options).findings}


def test_the_check_looks_at_boxes(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "t.csv").write_text(f"{BOXES}a.png,x,0,0,8,6\nb.png,y,0,0,8,6\nc.png,x,0.1,0.2,0.9,0.8\n")
    found = codes(tmp_path)
    assert found["small-box"] == "1 box of less than 2 px: that of c.png is 0.8 x 0.6 px."
    assert found["whole-box"] == "2 boxes of 3 around the whole picture: there is little to find."
    (tmp_path / "t.csv").write_text(f"{BOXES}a.png,x,0,0,8,6\nb.png,y,2,1,6,5\nc.png,x,1,1,6,5\n")
    assert not {"small-box", "whole-box"} & codes(tmp_path).keys()


def test_the_check_looks_at_sets(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png", "c.png")
    Image.open(tmp_path / "a.png").save(tmp_path / "d.png")
    (tmp_path / "t.csv").write_text("path,labels\na.png,x;y\nb.png,y\nc.png,\nd.png,x\n")
    found = codes(tmp_path)
    assert found["no-class"] == "1 picture of 4 without any class."
    assert found["label-conflict"] == "1 picture under two sets of labels: a.png = d.png."
    (tmp_path / "t.csv").write_text("path,labels\na.png,x;y\nb.png,y\nc.png,x\nd.png,x;y\n")
    assert not {"no-class", "label-conflict"} & codes(tmp_path).keys()
