"""Objects of a picture in strips are those of the whole picture, to the pixel."""

import itertools

import numpy as np
import pytest
import scipy.ndimage

from pixelwise.errors import ImageError, UsageError
from pixelwise.predict.bands import Strip
from pixelwise.predict.linking import can_link
from pixelwise.predict.merging import Merger, merge
from pixelwise.predict.object_table import measure
from pixelwise.predict.postprocess import Pipeline
from pixelwise.predict.postprocess.pieces import divide

ROOM = 10**9
STEPS = {
    "pieces": "none",
    "thickest": "threshold(value=0.45),fill_holes,watershed(min_distance=3),remove_small(area=6)",
    "grown": "threshold(value=0.45),remove_small(area=6),grow(px=2)",
    "divided and grown": "watershed(min_distance=3),grow",
    "filled": "threshold(value=0.45),fill_holes,remove_small(area=9)",
    "filled in turns": "remove_small(area=4),fill_holes(area=3),remove_small(area=12),fill_holes",
    "interior": "fill_holes(area=20),watershed(seeds=interior,on=probability,seed_area=2)",
}


def answers(seed: int, size: tuple[int, int], classes: int, *, smoothness: float = 2.0) -> np.ndarray:
    """Random but smooth probabilities of classes, and a rim that the objects' classes share: (C, H, W)."""
    rng = np.random.default_rng(seed)
    fields = [scipy.ndimage.gaussian_filter(rng.standard_normal(size), smoothness) * 8 for _ in range(classes + 1)]
    fields[0] += 1.5  # objects are apart
    shares = np.exp(np.stack(fields))
    shares /= shares.sum(0)
    rim = shares[-1]
    own = shares[:-1].copy()
    own[1:] += rim * own[1:] / own[1:].sum(0)
    own[0] = 1 - own[1:].sum(0)
    return np.concatenate([own, rim[None]]).astype(np.float32)


def strips_of(values: np.ndarray, classes: int, pipeline: Pipeline, heights: list[int]):
    """Cut a picture into strips of these heights in turn."""
    cuts = np.cumsum([0, *(heights * values.shape[1])])
    class_map = pipeline.classify(values[:classes])

    def strips():
        for first, last in itertools.pairwise(cuts):
            if first < values.shape[1]:
                yield Strip(class_map[first:last], values[:, first:last])

    return strips


def strip_of(values: np.ndarray) -> Strip:
    return Strip(values.argmax(0).astype(np.uint8), values)


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("heights", [[1], [7], [3, 11], [64]], ids=str)
@pytest.mark.parametrize("classes", [2, 3])
def test_strips_of_any_height_give_the_objects_of_the_whole(steps, heights, classes):
    size = (45, 37)
    for seed in range(2):
        values, pipeline = answers(seed, size, classes), Pipeline.parse(steps)
        whole = divide(pipeline.classify(values[:classes]), values, classes, pipeline)
        expected = measure(whole.labels, whole.classes, values)
        bands = list(merge(strips_of(values, classes, pipeline, heights), size, classes, pipeline, room_bytes=ROOM))
        labels = np.concatenate([band.labels for band in bands])
        assert labels.shape == size
        assert [band.top for band in bands] == np.cumsum([0, *(len(band.labels) for band in bands[:-1])]).tolist()
        assert np.array_equal(labels, whole.labels)  # with the same numbers
        assert labels.max() == len(expected) > 2
        for band in bands:  # every object once, measured as in the whole
            for row, number in enumerate(band.objects.numbers):
                other = int(np.flatnonzero(expected.numbers == number)[0])
                assert band.objects.classes[row] == expected.classes[other]
                assert band.objects.areas_px[row] == expected.areas_px[other]
                assert np.array_equal(band.objects.boxes_px[row], expected.boxes_px[other])
                np.testing.assert_allclose(band.objects.centroids_px[row], expected.centroids_px[other])
                np.testing.assert_allclose(band.objects.axes_px[row], expected.axes_px[other], rtol=1e-6)
                np.testing.assert_allclose(band.objects.probabilities[row], expected.probabilities[other])
        numbers = np.concatenate([band.objects.numbers for band in bands])
        ends = np.lexsort([expected.numbers, expected.boxes_px[:, 3]])
        assert np.array_equal(numbers, expected.numbers[ends])  # by their lower edges


def ring() -> np.ndarray:
    """A ring near the picture's edge, with a block inside it."""
    values = np.zeros((2, 40, 40), np.float32)
    values[1, 2:38, 2:38] = 1
    values[1, 5:35, 5:35] = 0
    values[1, 18:22, 18:22] = 1
    values[0] = 1 - values[1]
    return values


def test_a_ring_around_everything_is_one_object_with_those_inside_apart():
    values, pipeline = ring(), Pipeline.parse("fill_holes")
    merger = Merger((40, 40), 2, pipeline, room_bytes=ROOM)
    rows = [merger.add(strip_of(values[:, top : top + 4])) for top in range(0, 40, 4)]
    assert [len(part.labels) for part in rows] == [2, 0, 0, 0, 0, 0, 0, 0, 0, 38]
    labels = np.concatenate([part.labels for part in rows])
    assert merger.waiting_rows == 0
    linked = list(merge(strips_of(values, 2, pipeline, [4]), (40, 40), 2, pipeline, room_bytes=ROOM))
    assert [len(band.labels) for band in linked] == [4] * 10
    assert [len(band.objects) for band in linked] == [0, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    for found in (labels, np.concatenate([band.labels for band in linked])):
        assert set(np.unique(found[18:22, 18:22])) == {2}
        assert set(np.unique(found[2:5, 2:38])) == {1}
        assert (found[5:18, 5:35] == 0).all()  # not free of another object: not filled


def test_memory_follows_the_tallest_piece_that_is_seen_whole_not_the_picture():
    values = np.zeros((2, 10, 30), np.float32)
    values[0] = 1
    values[:, 3:6, 4:9] = np.array([0.0, 1.0])[:, None, None]
    merger = Merger((1000, 30), 2, Pipeline(), room_bytes=ROOM)
    for _ in range(20):
        merger.add(strip_of(values))
        assert merger.waiting_rows == 0
    tall = np.zeros((2, 10, 30), np.float32)
    tall[1] = 1
    for count in range(1, 4):
        merger.add(strip_of(tall))
        assert merger.waiting_rows == 10 * count


def test_a_piece_too_tall_to_be_seen_whole_is_refused_and_linked_where_it_need_not_be():
    tall = np.zeros((2, 400, 30), np.float32)
    tall[0], tall[:, :, 4:9] = 1, np.array([0.0, 1.0])[:, None, None]
    divided, plain = Pipeline.parse("watershed,remove_small"), Pipeline.parse("fill_holes,remove_small,grow")
    assert (can_link(divided), can_link(plain)) == (False, True)
    with pytest.raises(ImageError) as refusal:
        list(merge(strips_of(tall, 2, divided, [20]), (400, 30), 2, divided, room_bytes=100_000))
    assert str(refusal.value) == (
        "a piece of touching objects goes on from row 0 beyond row 59, in columns 4 to 8, and watershed must see it "
        "whole. Expected pieces of at most 65 rows within the memory that is allowed. Allow more (--memory): with 2 MB "
        "more, pieces may be as large as the picture. Or leave watershed out (--post "
        "threshold,fill_holes,remove_small(area=10)): then they may have any size. The tiles are kept in both cases."
    )
    bands = list(merge(strips_of(tall, 2, plain, [20]), (400, 30), 2, plain, room_bytes=100_000))
    assert [len(band.objects) for band in bands] == [0] * 19 + [1]
    assert bands[-1].objects.areas_px.tolist() == [2000]


def test_more_pieces_than_there_is_memory_for_are_refused():
    noise = np.indices((40, 60)).sum(0) % 2
    values = np.stack([1 - noise, noise]).astype(np.float32)
    with pytest.raises(
        ImageError, match=r"the upper 20 of 40 rows fall into 600 pieces and holes\. Expected at most 520"
    ):
        list(merge(strips_of(values, 2, Pipeline(), [10]), (40, 60), 2, Pipeline(), room_bytes=100_000))


@pytest.mark.parametrize("step", ["largest", "guided_filter"])
def test_steps_for_whole_pictures_are_refused(step):
    with pytest.raises(UsageError) as refusal:
        merge(lambda: iter(()), (8, 8), 2, Pipeline.parse(step), room_bytes=ROOM)
    assert str(refusal.value) == (
        f"{step} on a picture that is predicted in parts. Expected steps that look at one object at a time. "
        f"Leave {step} out with --post, or predict pictures that fit into memory."
    )
