"""CSV and TSV manifests, and class files beside masks."""

import csv
import io
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_sets import mask, pairs, picture

from pixelwise.data.layouts.class_names import find_class_names
from pixelwise.data.layouts.table import read_table
from pixelwise.data.layouts.tree import Tree, walk
from pixelwise.data.manifest import Manifest, build_manifest
from pixelwise.errors import DataError


def index(root: Path, **options: Any) -> Manifest:
    return build_manifest(root, use_cache=False, **options)


def images(root: Path, *names: str) -> Path:
    for place, name in enumerate(names):
        picture(root / name, seed=place)
    return root


def rows_of(manifest: Manifest) -> list[tuple[str, str, str, str]]:
    return [(s.path, manifest.classes[s.label], s.split, s.group) for s in manifest]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b"path,label,split,group\nx/a.png,cat,train,p1\nx/b.png,dog,test,\n"),
        ("t.csv", b"\xef\xbb\xbfpath;label;split;group\r\nx/a.png;cat;Train;p1\r\nx/b.png;dog;testing;\r\n"),
        ("t.tsv", b"label\tpath\tgroup\tsplit\ncat\tx/a.png\tp1\ttrain\ndog\tx/b.png\t\ttest\n"),
        ("t.csv", b'"Filename","Class","subset","group"\n"x/a.png","cat","train","p1"\n\n"x/b.png","dog","test",""\n'),
        ("t.csv", b"path,label,split,group\nx\\a.png,cat,train,p1\n./x/b.png,dog,test,\n"),
        ("t.csv", "path,label,split,group\nx/a.png,cat,train,p1\nx/b.png,dog,test,\n".encode("utf-16")),
        ("t.csv", b"path,label,split,group\na.png,cat,train,p1\nb,dog,test,\n"),
    ],
)
def test_tables_in_many_dialects(tmp_path: Path, name: str, content: bytes) -> None:
    images(tmp_path, "x/a.png", "x/b.png")
    (tmp_path / name).write_bytes(content)
    manifest = index(tmp_path)
    assert (manifest.layout, manifest.task) == ("table", "classification")
    assert rows_of(manifest) == [("x/a.png", "cat", "train", "p1"), ("x/b.png", "dog", "test", "")]


def test_an_absolute_path_inside_the_folder(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    (tmp_path / "t.csv").write_text(f"path,label\n{tmp_path / 'a.png'},x\nb.png,y\n")
    assert len(index(tmp_path)) == 2


@pytest.mark.parametrize(("encoding", "on_disk"), [("utf-8", "utf-8"), ("cp1252", "utf-8"), ("cp1252", "cp1252")])
def test_names_in_other_encodings(tmp_path: Path, encoding: str, on_disk: str) -> None:
    name = os.fsdecode("café.png".encode(on_disk))
    picture(tmp_path / "plain.png").rename(tmp_path / name)
    picture(tmp_path / "b.png", seed=1)
    (tmp_path / "t.csv").write_bytes("path,label\ncafé.png,süß\nb.png,sauer\n".encode(encoding))
    manifest = index(tmp_path)
    assert rows_of(manifest)[0][:2] == (name, "süß")
    assert manifest.notes == (f"t.csv: 2 rows, commas, {encoding}.",)


names_of = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="/\\"), min_size=1, max_size=9)


@given(cells=st.lists(st.tuples(names_of, names_of), min_size=1, max_size=6), delimiter=st.sampled_from(",;\t|"))
def test_any_text_survives_quoting(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str]], delimiter: str
) -> None:
    root = tmp_path_factory.mktemp("quoting")
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([("path", "label"), *cells])
    (root / "t.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
    table = read_table(Tree(root, ("t.csv",), (), (), ()), "t.csv")
    assert table is not None
    assert [row for _, row in table.rows] == [row for row in cells if any(map(str.strip, row))]  # blank rows are none


def test_labels_take_natural_order(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "t.csv").write_text("path,label\na.png,10\nb.png,9\nc.png,1\n")
    assert index(tmp_path).classes == ("1", "9", "10")


def test_one_table_for_each_split(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "train.csv").write_text("path,label\na.png,x\nb.png,y\n")
    (tmp_path / "valid.csv").write_text("path,label\nc.png,x\n")
    assert [row[2] for row in rows_of(index(tmp_path))] == ["train", "train", "val"]


def test_masks_in_a_table(tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / f"in/{name}.png", seed=ord(name))
        mask(tmp_path / f"out/{name}_seg.png")
    (tmp_path / "t.csv").write_text("image,mask,split\nin/a.png,out/a_seg.png,train\nin/b.png,out/b_seg.png,val\n")
    manifest = index(tmp_path)
    assert (manifest.task, manifest.layout) == ("segmentation", "table")
    assert [(s.path, s.mask, s.split) for s in manifest] == [
        ("in/a.png", "out/a_seg.png", "train"),
        ("in/b.png", "out/b_seg.png", "val"),
    ]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("gone.png,x", "t.csv line 4 (gone.png is not there)"),
        (",x", "t.csv line 4 (an empty path is not there)"),
        ("../x.png,x", "t.csv line 4 (../x.png lies outside the data folder)"),
        ("/etc/x.png,x", "t.csv line 4 (/etc/x.png lies outside the data folder)"),
        ("a.png,y", "t.csv line 4 (a.png stands already in t.csv line 2)"),
        ("c.png,", "t.csv line 4 (no label for c.png)"),
        ("c.png", "t.csv line 4 (1 cells, the header has 2)"),
        ("twin.png,x", "t.csv line 4 (2 files are named twin.png: write the path with its folder)"),
    ],
)
def test_faulty_rows(tmp_path: Path, row: str, fault: str) -> None:
    images(tmp_path, "a.png", "b.png", "c.png", "one/twin.png", "two/twin.png")
    (tmp_path / "t.csv").write_text(f"path,label\na.png,x\nb.png,y\n{row}\n")
    with pytest.raises(DataError, match=re.escape(f"{tmp_path}: 1 entry cannot be used: {fault}. Expected")):
        index(tmp_path, layout="table")
    manifest = index(tmp_path, layout="table", bad_images="skip")
    assert len(manifest) == 2
    assert len(manifest.skipped) == 1


def test_faulty_splits_and_masks(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    mask(tmp_path / "m.png")
    (tmp_path / "t.csv").write_text("path,mask,split\na.png,m.png,training\nb.png,n.png,\nb.png,m.png,maybe\n")
    manifest = index(tmp_path, bad_images="skip")
    assert manifest.skipped == (
        ("t.csv line 3", "n.png is not there"),
        ("t.csv line 4", "'maybe' is no split: use train, val or test"),
    )


def test_labels_outside_the_given_classes(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    (tmp_path / "t.csv").write_text("path,label\na.png,x\nb.png,z\n")
    with pytest.raises(DataError, match=r"b\.png \(the label 'z' is not among the classes\)"):
        index(tmp_path, classes=("x", "y"))
    assert index(tmp_path, classes=("x", "y"), bad_images="skip").column("label").tolist() == [0]


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        (
            {"t.csv": "path,width\na.png,3\n"},
            {},
            "ROOT: t.csv has the columns path, width. Expected the columns path and label, mask, labels or text. "
            "Rename the column of classes to 'label', or that of masks to 'mask'.",
        ),
        (
            {"t.csv": "path,label\na.png,x\n"},
            {"task": "segmentation", "layout": "table"},
            "ROOT: t.csv has the columns path, label. Expected a column 'mask' for segmentation. Add it, or "
            'choose task="classification" (--task), which the columns serve.',
        ),
        (
            {"t.csv": "path,label,mask\na.png,x,b.png\n"},
            {},
            "ROOT: t.csv has the columns of classification and of segmentation. Expected one aim. Choose with "
            'task="classification" or task="segmentation" (--task).',
        ),
        (
            {"t.csv": "path,label\na.png,x\n", "u.csv": "path,label\na.png,x\n"},
            {},
            "ROOT holds several tables: t.csv, u.csv. Expected one table, or one per split named train, val, test. "
            'Choose one: layout="table:t.csv".',
        ),
        (
            {"t.csv": "path,label\na.png,x\nb.png,x\n"},
            {},
            "ROOT holds images of one class only ('x'). Expected at least two classes in the column of labels. Add "
            "rows of other classes.",
        ),
        (
            {"t.csv": 'path,label\n"a.png"x,y\n'},
            {},
            "ROOT/t.csv cannot be read at line 2: ',' expected after '\"'. Expected comma-, semicolon- or tab-"
            "separated text. Save it again as CSV.",
        ),
        (
            {"t.csv": "path,label\na.png,x\n"},
            {"layout": "table:v.csv"},
            "ROOT has no table 'v.csv'. Expected a CSV or TSV file in it. Did you mean t.csv?",
        ),
        (
            {"t.csv": "name,label\na.png,x\n"},
            {"layout": "table:t.csv"},
            "ROOT/t.csv has the columns name, label. Expected the columns path and label, mask, labels or text. Rename "
            "the column of image files to 'path'.",
        ),
    ],
)
def test_tables_that_cannot_serve(tmp_path: Path, files: dict[str, str], options: dict[str, Any], message: str) -> None:
    images(tmp_path, "a.png", "b.png")
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=f"^{re.escape(message.replace('ROOT', str(tmp_path)))}$"):
        index(tmp_path, **options)


def test_one_of_several_tables(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    for name in ("t.csv", "u.csv"):
        (tmp_path / name).write_text(f"path,label\na.png,{name}1\nb.png,{name}2\n")
    assert index(tmp_path, layout="table:u.csv").classes == ("u.csv1", "u.csv2")


def test_an_empty_table_is_no_table(tmp_path: Path) -> None:
    images(tmp_path, "a/a.png", "b/b.png")
    (tmp_path / "t.csv").write_text("")
    (tmp_path / "u.csv").write_text("width,height\n1,2\n")
    assert index(tmp_path).layout == "class-folders"


# --- class files


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("classes.txt", "sky\nroad\ntree\n"),
        ("classes.txt", "1 road\n0 sky\n2 tree\n"),
        ("labels.txt", "0: sky\n1: road\n2: tree\n"),
        ("class_names.txt", "\ufeffsky\r\nroad\r\n\r\ntree\r\n"),
        ("classes.txt", "0 sky 1 2 3\n1 road 4 5 6\n2 tree 7 8 9\n"),
        ("classes.csv", "name,index\nroad,1\nsky,0\ntree,2\n"),
        ("class_dict.csv", "name,r,g,b\nsky,1,2,3\nroad,4,5,6\ntree,7,8,9\n"),
        ("classes.json", '["sky", "road", "tree"]'),
        ("dataset.json", '{"name": "x", "labels": {"sky": 0, "tree": 2, "road": 1}}'),
        ("dataset.json", '{"labels": {"0": "sky", "1": "road", "2": "tree"}}'),
    ],
)
def test_class_files(tmp_path: Path, name: str, content: str) -> None:
    pairs(tmp_path)
    mask(tmp_path / "masks" / "a.png", top=2)
    mask(tmp_path / "masks" / "b.png", top=1)
    mask(tmp_path / "masks" / "c.png", top=1)
    (tmp_path / name).write_text(content, encoding="utf-8")
    manifest = index(tmp_path)
    assert manifest.classes == ("sky", "road", "tree")
    assert manifest.mask_reading is not None
    assert manifest.mask_reading.kind == "index"  # colours of a class file are a legend where masks are not in colours
    assert manifest.notes[0] == f"Class names come from {name}."
    assert index(tmp_path, classes=("a", "b", "c")).classes == ("a", "b", "c")


@pytest.mark.parametrize("name", ["class_dict.csv", "classes.txt"])
def test_colours_of_a_class_file_read_rgb_masks(tmp_path: Path, name: str) -> None:
    pairs(tmp_path)
    colours = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.uint8)
    for place in range(3):
        mask(tmp_path / "masks" / f"{'abc'[place]}.png", colours[np.full((6, 8), place)])
    lines = ["sky,1,2,3", "road,4,5,6", "tree,7,8,9"]
    header = ["name,r,g,b"] if name.endswith("csv") else []
    (tmp_path / name).write_text("\n".join([*header, *lines]) + "\n")
    manifest = index(tmp_path)
    assert manifest.mask_reading is not None
    assert manifest.mask_reading.colours == ((1, 2, 3), (4, 5, 6), (7, 8, 9))
    assert manifest.images_per_class().tolist() == [1, 1, 1]


MEND = "Mend the class file, or give the class names with classes (--classes A,B,C)."


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("classes.txt", "a\nb\na\n", "names a class twice ('a'). Expected one line for each class."),
        ("classes.txt", "a\n", "names 1 classes. Expected 2 to 255 classes."),
        ("classes.txt", "1 a\n2 b\n", "numbers its classes 1, 2. Expected 0, 1, 2, ... without gaps."),
        ("classes.csv", "name,id\na,zero\n", "holds 'zero' where a whole number belongs."),
        ("classes.csv", "name,r,g,b\na,1,2,3\nb,1,2,999\n", "holds a colour beyond 255. Expected red, green and blue "
         "from 0 to 255."),
        ("classes.json", "{", "is not JSON (Expecting property name enclosed in double quotes: "
         "line 1 column 2 (char 1))."),
    ],
)  # fmt: skip
def test_class_files_that_cannot_serve(tmp_path: Path, name: str, content: str, message: str) -> None:
    pairs(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=f"^{re.escape(f'{tmp_path / name} {message} {MEND}')}$"):
        index(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [("labels.csv", "path,label\n"), ("classes.csv", ""), ("dataset.json", '{"labels": [1, 2]}'), ("classes.json", "3"),
     ("dataset.json", '{"labels": {"a": [1]}}')],
)  # fmt: skip
def test_other_files_of_such_names_are_no_class_files(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert find_class_names(walk(tmp_path)) is None
