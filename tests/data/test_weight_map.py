"""The weight map against equation 2, written out with one distance transform of the whole picture for each object."""

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.data import samples
from pixelwise.data.weight_map import NEGLIGIBLE, close_contacts, connected_objects, separate_touching, weight_map
from pixelwise.errors import DataError, UsageError


def ridges(instances, w0, sigma, spacing=None):
    objects = [number for number in np.unique(instances) if number]
    if len(objects) < 2:
        return np.zeros(instances.shape)
    transform = scipy.ndimage.distance_transform_edt
    distances = np.sort([transform(instances != number, sampling=spacing) for number in objects], axis=0)
    return w0 * np.exp(-((distances[0] + distances[1]) ** 2) / (2 * sigma**2)) * (instances == 0)


def random_objects(seed, shape, count, biggest):
    rng = np.random.default_rng(seed)
    instances = np.zeros(shape, np.int32)
    for _ in range(count):
        start = [rng.integers(0, side) for side in shape]
        box = tuple(slice(at, at + rng.integers(1, biggest + 1)) for at in start)
        instances[box] = rng.integers(1, 2 * count)  # numbers have gaps, and objects may lie in several parts
    return instances


@given(
    seed=st.integers(0, 10**6),
    shape=st.one_of(st.tuples(*[st.integers(1, 40)] * 2), st.tuples(*[st.integers(1, 12)] * 3)),
    count=st.integers(0, 12),
    sigma=st.floats(0.5, 8),
    spaced=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_equals_the_definition(seed, shape, count, sigma, spaced) -> None:
    instances = random_objects(seed, shape, count, 9)
    spacing = (0.7, 1.3, 2.0)[: len(shape)] if spaced else None
    got = weight_map(instances, class_weights=(1, 1), w0=7.0, sigma=sigma, spacing=spacing)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got - 1.0, ridges(instances, 7.0, sigma, spacing), atol=2 * NEGLIGIBLE * 7, rtol=0)


def test_large_picture_with_far_and_near_objects() -> None:
    instances = random_objects(1, (200, 300), 30, 25)
    got = weight_map(instances, class_weights=(0, 0))
    np.testing.assert_allclose(got, ridges(instances, 10.0, 5.0), atol=1e-4, rtol=0)
    assert got.max() > 5


@pytest.mark.parametrize("large", [10**6, 2**40])
def test_numbers_of_objects_may_be_large(large) -> None:
    instances = random_objects(2, (30, 40), 6, 9).astype(np.int64)
    renamed = np.where(instances > 0, instances + large, 0)
    np.testing.assert_array_equal(weight_map(renamed), weight_map(instances))
    np.testing.assert_array_equal(weight_map(renamed[:1, :1] + large), [[1.0]])  # no background at all


def test_two_objects_one_pixel_apart() -> None:
    row = np.array([[1, 1, 0, 2, 2]])
    expected = 1 + 10 * np.exp(-((1 + 1) ** 2) / 50)
    np.testing.assert_allclose(weight_map(row, class_weights=(1, 3)), [[3, 3, expected, 3, 3]], rtol=1e-6)


@pytest.mark.parametrize("instances", [np.zeros((5, 6), int), np.ones((5, 6), int), np.zeros((0, 4), int)])
def test_one_class_or_nothing_weighs_one(instances) -> None:
    np.testing.assert_array_equal(weight_map(instances), np.ones(instances.shape))


def test_one_object_has_no_ridge_and_classes_balance() -> None:
    instances = np.zeros((10, 10), np.uint8)
    instances[0, :5] = 9
    got = weight_map(instances)
    np.testing.assert_allclose(got[instances > 0].sum(), got[instances == 0].sum(), rtol=1e-6)
    np.testing.assert_allclose(got.mean(), 1, rtol=1e-6)
    np.testing.assert_allclose(got[0, 0], 100 / (2 * 5))


def test_ignored_pixels_weigh_nothing_and_do_not_balance() -> None:
    instances = np.zeros((4, 10), int)
    instances[:, 0], instances[:, 3] = 1, 2
    label_map = (instances > 0).astype(np.uint8) * 2
    label_map[:, 2] = label_map[:, 5:] = 255
    got = weight_map(instances, label_map=label_map)
    assert (got[:, 2] == 0).all()
    assert (got[:, 5:] == 0).all()
    np.testing.assert_allclose(got[:, 0], 1.0)  # 8 of 16 labelled pixels are of class 2: 16 / (2 * 8)
    np.testing.assert_allclose(got[:, 1], 1 + 10 * np.exp(-((1 + 2) ** 2) / 50), rtol=1e-6)
    given = weight_map(instances, label_map=label_map, class_weights=(0.5, 7, 2), w0=0)
    np.testing.assert_array_equal(given[0], [2, 0.5, 0, 2, 0.5, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(weight_map(instances, label_map=np.full((4, 10), 255, np.uint8)), np.zeros((4, 10)))


def test_connected_objects_of_every_class() -> None:
    label_map = np.array([[1, 1, 2, 0], [0, 0, 2, 255], [1, 0, 0, 2]], np.uint8)
    np.testing.assert_array_equal(connected_objects(label_map), [[1, 1, 3, 0], [0, 0, 3, 0], [2, 0, 0, 4]])
    cube = np.zeros((2, 2, 2), np.uint8)
    cube[0, 0, 0] = cube[1, 1, 1] = 1
    assert connected_objects(cube).max() == 2


@pytest.mark.parametrize("shape", [(14, 17), (5, 6, 7)])
@pytest.mark.parametrize("kind", [np.uint8, np.int32])
def test_touching_objects_are_separated(shape, kind) -> None:
    instances = random_objects(4, shape, 12, 6).astype(kind)
    got = separate_touching(instances)
    assert got.dtype == kind
    for place in np.ndindex(*shape):
        around = instances[tuple(slice(max(0, at - 1), at + 2) for at in place)]
        touches = bool(set(around.ravel()) - {0, instances[place]})
        assert got[place] == (0 if touches else instances[place])
    assert (got != instances).any()
    np.testing.assert_array_equal(separate_touching(got), got)
    np.testing.assert_array_equal(separate_touching(np.ones(shape, kind)), np.ones(shape))


@pytest.mark.parametrize("reach", [1, 2])
def test_gaps_go_to_the_nearest_of_two_objects(reach) -> None:
    rng = np.random.default_rng(reach)
    objects = separate_touching(np.kron(rng.integers(0, 40, (6, 7)), np.ones((4, 3), int)).astype(np.int32))
    is_open = rng.random(objects.shape) < 0.9
    got = close_contacts(objects, reach_px=reach, is_open=is_open)
    places = [tuple(place) for place in np.argwhere(objects)]
    changed = 0
    for place in np.ndindex(*objects.shape):
        apart = {other: np.subtract(other, place) for other in places}
        seen = {objects[other] for other, step in apart.items() if np.abs(step).max() <= 2 * reach}
        near = [other for other, step in apart.items() if np.abs(step).max() <= reach]
        if objects[place] or not is_open[place] or len(seen) < 2 or not near:
            assert got[place] == objects[place]
        else:
            assert got[place] == objects[min(near, key=lambda other: (np.hypot(*apart[other]), tuple(apart[other])))]
            changed += 1
    assert changed > 20


def test_closing_undoes_the_separation_of_real_nuclei() -> None:
    _, labels = samples.nuclei()
    truth = labels.astype(np.int32)
    apart = separate_touching(truth)
    lost, left = (apart != truth).sum(), (close_contacts(apart) != truth).sum()
    assert left < lost  # some are drawn with a narrow gap between them


def test_the_border_between_touching_objects_weighs_most() -> None:
    touching = np.repeat([[1, 1, 1, 2, 2, 2]], 4, axis=0)
    assert weight_map(touching, class_weights=(1, 1)).max() == 1  # no background, no ridge
    got = weight_map(separate_touching(touching), class_weights=(1, 1))
    np.testing.assert_allclose(got[0], [1, 1, *[1 + 10 * np.exp(-(3**2) / 50)] * 2, 1, 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (
            {"instances": np.zeros((2, 2))},
            DataError,
            "instances has shape (2, 2) and type float64. Expected (H, W) or (D, H, W) integers. "
            "Give each object a whole number, and the background 0.",
        ),
        (
            {"instances": np.array([[-1, 2]])},
            DataError,
            "instances holds -1. Expected 0 or more. Use 0 for the background.",
        ),
        (
            {"instances": np.zeros((2, 2), int), "label_map": np.zeros((2, 3), np.uint8)},
            DataError,
            "label_map has shape (2, 3) and type uint8. Expected (2, 2) uint8, as the instances. "
            "Give both of the same picture.",
        ),
        (
            {"instances": np.zeros((2, 2), int), "sigma": 0},
            UsageError,
            "w0=10, sigma=0. Expected w0 of at least 0 and sigma above 0. Correct it.",
        ),
        (
            {"instances": np.zeros((2, 2), int), "spacing": (1.0,)},
            UsageError,
            "spacing=(1.0,). Expected 2 distances above 0. Give one for each axis.",
        ),
        (
            {"instances": np.eye(2, dtype=int), "class_weights": (1.0,)},
            UsageError,
            "class_weights has 1 weights, but the label map holds class 1. Expected one weight for each class. "
            "Give as many weights as there are classes.",
        ),
        (
            {"instances": np.eye(2, dtype=int), "class_weights": (1.0, -1.0)},
            UsageError,
            "class_weights=(1.0, -1.0). Expected numbers of at least 0. Correct them.",
        ),
    ],
)
def test_bad_arguments(arguments, kind, message) -> None:
    with pytest.raises(kind) as caught:
        weight_map(**arguments)
    assert str(caught.value) == message
