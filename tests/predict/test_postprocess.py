"""Steps after the network: their text, their records, and what each does to a picture."""

import re

import numpy as np
import pytest
import scipy.ndimage

from pixelwise.errors import RunError, UsageError
from pixelwise.predict.postprocess import STEPS, Pipeline, default_pipeline
from pixelwise.predict.postprocess.pieces import divide
from pixelwise.predict.postprocess.smoothing import GuidedFilter
from pixelwise.predict.postprocess.steps import Threshold
from pixelwise.predict.postprocess.watershed import Watershed
from pixelwise.tasks import make_task


def two_classes(inside: np.ndarray) -> np.ndarray:
    """Probabilities (2, H, W) that are sure of a mask."""
    return np.stack([~inside, inside]).astype(np.float32)


def labels_of(inside: np.ndarray, steps: str) -> np.ndarray:
    pipeline = Pipeline.parse(steps)
    return divide(inside.astype(np.uint8), two_classes(inside), 2, pipeline).labels


def discs(*places: tuple[int, int, int], size: tuple[int, int] = (40, 60)) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]]
    return np.any([(y - top) ** 2 + (x - left) ** 2 <= radius**2 for top, left, radius in places], axis=0)


# --- text and records -----------------------------------------------------------------------------------------------


def test_text_and_record_are_ways_there_and_back():
    text = (
        "guided_filter(radius=2),threshold(value=0.4),fill_holes,watershed(min_distance=7),remove_small(area=3),"
        "grow(px=2),largest"
    )
    pipeline = Pipeline.parse(text)
    assert pipeline.to_text() == text
    assert Pipeline.parse(pipeline.to_text()) == Pipeline.from_json(pipeline.to_json()) == pipeline
    assert pipeline.to_json()[1] == {"step": "threshold", "value": 0.4}
    assert {step.name for step in pipeline.steps} == set(STEPS)
    assert Pipeline.parse(" watershed( seeds = interior , on=probability ) ").steps == (
        Watershed(seeds="interior", on="probability"),
    )
    assert Pipeline.parse("").steps == Pipeline.parse("none").steps == ()
    assert Pipeline().to_text() == "none"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "fill_hole",
            "'fill_hole' is not a step of post-processing. Expected guided_filter, threshold, fill_holes, watershed, "
            "remove_small, grow, largest. Did you mean fill_holes?",
        ),
        ("remove_small(size=3)", "remove_small has no parameter 'size'. Expected area."),
        ("remove_small(area=0)", "remove_small(area=0). Expected area: at least 1 pixel. Correct the number."),
        (
            "threshold(value=1)",
            "threshold(value=1.0). Expected value: more than 0 and less than 1. Correct the number.",
        ),
        ("remove_small(area=2.5)", "remove_small(area=2.5). Expected a whole number. Correct the value."),
        ("fill_holes(3)", "post 'fill_holes(3)': '3'. Expected NAME=VALUE, each name once."),
        ("fill_holes((", "post 'fill_holes((' cannot be read from 'fill_holes((' on."),
        (
            "largest,fill_holes",
            "fill_holes after largest. Expected what smooths, one threshold, what looks at one object, one grow, then "
            "largest. Change the order.",
        ),
        (
            "threshold,threshold",
            "threshold after threshold. Expected what smooths, one threshold, what looks at one object, one grow, then "
            "largest. Give one threshold.",
        ),
    ],
)
def test_faults_in_the_text_are_named(text, message):
    with pytest.raises(UsageError, match=re.escape(message.rstrip("."))):
        Pipeline.parse(text)


@pytest.mark.parametrize("record", [[{"step": "melt"}], [{}], [{"step": "fill_holes", "area": "many"}], [3]])
def test_a_damaged_record_is_refused(record):
    with pytest.raises(RunError, match="The model's post-processing cannot be used"):
        Pipeline.from_json(record)


@pytest.mark.parametrize(
    ("task", "steps", "message"),
    [
        (make_task("classification", ("a", "b")), "fill_holes", "post-processing with a classification model"),
        (
            make_task("segmentation", ("sky", "road", "tree")),
            "fill_holes",
            "fill_holes with the classes sky, road, tree. Expected a first class named background",
        ),
        (make_task("segmentation", ("background", "cell")), "watershed", "watershed with a segmentation model"),
        (
            make_task("instances", ("background", "cell"), separate="none"),
            "watershed(seeds=interior)",
            "watershed(seeds=interior) with a model that was trained with separate=none",
        ),
    ],
)
def test_steps_that_do_not_fit_a_task_are_refused(task, steps, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        Pipeline.parse(steps).check_task(task)


@pytest.mark.parametrize("separate", ["border", "weights", "none"])
def test_every_way_of_separation_has_steps_of_its_own(separate):
    task = make_task("instances", ("background", "cell"), separate=separate)
    pipeline = default_pipeline(task)
    pipeline.check_task(task)
    assert any(isinstance(step, Watershed) for step in pipeline.steps) is (separate != "weights")
    assert (pipeline.gap is not None) is (separate == "weights")  # which draws touching objects apart


# --- steps ----------------------------------------------------------------------------------------------------------


def test_the_threshold_decides_what_is_an_object_and_the_rest_which():
    values = np.array([[0.7, 0.55, 0.2], [0.1, 0.25, 0.3], [0.2, 0.2, 0.5]], np.float32)[:, None]
    assert Pipeline().classify(values).tolist() == [[0, 0, 2]]
    assert Pipeline((Threshold(value=0.4),)).classify(values).tolist() == [[0, 1, 2]]
    assert Pipeline((Threshold(value=0.25),)).classify(values).tolist() == [[2, 1, 2]]


def test_pieces_are_joined_by_sides_and_numbered_row_by_row():
    inside = np.array([[0, 1, 0, 1], [1, 0, 0, 1], [1, 1, 0, 0]], bool)
    assert labels_of(inside, "none").tolist() == [[0, 1, 0, 2], [3, 0, 0, 2], [3, 3, 0, 0]]


def test_gaps_are_closed_after_small_objects_are_gone():
    inside = np.zeros((5, 14), bool)
    inside[1:4, [0, 1, 4, 5, 8, 11, 12]] = True
    grown = labels_of(inside, "remove_small(area=4),grow")
    assert grown[2].tolist() == [1, 1, 1, 2, 2, 2, 0, 0, 0, 0, 0, 3, 3, 0]
    assert (grown[[0, 4]] == np.where(np.isin(np.arange(14), [2, 3]), grown[2], 0)).all()  # corners see both


def test_small_objects_go():
    inside = discs((10, 10, 5), (30, 40, 2))
    area = int(discs((30, 40, 2)).sum())
    assert labels_of(inside, f"remove_small(area={area})").max() == 2
    assert np.array_equal(labels_of(inside, f"remove_small(area={area + 1})") > 0, discs((10, 10, 5)))


@pytest.mark.parametrize("area", [0, 5])
def test_holes_are_filled_as_scipy_fills_them(area):
    rng = np.random.default_rng(area)
    for _ in range(20):
        inside = scipy.ndimage.gaussian_filter(rng.standard_normal((24, 30)), 1.2) > -0.05
        inside[0] = inside[-1] = False
        inside[:, 0] = inside[:, -1] = False
        holes, number = scipy.ndimage.label(~inside, np.ones((3, 3)))
        pieces, _ = scipy.ndimage.label(inside)
        expected = inside.copy()
        for hole in range(1, number + 1):
            one = holes == hole
            around = np.unique(pieces[scipy.ndimage.binary_dilation(one, np.ones((3, 3))) & ~one])
            if not one[0, 0] and len(around) == 1 and (not area or one.sum() <= area):
                expected |= one
        assert np.array_equal(labels_of(inside, f"fill_holes(area={area})") > 0, expected)


def test_a_hole_at_the_edge_of_the_picture_and_one_with_an_object_stay():
    inside = np.ones((20, 20), bool)
    inside[0:3, 5:8] = False
    inside[8:16, 8:16] = False
    inside[11:13, 11:13] = True
    assert np.array_equal(labels_of(inside, "fill_holes") > 0, inside)


def test_touching_discs_are_divided_where_they_meet():
    whole = discs((15, 14, 9), (18, 29, 9), (20, 50, 6))
    labels = labels_of(whole, "watershed(min_distance=5)")
    assert labels.max() == 3
    assert np.array_equal(labels > 0, whole)
    for place in ((15, 14), (18, 29), (20, 50)):
        number = labels[place]
        own = discs((*place, 7 if place[1] < 40 else 6))
        assert (labels[own] == number).mean() > 0.97
    assert labels_of(discs((20, 20, 9)), "watershed").max() == 1
    assert labels_of(discs((20, 20, 9), (20, 31, 9)), "watershed(min_distance=15)").max() == 1


def test_what_lies_at_the_edge_of_the_picture_is_not_taken_for_a_border():
    half = discs((0, 30, 12), size=(40, 60))
    assert labels_of(half, "watershed(min_distance=3)").max() == 1


def test_rims_keep_touching_squares_apart():
    values = np.zeros((3, 20, 30), np.float32)
    values[0] = 1
    values[:2, 4:16, 3:15] = np.array([0, 1.0])[:, None, None]
    values[:2, 4:16, 15:27] = np.array([0, 1.0])[:, None, None]
    inner = np.zeros((20, 30), bool)
    inner[6:14, 5:13] = inner[6:14, 17:25] = True
    values[2] = np.where((values[1] > 0) & ~inner, 0.9, 0.05)
    pipeline = Pipeline.parse("watershed(seeds=interior,on=probability)")
    labels = divide(pipeline.classify(values[:2]), values, 2, pipeline).labels
    assert np.array_equal(labels[4:16, 3:27], np.repeat([1, 2], 12)[None].repeat(12, 0))
    large = Pipeline.parse("watershed(seeds=interior,seed_area=65)")
    assert divide(large.classify(values[:2]), values, 2, large).labels.max() == 1  # no seed is large enough


def test_the_largest_objects_of_each_class_stay():
    class_map = np.zeros((40, 60), np.uint8)
    class_map[discs((10, 10, 6))] = 1
    class_map[discs((10, 40, 4))] = 1
    class_map[discs((30, 20, 3))] = 2
    values = np.stack([class_map == index for index in range(3)]).astype(np.float32)
    divided = divide(class_map, values, 3, Pipeline.parse("largest"))
    assert divided.classes.tolist() == [0, 1, 2]
    assert np.array_equal(divided.labels > 0, discs((10, 10, 6)) | discs((30, 20, 3)))
    assert divide(class_map, values, 3, Pipeline.parse("largest(count=2)")).labels.max() == 3


def test_the_guided_filter_follows_its_formula_and_the_edges_of_the_picture():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (14, 17), np.uint8)
    values = rng.random((2, 14, 17)).astype(np.float32)
    radius, epsilon = 2, 0.01
    found = GuidedFilter(radius=radius, epsilon=epsilon).apply(values, picture)
    guide, padded = picture / 255.0, 2 * radius

    def mean(plane: np.ndarray) -> np.ndarray:
        return scipy.ndimage.uniform_filter(plane, 2 * radius + 1, mode="mirror")

    for plane, result in zip(values.astype(float), found, strict=True):
        slope = (mean(guide * plane) - mean(guide) * mean(plane)) / (mean(guide**2) - mean(guide) ** 2 + epsilon)
        offset = mean(plane) - slope * mean(guide)
        expected = np.clip(mean(slope) * guide + mean(offset), 0, 1)
        np.testing.assert_allclose(result, expected, atol=1e-5)
    assert GuidedFilter(radius=radius).reach_px == padded
    edge = np.where(np.arange(40) < 20, 20, 220).astype(np.uint8)[None].repeat(40, 0)
    blurred = two_classes(scipy.ndimage.shift(edge > 100, (0, 2), order=0, mode="nearest"))
    sharp = GuidedFilter(radius=6).apply(blurred, edge[..., None])
    assert (sharp[1][:, 20:] > sharp[1][:, 19:20]).all()  # the step has moved to where the picture has its edge
    flat = GuidedFilter().apply(values, np.zeros((14, 17, 1), np.float32))
    assert np.isfinite(flat).all()
    with pytest.raises(UsageError, match="guided_filter needs the picture, which is not at hand"):
        Pipeline((GuidedFilter(),)).smoothed(values, None)
