"""Outlines, COCO's run lengths and GeoJSON against the pixels that they stand for."""

import itertools
import json

import numpy as np
import pytest
import scipy.ndimage

from pixelwise.predict.coco import annotation, open_coco, run_lengths
from pixelwise.predict.geojson import open_geojson
from pixelwise.predict.instance_prediction import read_instances
from pixelwise.predict.outlines import class_shapes, filled, outline
from pixelwise.predict.prediction import MaskPrediction


def random_masks(count: int = 30) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [scipy.ndimage.gaussian_filter(rng.standard_normal((17, 23)), 1) > 0.05 for _ in range(count)]


def test_filling_the_outlines_gives_the_pixels_back():
    for inside in random_masks():
        shapes = list(class_shapes(inside.astype(np.uint8), [1]))
        drawn = np.zeros_like(inside)
        _, number = scipy.ndimage.label(inside)
        assert len(shapes) == number
        for shape in shapes:
            x_min, y_min, x_max, y_max = map(int, shape.box)
            own = filled(shape)
            assert own.sum() == shape.area_px
            drawn[y_min:y_max, x_min:x_max] |= own
            signed = [
                sum(x * b - a * y for (x, y), (a, b) in zip(ring, [*ring[1:], ring[0]], strict=True)) / 2
                for ring in shape.rings
            ]
            assert signed[0] > 0  # outer, clockwise as seen
            assert all(area < 0 for area in signed[1:])
            assert sum(signed) == shape.area_px
            for ring in shape.rings:  # corners only, and no two the same in a row
                steps = np.sign(np.diff(np.array([*ring, ring[0], ring[1]]), axis=0)).tolist()
                assert all(a != b for a, b in itertools.pairwise(steps))
        assert np.array_equal(drawn, inside)


def test_pixels_that_touch_at_corners_have_rings_of_their_own():
    assert outline(np.eye(2, dtype=bool), (3, 5)) == [
        [(5, 3), (6, 3), (6, 4), (5, 4)],
        [(6, 4), (7, 4), (7, 5), (6, 5)],
    ]


def test_run_lengths_stand_for_the_mask_column_by_column():
    for inside in random_masks():
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        top, left = int(rows[0]), int(columns[0])
        crop = inside[top : rows[-1] + 1, left : columns[-1] + 1]
        counts = run_lengths(crop, (top, left), *inside.shape)
        decoded = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
        decoded = np.concatenate([decoded, np.zeros(inside.size - len(decoded), bool)])
        assert np.array_equal(decoded.reshape(inside.shape[::-1]).T, inside)


@pytest.fixture
def prediction():
    labels = np.zeros((20, 30), np.int32)
    labels[2:8, 3:9] = 1
    labels[4:6, 5:7] = 0  # a hole
    labels[10:14, 20:30] = 2
    values = np.full((3, 20, 30), 0.25, np.float32)
    values[2, 10:14, 20:30] = 0.75
    return read_instances(("background", "cell", "nucleus"), labels, np.array([0, 1, 2], np.uint8), values)


def test_coco_has_what_its_readers_ask_for(prediction, tmp_path):
    with open_coco(tmp_path / "coco.json", prediction.classes, prediction.outlined_classes(prediction.classes)) as coco:
        coco.add_picture("a.png", prediction.size_px)
        coco.add(prediction.shapes)
        coco.add_picture("empty.png", (5, 6))
        coco.add_picture("b.png", prediction.size_px)
        coco.add(prediction.shapes[:1])
        coco.add(prediction.shapes[1:])
    content = json.loads((tmp_path / "coco.json").read_text())
    assert content["categories"] == [{"id": 1, "name": "cell"}, {"id": 2, "name": "nucleus"}]
    assert content["images"][1] == {"id": 2, "file_name": "empty.png", "height": 5, "width": 6}
    first, second, *others = content["annotations"]
    assert [one["image_id"] for one in (first, second, *others)] == [1, 1, 3, 3]
    assert (first["id"], first["category_id"], first["area"], first["bbox"]) == (1, 1, 32, [3, 2, 6, 6])
    assert first["segmentation"]["size"] == [20, 30]
    assert sum(first["segmentation"]["counts"][1::2]) == 32
    assert second == {
        "id": 2, "image_id": 1, "category_id": 2, "segmentation": [[20, 10, 30, 10, 30, 14, 20, 14]], "area": 40,
        "bbox": [20, 10, 10, 4], "iscrowd": 0, "score": 0.75,
    }  # fmt: skip
    assert annotation(prediction.shapes[1], 20, 30)["area"] == 40


def test_geojson_closes_its_rings_and_names_class_and_colour(prediction, tmp_path):
    with open_geojson(tmp_path / "a.geojson", prediction.classes, "detection") as add:
        add(prediction.shapes[:1])
        add(prediction.shapes[1:])
    content = json.loads((tmp_path / "a.geojson").read_text())
    assert content["type"] == "FeatureCollection"
    ring, hole = content["features"][0]["geometry"]["coordinates"]
    assert ring[0] == ring[-1] == [3, 2]
    assert len(hole) == 5
    properties = content["features"][1]["properties"]
    assert properties["objectType"] == "detection"
    assert properties["classification"] == {"name": "nucleus", "color": [86, 180, 233]}
    assert properties["measurements"] == {"area_px": 40, "probability": 0.75}


def test_label_maps_have_shapes_of_every_class_but_the_background():
    label_map = np.zeros((6, 8), np.uint8)
    label_map[1:3, 1:3] = 1
    label_map[4, 5:8] = 2
    shapes = MaskPrediction(("background", "a", "b"), label_map).shapes
    assert [(one.index, one.area_px, one.box) for one in shapes] == [(1, 4, (1, 1, 3, 3)), (2, 3, (5, 4, 8, 5))]
    assert MaskPrediction(("a", "b", "c"), label_map).shapes[0].index == 0  # no background: everything is a thing


def test_objects_are_measured_as_their_definitions_say(prediction):
    first, second = prediction.objects.rows(prediction.classes)
    assert (second["area_px"], second["centroid_x_px"], second["centroid_y_px"]) == (40, 25.0, 12.0)
    assert (second["major_axis_px"], second["minor_axis_px"]) == (11.55, 4.62)  # sqrt(16 / 12) times the sides
    assert second["eccentricity"] == round(np.sqrt(1 - 0.4**2), 4)
    assert (first["class"], first["probability"]) == ("cell", 0.25)
    assert str(prediction) == "20 x 30 px: cell 1 (mean area 32 px), nucleus 1 (mean area 40 px)"
    assert prediction.cells() == [20, 30, 1, 1, "32", "40"]
