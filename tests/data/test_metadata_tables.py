"""Tables that say something of pictures: a picture may have several rows, which say the same of it."""

import json

import cv2
import numpy as np
import pytest

from pixelwise.data.metadata import MetadataColumn, find_cells, read_cells
from pixelwise.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((8, 8), np.uint8))
    return tmp_path


def test_rows_that_contradict_each_other_are_refused(folder):
    table = folder / "about.csv"
    table.write_text("path,stain,age\na.png,HE,4\nb.png,PAS,5\na.png,PAS,4\n")
    with pytest.raises(DataError) as caught:
        find_cells(folder, ["age", "stain"], ["a.png", "b.png"])
    assert str(caught.value) == (
        f"{folder}: stain of a.png is HE in one row, PAS in another. Expected rows that say the same of a picture. "
        "Correct the table."
    )
    assert find_cells(folder, ["age"], ["a.png", "b.png"]) == [json.dumps(["4"]), json.dumps(["5"])]
    told = read_cells(table)
    assert (told["a.png"]["age"], told["b.png"]["stain"]) == ("4", "PAS")
    with pytest.raises(DataError, match=r"a\.png: stain is 'HE in one row, PAS in another'"):
        MetadataColumn(name="stain", values=("HE", "PAS")).encode(told["a.png"]["stain"], "a.png")


def test_two_tables_may_not_contradict_each_other_either(folder):
    (folder / "one.csv").write_text("path,age\na.png,4\nb.png,5\n")
    (folder / "two.csv").write_text("path,age\na.png, 4 \nb.png,5\n")
    assert find_cells(folder, ["age"], ["b.png"]) == [json.dumps(["5"])]
    (folder / "two.csv").write_text("path,age\na.png,4\nb.png,6\n")
    with pytest.raises(DataError, match=r"age of b\.png is 5 in one row, 6 in another"):
        find_cells(folder, ["age"], ["b.png"])


def test_a_folder_without_tables_is_told_what_to_add(folder):
    with pytest.raises(DataError, match=r"Expected a CSV or TSV file in it, .* Add metadata\.csv\.$"):
        find_cells(folder, ["age"], ["a.png"])
