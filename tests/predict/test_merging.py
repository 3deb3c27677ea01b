"""Objects of a picture in strips are those of the whole picture, to the pixel."""

import itertools

import numpy as np
import pytest
import scipy.ndimage

from pixelwise.errors import UsageError
from pixelwise.predict.merging import Merger, merge
from pixelwise.predict.object_table import measure
from pixelwise.predict.postprocess import Pipeline
from pixelwise.predict.postprocess.pieces import divide

STEPS = {
    "pieces": "none",
    "thickest": "threshold(value=0.45),fill_holes,watershed(min_distance=3),remove_small(area=6)",
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


def same_objects(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two label images differ in their numbers alone."""
    pairs = np.unique(np.stack([first.ravel(), second.ravel()]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1] and np.array_equal(
        first == 0, second == 0
    )


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("heights", [[1], [7], [3, 11], [64]], ids=str)
@pytest.mark.parametrize("classes", [2, 3])
def test_strips_of_any_height_give_the_objects_of_the_whole(steps, heights, classes):
    size = (45, 37)
    for seed in range(2):
        values, pipeline = answers(seed, size, classes), Pipeline.parse(steps)
        whole = divide(pipeline.classify(values[:classes]), values, classes, pipeline)
        expected = measure(whole.labels, whole.classes, values)
        cuts = np.cumsum([0, *(heights * 45)])
        strips = (values[:, a:b] for a, b in itertools.pairwise(cuts) if a < size[0])
        bands = list(merge(strips, size, classes, pipeline))
        labels = np.concatenate([band.labels for band in bands])
        assert labels.shape == size
        assert [band.top for band in bands] == np.cumsum([0, *(len(band.labels) for band in bands[:-1])]).tolist()
        assert same_objects(labels, whole.labels)
        assert labels.max() == len(expected) > 2
        place = np.zeros(len(expected) + 1, int)
        place[labels.ravel()] = whole.labels.ravel()
        for band in bands:  # every object once, measured as in the whole
            for row, number in enumerate(band.objects.numbers):
                other = int(np.flatnonzero(expected.numbers == place[number])[0])
                assert band.objects.classes[row] == expected.classes[other]
                assert band.objects.areas_px[row] == expected.areas_px[other]
                assert np.array_equal(band.objects.boxes_px[row], expected.boxes_px[other])
                np.testing.assert_allclose(band.objects.centroids_px[row], expected.centroids_px[other])
                np.testing.assert_allclose(band.objects.axes_px[row], expected.axes_px[other], rtol=1e-6)
                np.testing.assert_allclose(band.objects.probabilities[row], expected.probabilities[other])
        assert sorted(int(number) for band in bands for number in band.objects.numbers) == list(
            range(1, len(expected) + 1)
        )


def test_a_ring_around_everything_is_one_object_with_those_inside_apart():
    values = np.zeros((2, 40, 40), np.float32)
    values[1, 2:38, 2:38] = 1
    values[1, 5:35, 5:35] = 0
    values[1, 18:22, 18:22] = 1
    values[0] = 1 - values[1]
    merger = Merger((40, 40), 2, Pipeline.parse("fill_holes"))
    bands = [merger.add(values[:, top : top + 4]) for top in range(0, 40, 4)]
    assert [len(band.labels) for band in bands] == [2, 0, 0, 0, 0, 0, 0, 0, 0, 38]
    labels = np.concatenate([band.labels for band in bands])
    assert set(np.unique(labels[18:22, 18:22])) == {1}  # completed first
    assert set(np.unique(labels[2:5, 2:38])) == {2}
    assert (labels[5:18, 5:35] == 0).all()  # not free of another object: not filled
    assert merger.waiting_rows == 0


def test_memory_follows_the_tallest_piece_not_the_picture():
    values = np.zeros((2, 10, 30), np.float32)
    values[0] = 1
    values[:, 3:6, 4:9] = np.array([0.0, 1.0])[:, None, None]
    merger = Merger((1000, 30), 2, Pipeline())
    for _ in range(20):
        merger.add(values)
        assert merger.waiting_rows == 0
    tall = np.zeros((2, 10, 30), np.float32)
    tall[1] = 1
    for count in range(1, 4):
        merger.add(tall)
        assert merger.waiting_rows == 10 * count


@pytest.mark.parametrize("step", ["largest", "guided_filter"])
def test_steps_for_whole_pictures_are_refused(step):
    with pytest.raises(UsageError) as refusal:
        Merger((8, 8), 2, Pipeline.parse(step))
    assert str(refusal.value) == (
        f"{step} on a picture that is predicted in parts. Expected steps that look at one object at a time. "
        f"Leave {step} out with --post, or predict pictures that fit into memory."
    )
