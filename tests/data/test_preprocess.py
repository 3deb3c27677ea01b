"""Preprocessing: normalising against the naive formula, sizes there and back, JSON, impossible values."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.data.preprocess import Preprocess
from pixelwise.errors import DataError, ImageError


def preprocess(channels=3, **changes):
    fields = {
        "channels": channels, "low": 0.0, "high": 255.0,
        "mean": tuple(0.4 + 0.01 * c for c in range(channels)), "std": tuple(0.2 + 0.03 * c for c in range(channels)),
    }  # fmt: skip
    return Preprocess(**{**fields, **changes})


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 5, 7), (3, 3, 224, 224), (4, 7, 33, 20), (2, 1, 28, 28)])
def test_normalise_is_the_naive_formula(dtype, shape):
    rng = np.random.default_rng(0)
    count, channels, height, width = shape
    low, high = {"uint8": (0.0, 255.0), "uint16": (0.0, 4095.0), "float32": (-1000.0, 3000.0)}[dtype]
    raw = (low + (high - low) * 1.2 * rng.random((count, height, width, channels))).clip(low, None)
    raw = raw.clip(0, 255 if dtype == "uint8" else 65_535).astype(dtype) if dtype != "float32" else raw.astype(dtype)
    frame = preprocess(channels, low=low, high=high)
    batch = torch.from_numpy(raw).permute(0, 3, 1, 2)
    found = frame.normalise(batch)
    expected = ((raw.astype(np.float64) - low) / (high - low) - np.array(frame.mean)) / np.array(frame.std)
    np.testing.assert_allclose(found.permute(0, 2, 3, 1).numpy(), expected, atol=2e-6)
    assert found.dtype == torch.float32
    assert found.shape == shape
    assert found.is_contiguous(memory_format=torch.channels_last)
    planar = frame.normalise(batch.contiguous())
    torch.testing.assert_close(planar, found, rtol=0, atol=0)


def test_normalise_stays_on_the_device_of_the_batch():
    found = preprocess().normalise(torch.empty(2, 3, 5, 7, dtype=torch.uint8, device="meta"))
    assert (found.device.type, found.dtype, found.shape) == ("meta", torch.float32, (2, 3, 5, 7))


def test_normalise_does_not_clip_values_beyond_the_range():
    frame = preprocess(1, low=0.0, high=1000.0, mean=(0.0,), std=(1.0,))
    raw = torch.tensor([0, 500, 1000, 4000, 65_535], dtype=torch.uint16).view(1, 1, 1, 5)
    np.testing.assert_allclose(frame.normalise(raw).flatten(), [0, 0.5, 1, 4, 65.535], rtol=1e-6)


@pytest.mark.parametrize("height", [1, 37])
@pytest.mark.parametrize("size", [(12, 9), (64, 64), (5, 40)])
@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_pictures_and_label_maps_get_the_size_and_stay_aligned(resize, size, height):
    rng = np.random.default_rng(1)
    labels = np.kron(rng.integers(0, 2, (height, 9)), np.ones((4, 6))).astype(np.uint8)
    image = (labels * 255)[..., None]
    frame = preprocess(1, resize=resize, size=size, mean=(0.5,), std=(1.0,))
    small, small_labels = frame.spatial(image), frame.spatial_label_map(labels)
    assert small.shape == (*size, 1) == (*frame.output_size(height, 9), 1)
    assert small_labels.shape == size
    pure = (small[..., 0] == 0) | (small[..., 0] == 255)
    np.testing.assert_array_equal(small_labels[pure], small[..., 0][pure] // 255)
    padding = small_labels == 255
    assert padding.any() == (resize == "pad" and small_labels.shape != frame.resized(image).shape[:2])
    assert (small[padding] == 128).all()  # the mean colour, rounded


def test_crop_keeps_the_centre_and_the_stated_fraction():
    image = np.arange(100, dtype=np.float32)[None, :, None].repeat(50, axis=0)
    whole = preprocess(1, resize="crop", size=(50, 50)).spatial(image)
    np.testing.assert_array_equal(whole[0, :, 0], np.arange(25, 75))
    part = preprocess(1, resize="crop", size=(25, 25), crop_fraction=0.5).spatial(image)
    np.testing.assert_array_equal(part[0, :, 0], np.arange(37, 62))


def test_imagenets_protocol_is_resize_to_256_and_crop_224():
    frame = preprocess(3, resize="crop", size=(224, 224), crop_fraction=0.875)
    assert frame.placement(375, 500) == ((256, 341), (16, 58))
    assert frame.spatial(np.zeros((375, 500, 3), np.uint8)).shape == (224, 224, 3)


def test_letterbox_shows_the_whole_picture_in_the_middle():
    frame = preprocess(3, resize="pad", size=(40, 40), mean=(0.0, 0.5, 1.0))
    padded = frame.spatial(np.full((10, 20, 3), 77, np.uint8))
    assert (padded[10:30] == 77).all()
    assert (padded[:10] == [0, 128, 255]).all()
    assert (padded[30:] == [0, 128, 255]).all()
    assert frame.raw_mean == (0.0, 127.5, 255.0)


def test_nothing_is_copied_where_there_is_nothing_to_do():
    image, labels = np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), np.uint8)
    frame = preprocess()
    assert frame.spatial(image) is image
    assert frame.spatial_label_map(labels) is labels
    assert frame.restore_size(labels, 4, 5) is labels


@settings(max_examples=60, deadline=None)
@given(
    resize=st.sampled_from(["stretch", "pad"]),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    size=st.tuples(*[st.integers(60, 90)] * 2),
)
def test_label_maps_come_back_unchanged_from_a_larger_size(resize, height, width, size):
    labels = np.random.default_rng(0).integers(0, 200, (height, width)).astype(np.uint8)
    frame = preprocess(1, resize=resize, size=size)
    np.testing.assert_array_equal(frame.restore_size(frame.spatial_label_map(labels), height, width), labels)


@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_scores_come_back_to_where_the_picture_shows_them(resize):
    y, x = np.mgrid[0:30, 0:50].astype(np.float32)
    frame = preprocess(2, resize=resize, size=(64, 80))
    scores = np.moveaxis(frame.spatial(np.stack([y, x], axis=-1)), -1, 0)
    restored = frame.restore_size(scores[None], 30, 50)
    assert restored.shape == (1, 2, 30, 50)
    np.testing.assert_allclose(restored[0, 0, 2:-2, 2:-2], y[2:-2, 2:-2], atol=0.15)
    np.testing.assert_allclose(restored[0, 1, 2:-2, 2:-2], x[2:-2, 2:-2], atol=0.15)


def test_what_a_crop_cut_off_has_no_prediction():
    frame = preprocess(1, resize="crop", size=(10, 10))
    labels = frame.restore_size(np.ones((10, 10), np.uint8), 20, 40)
    assert (labels[:, 10:30] == 1).all()
    assert (labels[:, :10] == 255).all()
    assert (labels[:, 30:] == 255).all()
    scores = frame.restore_size(np.ones((3, 10, 10), np.float32), 20, 40)
    assert (scores[:, :, 12:28] == 1).all()
    assert (scores[:, :, :9] == 0).all()


def test_predictions_of_another_size_are_refused():
    with pytest.raises(DataError) as caught:
        preprocess(1, resize="stretch", size=(10, 10)).restore_size(np.zeros((3, 8, 9)), 20, 40)
    assert str(caught.value) == "Predictions of 8 x 9 pixels. Expected 10 x 10. Predict at the network's own size."


def test_another_number_of_channels_is_refused():
    with pytest.raises(ImageError) as caught:
        preprocess(3).spatial(np.zeros((4, 5, 1), np.uint8))
    assert str(caught.value) == (
        "A picture of shape (4, 5, 1). Expected (height, width, 3). Convert it with pixelwise.data.images.to_channels."
    )


@pytest.mark.parametrize(
    "changes", [{}, {"resize": "crop", "size": (224, 160), "crop_fraction": 0.875}, {"low": -3.5, "high": 1e-7}]
)
def test_json_round_trip(changes):
    frame = preprocess(3, **changes)
    assert Preprocess.from_json(json.loads(json.dumps(frame.to_json()))) == frame


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 0}, "channels=0. Expected at least 1"),
        ({"low": 3.0, "high": 3.0}, "low, high=(3.0, 3.0). Expected two numbers, the smaller first"),
        ({"high": float("inf")}, "low, high=(0.0, inf). Expected two numbers, the smaller first"),
        ({"mean": (0.5,)}, "mean=(0.5,). Expected 3 numbers, one for each channel"),
        ({"mean": (0.5, 0.5, float("nan"))}, "mean=(0.5, 0.5, nan). Expected 3 numbers, one for each channel"),
        ({"std": (0.1, 0.0, 0.1)}, "std=(0.1, 0.0, 0.1). Expected positive numbers"),
        ({"resize": "squash"}, "resize=squash. Expected none, stretch, crop, pad"),
        ({"size": (3, 3)}, "size=(3, 3). Expected None, because resize is none"),
        ({"resize": "pad"}, "size=None. Expected height and width, each at least 1"),
        ({"resize": "pad", "size": (0, 3)}, "size=(0, 3). Expected height and width, each at least 1"),
        ({"crop_fraction": 0.0}, "crop_fraction=0.0. Expected more than 0 and at most 1"),
    ],
)
def test_impossible_values_are_refused(changes, message):
    with pytest.raises(DataError) as caught:
        preprocess(**changes)
    assert str(caught.value) == f"Preprocessing: {message}. Correct the value."


FIELDS = (
    "channels, clip, crop_fraction, high, low, mean, metadata, resize, size, spacing, statistics, std, training_spacing"
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, f"Preprocessing with the fields NoneType. Expected {FIELDS}"),
        ({"channels": 1}, f"Preprocessing with the fields channels. Expected {FIELDS}"),
        ({**preprocess(1).to_json(), "mean": 3}, "Preprocessing that cannot be read ('int' object is not iterable)"
         ". Expected numbers, and lists of numbers"),
        ({**preprocess(1).to_json(), "std": [0.0]}, "Preprocessing: std=(0.0,). Expected positive numbers"),
    ],
)  # fmt: skip
def test_damaged_json_is_refused(content, message):
    with pytest.raises(DataError) as caught:
        Preprocess.from_json(content)
    assert str(caught.value).startswith(message)
