"""Measuring mean, deviation and value range, against NumPy over all pixels at once."""

import numpy as np
import pytest

from pixelwise.data.measuring import MOST_IMAGES, measure_preprocess
from pixelwise.errors import DataError, ImageError, UsageError


class Pictures:
    """A source of pictures that counts what is asked for."""

    def __init__(self, images):
        self.images, self.asked = images, []

    def image(self, index):
        self.asked.append(index)
        return self.images[index]


def pictures(dtype, count=7, channels=3, top=None):
    rng = np.random.default_rng(0)
    top = top or (1.0 if dtype == "float32" else np.iinfo(dtype).max)
    shapes = [(int(rng.integers(5, 20)), int(rng.integers(5, 20)), channels) for _ in range(count)]
    return [(rng.random(shape) * top * (0.5 + c / 20)).astype(dtype) for c, shape in enumerate(shapes)]


def all_pixels(images):
    return np.concatenate([image.reshape(-1, image.shape[2]).astype(np.float64) for image in images])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_mean_and_std_are_those_of_all_pixels(dtype, channels):
    images = pictures(dtype, channels=channels)
    found = measure_preprocess(Pictures(images), np.arange(7), channels=channels)
    values = (all_pixels(images) - found.low) / (found.high - found.low)
    np.testing.assert_allclose(found.mean, values.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(found.std, values.std(axis=0), rtol=1e-9)


def test_only_the_given_indices_are_read():
    source = Pictures(pictures("uint8"))
    found = measure_preprocess(source, np.array([5, 1]), channels=3)
    assert source.asked == [5, 1]
    values = all_pixels([source.images[1], source.images[5]]) / 255
    np.testing.assert_allclose(found.mean, values.mean(axis=0))


def test_at_most_2000_evenly_spaced_pictures_are_read():
    source = Pictures([np.full((2, 2, 1), i % 251, np.uint8) for i in range(5001)])
    measure_preprocess(source, np.arange(5001), channels=1)
    assert len(source.asked) == MOST_IMAGES == 2000
    assert (source.asked[0], source.asked[-1]) == (0, 5000)
    assert set(np.diff(source.asked)) == {2, 3}


@pytest.mark.parametrize(
    ("dtype", "policy", "expected"),
    [
        ("uint8", "auto", (0, 255)), ("uint8", "dtype", (0, 255)), ("uint8", "measured", (0, 200)),
        ("uint16", "auto", (0, 4000)), ("uint16", "dtype", (0, 65_535)), ("uint16", "measured", (0, 4000)),
        ("float32", "auto", (-3, 7)), ("float32", "dtype", (0, 1)), ("float32", "measured", (-3, 7)),
        ("uint16", (10.0, 500.0), (10, 500)),
    ],
)  # fmt: skip
def test_value_range_policies(dtype, policy, expected):
    low, high = {"uint8": (20, 200), "uint16": (300, 4000), "float32": (-3, 7)}[dtype]
    image = np.linspace(low, high, 60).round().astype(dtype).reshape(6, 10, 1)
    found = measure_preprocess(Pictures([image]), [0], channels=1, value_range=policy)
    assert (found.low, found.high) == expected


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_percentiles_leave_hot_pixels_outside_but_do_not_clip_them(dtype):
    image = np.linspace(50, 150, 40_000).astype(dtype)
    image[:20], image[20:40] = 255, 0
    image = image.reshape(200, 200, 1)
    found = measure_preprocess(Pictures([image]), [0], channels=1, value_range="percentile")
    np.testing.assert_allclose((found.low, found.high), np.percentile(image, (0.5, 99.5)), atol=1.0)
    assert found.high < 160
    assert (image.max() - found.low) / (found.high - found.low) > 1


def test_statistics_are_those_after_resizing_and_without_padding():
    image = np.zeros((10, 20, 1), np.uint8)
    image[:, 10:] = 100
    padded = measure_preprocess(Pictures([image]), [0], channels=1, resize="pad", size=(40, 40))
    assert padded.mean[0] == pytest.approx(50 / 255)
    cropped = measure_preprocess(Pictures([image]), [0], channels=1, resize="crop", size=(10, 5), crop_fraction=1.0)
    assert cropped.resize == "crop"
    assert cropped.size == (10, 5)
    fine = np.indices((64, 64)).sum(axis=0).astype(np.uint8)[..., None] % 2 * 255
    small = measure_preprocess(Pictures([fine]), [0], channels=1, resize="stretch", size=(8, 8))
    assert small.std[0] == 1.0  # averaged away: a channel that never varies


def test_grey_and_colour_pictures_are_brought_to_the_same_channels():
    images = [np.full((4, 4, 1), 10, np.uint8), np.full((4, 4, 3), 30, np.uint8)]
    found = measure_preprocess(Pictures(images), [0, 1], channels=1)
    assert found.mean[0] == pytest.approx(20 / 255)


@pytest.mark.parametrize(
    ("images", "kind", "message"),
    [
        ([], DataError, "The training split is empty. Expected at least one picture. Change the split."),
        ([np.zeros((3, 3, 1), np.uint16)], DataError, "Every pixel of the 1 measured training pictures has the value "
         "0. Expected pictures that show something. Check the pictures; `pixelwise check DATA` names "
         "those of one single value."),
        ([np.ones((3, 3, 1), np.uint8), np.ones((3, 3, 1), np.uint16)], DataError, "The picture with index 1 has "
         "values of type uint16, others uint8. Expected one type in the whole data set. "
         "Convert the pictures to one type."),
        ([np.full((3, 3, 1), np.nan, np.float32)], ImageError, "The picture with index 0 holds NaN or infinity. "
         "Expected finite values. Correct or remove it."),
        ([np.ones((3, 3, 4), np.uint8)], ImageError, "The picture with index 0 has 4 channels. Expected 1 channel. "
         "Convert the picture, or train with the channels that it has."),
    ],
)  # fmt: skip
def test_faults(images, kind, message):
    with pytest.raises(kind) as caught:
        measure_preprocess(Pictures(images), range(len(images)), channels=1)
    assert str(caught.value) == message


def test_unknown_policy():
    with pytest.raises(UsageError) as caught:
        measure_preprocess(Pictures([np.ones((3, 3, 1), np.uint8)]), [0], channels=1, value_range="max")
    assert str(caught.value) == (
        "Unknown value range 'max'. Expected auto, dtype, measured, percentile or two numbers. Choose one of them."
    )
