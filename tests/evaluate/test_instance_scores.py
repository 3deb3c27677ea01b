"""Scores of instances: means over the pictures, scores from counts of them all, and pictures without objects."""

from types import SimpleNamespace

import numpy as np
import pytest

from pixelwise.data.masks import IGNORE
from pixelwise.evaluation.instances import score_instances
from pixelwise.evaluation.scores import SampleScore
from pixelwise.predict.instance_prediction import read_instances

CLASSES = ("background", "round", "square")


class FakeWork:
    """Class maps and objects, and what was predicted of either."""

    def __init__(self, pictures, classes=CLASSES):
        self.classes, self.order, self.seed = classes, np.arange(len(classes)), 0
        self.indices = np.arange(len(pictures))
        self.reader = SimpleNamespace(
            label_map=lambda index: pictures[index][0], objects=lambda index: pictures[index][1]
        )
        self._pictures = pictures

    def predictions(self):
        for index, (_, _, predicted, of_objects) in enumerate(self._pictures):
            values = np.zeros((len(self.classes), *predicted.shape), np.float32)
            yield index, read_instances(self.classes, predicted, of_objects, values)

    def sample(self, index, score, *, truth, prediction):
        return SampleScore(f"{index}.png", -1, score, truth, prediction)

    def should_stop(self):
        """Never."""


def brute_aji(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Algorithm 1 of Kumar et al. 2017, written out; NaN without objects."""
    used, shared, joint = set(), 0, 0
    for number in set(truth[truth > 0].tolist()):
        own = truth == number
        overlaps = {
            other: ((predicted == other) & own).sum() / ((predicted == other) | own).sum()
            for other in sorted(set(predicted[own].tolist()) - {0})
        }
        if not overlaps:
            joint += own.sum()
            continue
        best = max(overlaps, key=lambda other: overlaps[other])
        used.add(best)
        shared += ((predicted == best) & own).sum()
        joint += ((predicted == best) | own).sum()
    joint += sum((predicted == other).sum() for other in set(predicted[predicted > 0].tolist()) - used)
    return shared / joint if joint else np.nan


def blocks(seed: int) -> np.ndarray:
    return np.kron(np.random.default_rng(seed).integers(0, 5, (4, 5)), np.ones((4, 4), np.int32)).astype(np.int32)


def picture(truth, predicted, *, kind=1):
    """Of one class of objects, none ignored."""
    of_objects = np.full(int(predicted.max()) + 1, kind, np.uint8)
    return np.where(truth > 0, kind, 0).astype(np.uint8), truth, predicted, of_objects


def score(pictures, classes=CLASSES):
    return {one.name: one for one in score_instances(FakeWork(pictures, classes)).tally.scores}


def test_the_jaccard_index_is_the_mean_of_the_pictures_own():
    rolled = [np.roll(blocks(seed), seed, axis=1) for seed in range(4)]
    crowd, whole = np.arange(1, 101, dtype=np.int32).reshape(10, 10), np.ones((10, 10), np.int32)
    pairs = [*((blocks(seed), rolled[seed]) for seed in range(4)), (crowd, whole)]
    each = [brute_aji(*pair) for pair in pairs]
    assert each[0] == 1
    assert each[-1] == pytest.approx(0.01)  # 100 objects, each 1 of 100 pixels of the one that swallows them
    found = score([picture(*pair) for pair in pairs], ("background", "round"))["aggregated_jaccard"]
    assert found.value == pytest.approx(np.mean(each))
    assert min(each) <= found.low < found.value < found.high <= max(each)


def test_pictures_without_objects_have_no_index_and_invented_ones_count_as_zero():
    nothing = np.zeros((16, 20), np.int32)
    some = blocks(1)
    perfect = picture(some, some)
    empty, invented, missed = picture(nothing, nothing), picture(nothing, some), picture(some, nothing)
    for pictures, expected in (
        ([perfect, empty], 1), ([perfect, invented], 0.5), ([perfect, missed, empty], 0.5), ([perfect, perfect], 1),
    ):  # fmt: skip
        assert score(pictures)["aggregated_jaccard"].value == pytest.approx(expected)


def test_the_background_has_no_row_and_every_class_its_own_index():
    truth, predicted = blocks(1), np.roll(blocks(1), 2, axis=0)
    pictures = [picture(truth, predicted), picture(truth, truth, kind=2), picture(truth, predicted, kind=2)]
    classes = score_instances(FakeWork(pictures)).tally.classes
    assert [one.name for one in classes] == ["round", "square"]
    own = brute_aji(truth, predicted)
    assert [one.values["aggregated_jaccard"] for one in classes] == pytest.approx([own, (own + 1) / 2])
    count = len(np.unique(truth)) - 1
    assert [one.n for one in classes] == [count, 2 * count]


def test_ignored_pixels_are_in_no_object():
    class_map, truth, predicted, of_objects = picture(blocks(1), np.roll(blocks(1), 1, axis=0))
    class_map[:, :7] = IGNORE
    found = score([(class_map, truth, predicted, of_objects)])["aggregated_jaccard"]
    assert found.value == pytest.approx(brute_aji(truth[:, 7:], predicted[:, 7:]))
