"""COCO's average precision against its definition, written out box by box and recall by recall."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.errors import DataError
from pixelwise.metrics import BoxSet, average_precision_of_matches, box_average_precision, match_boxes, pairwise_iou


def overlap(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - shared)


def brute(truth, predicted, index, threshold, most=100):
    """Average precision by the words of the definition; no crowds, no range of areas, distinct scores."""
    ranked, objects = [], 0
    for own, other in zip(truth, predicted, strict=True):
        boxes = [box for box, kind in zip(own.corners, own.classes, strict=True) if kind == index]
        objects += len(boxes)
        shown = [
            (s, box) for s, box, kind in zip(other.scores, other.corners, other.classes, strict=True) if kind == index
        ]
        for score, box in sorted(shown, key=lambda pair: -pair[0])[:most]:
            best = max(boxes, key=lambda candidate: overlap(box, candidate), default=None)
            hit = best is not None and overlap(box, best) >= threshold
            if hit:
                boxes = [candidate for candidate in boxes if candidate is not best]
            ranked.append((score, hit))
    if not objects:
        return math.nan
    hits = [hit for _, hit in sorted(ranked, key=lambda pair: -pair[0])]
    points = [(sum(hits[:n]) / objects, sum(hits[:n]) / n) for n in range(1, len(hits) + 1)]
    recalls = np.linspace(0, 1, 101)  # as in COCO's code, where 7 of 10 do not reach 0.7
    return sum(max((p for r, p in points if r >= recall), default=0) for recall in recalls) / 101


def random_sets(rng, images=4, classes=2):
    truth, predicted = [], []
    for _ in range(images):
        n, m = rng.integers(0, 5), rng.integers(0, 8)
        low, size = rng.uniform(0, 50, (n, 2)), rng.uniform(5, 60, (n, 2))
        kinds = rng.integers(0, classes, n)
        truth.append(BoxSet(corners=np.concatenate([low, low + size], 1), classes=kinds))
        near = rng.integers(0, n, m) if n else np.zeros(0, int)
        moved = truth[-1].corners[near] + rng.normal(0, 6, (len(near), 4))
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        predicted.append(BoxSet(corners=moved, classes=kinds[near], scores=rng.random(len(near))))
    return truth, predicted


@given(seed=st.integers(0, 10**6), most=st.sampled_from([1, 3, 100]))
@settings(max_examples=60, deadline=None)
def test_equals_the_definition(seed, most) -> None:
    truth, predicted = random_sets(np.random.default_rng(seed))
    got = box_average_precision(truth, predicted, 3, thresholds=(0.3, 0.5, 0.75), max_detections=most)
    expected = [[brute(truth, predicted, k, t, most) for t in (0.3, 0.5, 0.75)] for k in range(3)]
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_every_threshold_of_coco_by_default() -> None:
    box = np.array([[0.0, 0, 10, 10]])
    # shares 80 of 100 pixels: right up to a threshold of 0.8, which is its 7th
    detection = BoxSet(corners=np.array([[0.0, 0, 10, 8]]), classes=np.zeros(1), scores=np.ones(1))
    got = box_average_precision([BoxSet(corners=box, classes=np.zeros(1))], [detection], 1)
    np.testing.assert_allclose(got, [[1, 1, 1, 1, 1, 1, 1, 0, 0, 0]])


def test_crowds_and_sizes_neither_help_nor_harm() -> None:
    truth = BoxSet(
        corners=np.array([[0.0, 0, 10, 10], [20, 0, 60, 40], [0, 60, 90, 99]]),
        classes=np.zeros(3),
        crowd=np.array([False, False, True]),
    )
    detections = BoxSet(
        corners=np.array([[20.0, 0, 60, 40], [2, 62, 12, 72], [30, 62, 40, 72], [0, 0, 10, 10], [70, 0, 72, 2]]),
        classes=np.zeros(5),
        scores=np.array([0.9, 0.8, 0.7, 0.6, 0.95]),
    )
    # ranked: a mistake, the large box, two within the crowd (left out), the small box
    assert box_average_precision([truth], [detections], 1)[0, 0] == pytest.approx(2 / 3)
    matches = match_boxes([truth], [detections], 0, thresholds=(0.5,))
    np.testing.assert_array_equal(matches.found, [[False, True, True, True, True]])
    np.testing.assert_array_equal(matches.counted, [[True, True, False, False, True]])
    # small objects alone: the mistake of 4 square pixels counts, the large box is left out
    assert box_average_precision([truth], [detections], 1, area_px=(0, 32**2))[0, 0] == pytest.approx(1 / 2)
    # large ones alone: the mistake is not in the range, so the only counted detection is right
    assert box_average_precision([truth], [detections], 1, area_px=(32**2, math.inf))[0, 0] == 1


def test_classes_and_images_without_boxes() -> None:
    nothing = BoxSet(corners=np.zeros((0, 4)), classes=np.zeros(0), scores=np.zeros(0))
    box = BoxSet(corners=np.array([[0.0, 0, 5, 5]]), classes=np.zeros(1), scores=np.ones(1))
    assert box_average_precision([box], [nothing], 1)[0, 0] == 0
    assert math.isnan(box_average_precision([nothing], [box], 1)[0, 0])
    assert np.isnan(box_average_precision([], [], 2)).all()
    # a false box in an image without any object lowers the class's precision
    later = BoxSet(corners=box.corners, classes=box.classes, scores=np.full(1, 2.0))
    assert box_average_precision([box, nothing], [box, later], 1)[0, 0] == pytest.approx(1 / 2)


def test_resampled_images_equal_repeated_ones() -> None:
    truth, predicted = random_sets(np.random.default_rng(5), images=3, classes=1)
    matches = match_boxes(truth, predicted, 0)
    got = average_precision_of_matches(matches, np.array([[1, 1, 1], [2, 0, 1], [0, 0, 0]]))
    np.testing.assert_allclose(got[:1], box_average_precision(truth, predicted, 1))
    chosen = [0, 0, 2]
    repeated = box_average_precision([truth[i] for i in chosen], [predicted[i] for i in chosen], 1)
    np.testing.assert_allclose(got[1:2], repeated, atol=0.02)  # equal scores of the repeated image enter together
    assert np.isnan(got[2]).all()


def test_every_pair_of_boxes() -> None:
    boxes = np.array([[0.0, 0, 4, 4], [2, 2, 2, 6]])
    others = np.array([[0.0, 0, 4, 4], [2, 0, 6, 4], [9, 9, 9, 9]])
    np.testing.assert_allclose(pairwise_iou(boxes, others), [[1, 8 / 24, 0], [0, 0, 0]])  # without area: 0
    crowd = np.array([False, True, False])
    np.testing.assert_allclose(pairwise_iou(boxes, others, crowd)[0], [1, 8 / 16, 0])


def test_lists_of_different_lengths() -> None:
    with pytest.raises(DataError) as caught:
        match_boxes([], [BoxSet(corners=np.zeros((0, 4)), classes=np.zeros(0), scores=np.zeros(0))], 0)
    assert str(caught.value) == (
        "1 images have predicted boxes. Expected 0, as many as have true ones. "
        "Give an entry, empty or not, for every image."
    )
