"""Outlines of large pictures, found strip by strip: those of the whole picture."""

import json

import numpy as np
import pytest
import scipy.ndimage
import tifffile

from large_pictures import PICTURE, predict
from pixelwise.errors import ImageError
from pixelwise.predict.bands import Rows, Strip, bands_of
from pixelwise.predict.coco import open_coco
from pixelwise.predict.geojson import open_geojson
from pixelwise.predict.large import LargeOptions, predict_large
from pixelwise.predict.large.shapes import Outliner
from pixelwise.predict.member import Member
from pixelwise.predict.merging import merge
from pixelwise.predict.outlines import filled
from pixelwise.predict.postprocess import Pipeline
from pixelwise.predict.predictor import Predictor
from pixelwise.predict.protocols import CENTRE
from small_models import segmenter

pytestmark = pytest.mark.usefixtures("quick_and_fine")
BOTH = LargeOptions(tile=64, outlines=("geojson", "coco"))


def written(prediction, folder, kind):
    """What is written of a prediction in memory: features, and COCO's JSON."""
    folder.mkdir()
    with open_geojson(folder / "a.geojson", prediction.classes, kind) as add:
        add(prediction.shapes)
    with open_coco(folder / "a.json", prediction.classes, prediction.outlined_classes(prediction.classes)) as coco:
        coco.add_picture("a.tif", prediction.size_px)
        coco.add(prediction.shapes)
    return read(folder / "a.geojson", folder / "a.json")


def read(geojson, coco):
    features, content = json.loads(geojson.read_text())["features"], json.loads(coco.read_text())
    return features, content


def without_numbers(features, content):
    """Both as multisets, in which the order and the numbers do not count."""
    for feature in features:
        del feature["properties"]["name"]
    annotations = [{key: value for key, value in one.items() if key != "id"} for one in content["annotations"]]
    return [sorted(json.dumps(one, sort_keys=True) for one in ones) for ones in (features, annotations)]


def test_objects_have_the_outlines_and_numbers_of_the_whole_picture(counter, tmp_path):
    pixels = scipy.ndimage.gaussian_filter(np.random.default_rng(1).standard_normal((143, 118)), 3) * 600 + 120
    tifffile.imwrite(tmp_path / "a.tif", np.clip(pixels, 0, 255).astype(np.uint8))
    predictor = Predictor(counter)
    whole = predictor.predict(tmp_path / "a.tif")
    assert len(whole.objects) > 8
    summary = predict_large(
        Member(counter, "cpu", 1, CENTRE), tmp_path / "a.tif", tmp_path / "out", BOTH, pipeline=predictor.pipeline
    )
    np.testing.assert_array_equal(tifffile.imread(summary.places.labels), whole.labels)
    features, content = read(summary.places.geojson, summary.places.coco)
    expected, others = written(whole, tmp_path / "whole", "detection")
    numbers = [feature["properties"]["name"] for feature in features]
    assert sorted(numbers, key=int) == [feature["properties"]["name"] for feature in expected]
    by_name = {feature["properties"]["name"]: feature for feature in expected}
    assert features == [by_name[number] for number in numbers]
    assert content["categories"] == others["categories"]
    assert content["images"] == [{**others["images"][0], "file_name": str(tmp_path / "a.tif")}]
    assert [one["id"] for one in content["annotations"]] == list(range(1, len(numbers) + 1))
    assert without_numbers(features, content) == without_numbers(expected, others)


@pytest.mark.parametrize(
    ("classes", "steps"),
    [(("stripe", "cell", "border"), "none"), (("background", "cell", "border"), "threshold(value=0.6),fill_holes")],
    ids=["all classes", "of objects"],
)
def test_pieces_of_classes_have_the_outlines_of_the_whole_picture(picture, tmp_path, classes, steps):
    model, pipeline = segmenter(classes=classes), Pipeline.parse(steps)
    whole = Predictor(model, post=pipeline).predict(PICTURE)
    summary = predict(Member(model, "cpu", 1, CENTRE), picture, tmp_path / "out", BOTH, pipeline=pipeline)
    found = read(summary.places.geojson, summary.places.coco)
    assert len(found[0]) > 5
    assert without_numbers(*found) == without_numbers(*written(whole, tmp_path / "whole", "annotation"))
    assert json.loads(summary.places.summary.read_text())["files"]["coco"] == "coco/big.json"


def test_an_object_that_does_not_fit_is_refused_and_one_that_fits_is_traced():
    tall = np.zeros((300, 40), np.uint8)
    tall[:, 5:9] = 1
    tall[150, 5:30] = 1

    def bands():
        return merge(
            lambda: (Strip(tall[top : top + 20]) for top in range(0, 300, 20)), (300, 40), 2, Pipeline(),
            room_bytes=10**6,
        )  # fmt: skip

    outliner = Outliner(10**6, is_scored=False)
    (shape,) = [shape for band in bands() for shape in outliner.add(band)]
    assert (filled(shape) == tall[:, 5:30]).all()
    assert shape.probability is None
    small = Outliner(100_000, is_scored=False)
    with pytest.raises(ImageError) as refusal:
        [shape for band in bands() for shape in small.add(band)]
    assert str(refusal.value) == (
        "object 1 is too large to be outlined within the memory that is allowed. Expected objects whose boxes and "
        "outlines take at most 0 MB. Allow more memory (--memory), or leave geojson and coco out (--write): the tiles "
        "are kept."
    )


def test_an_old_object_beside_one_of_a_far_higher_number_costs_no_more(monkeypatch):
    labels = np.zeros((6, 8), np.int32)
    labels[:, 1:3], labels[2:5, 4:7] = 1, 3_000_000
    found, lengths = scipy.ndimage.find_objects, []

    def counted(*arguments):
        lengths.append(len(boxes := found(*arguments)))
        return boxes

    monkeypatch.setattr(scipy.ndimage, "find_objects", counted)
    rows = Rows(labels, None, np.zeros(3_000_001, np.uint8))
    outliner = Outliner(10**6, is_scored=False)
    shapes = [shape for band in bands_of(iter([rows]), 6, None) for shape in outliner.add(band)]
    assert [(shape.number, shape.area_px, shape.box) for shape in shapes] == [
        (3_000_000, 9, (4, 2, 7, 5)),
        (1, 12, (1, 0, 3, 6)),
    ]
    assert max(lengths) == 2
