"""Predicted classes and confusion counts against loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.errors import DataError
from pixelwise.metrics import confusion, confusion_matrix, confusion_matrix_tensor, predicted_classes


def count_by_loop(truth, prediction, num_classes, ignore):
    counts = np.zeros((num_classes, num_classes), int)
    for t, p in zip(truth.ravel(), prediction.ravel(), strict=True):
        if t != ignore:
            counts[t, p] += 1
    return counts


@given(
    seed=st.integers(0, 10_000),
    num_classes=st.integers(2, 255),
    kind=st.sampled_from([np.uint8, np.int64]),
    ignore=st.sampled_from([255, None]),
    shape=st.sampled_from([(0,), (1,), (7, 5), (2, 9, 4)]),
)
@settings(max_examples=80, deadline=None)
def test_counts_equal_a_loop(seed, num_classes, kind, ignore, shape):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, num_classes, shape).astype(kind)
    prediction = rng.integers(0, num_classes, shape).astype(kind)
    if ignore is not None:
        truth[rng.random(shape) < 0.3] = ignore
    counted = confusion_matrix(truth, prediction, num_classes, ignore=ignore)
    assert counted.dtype == np.int64
    np.testing.assert_array_equal(counted, count_by_loop(truth, prediction, num_classes, ignore))
    if ignore is not None:
        tensors = torch.from_numpy(truth), torch.from_numpy(prediction)
        on_device = confusion_matrix_tensor(*tensors, num_classes, ignore=ignore)
        np.testing.assert_array_equal(on_device.numpy(), counted)
        elsewhere = confusion._count_on_device(*tensors, num_classes, ignore)  # what an accelerator runs
        np.testing.assert_array_equal(elsewhere.numpy(), counted)


def test_more_than_a_thousand_classes_are_counted():
    truth, prediction = np.array([0, 1199, 1199]), np.array([0, 1199, 3])
    counted = confusion_matrix(truth, prediction, 1200, ignore=None)
    assert counted[0, 0] == counted[1199, 1199] == counted[1199, 3] == 1
    assert counted.sum() == 3


def test_large_pictures_are_counted_exactly(monkeypatch):
    monkeypatch.setattr(confusion, "_EXACT_COUNTS", 1000)
    truth = np.random.default_rng(0).integers(0, 3, (83, 77)).astype(np.uint8)
    counted = confusion_matrix(truth, truth[::-1].copy(), 3, ignore=255)
    np.testing.assert_array_equal(counted, count_by_loop(truth, truth[::-1], 3, 255))


def test_one_class_on_more_pixels_than_float32_can_count():
    pixels = 2**24 + 3
    counted = confusion_matrix(np.ones(pixels, np.uint8), np.ones(pixels, np.uint8), 2, ignore=255)
    assert counted.tolist() == [[0, 0], [0, pixels]]


def test_views_that_are_not_contiguous_are_counted():
    truth = np.random.default_rng(0).integers(0, 4, (20, 30)).astype(np.uint8)
    counted = confusion_matrix(truth[::2, ::3], truth.T[::3, ::2].T, 4, ignore=255)
    np.testing.assert_array_equal(counted, np.diag(np.bincount(truth[::2, ::3].ravel(), minlength=4)))


@pytest.mark.parametrize("kind", [np.uint8, np.int64])
def test_foreign_values_are_not_dropped_in_silence(kind):
    good = np.array([0, 1, 2], kind)
    with pytest.raises(DataError) as caught:
        confusion_matrix(np.array([0, 7, 255], kind), good, 3, ignore=255)
    assert str(caught.value) == (
        "the truth holds 7. Expected 0 to 2, or 255 for what is not counted. "
        "Run pixelwise check on the data, and mend its labels."
    )
    with pytest.raises(DataError, match=r"^the truth holds 255\. Expected 0 to 2\. "):
        confusion_matrix(np.array([0, 1, 255], kind), good, 3, ignore=None)
    with pytest.raises(DataError) as caught:
        confusion_matrix(good, np.array([0, 1, 3], kind), 3, ignore=255)
    assert str(caught.value) == "the prediction holds 3. Expected 0 to 2. Use a model for these classes."


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_highest_logit_is_predicted_and_the_first_among_equals(layout):
    rng = np.random.default_rng(0)
    logits = rng.integers(0, 3, (3, 7, 19, 23)).astype(np.float32)  # full of ties
    predicted = predicted_classes(torch.from_numpy(logits).contiguous(memory_format=layout))
    assert predicted.dtype is torch.uint8
    np.testing.assert_array_equal(predicted.numpy(), logits.argmax(1))
    wide = rng.integers(0, 50, (40, 1000)).astype(np.float32)
    np.testing.assert_array_equal(predicted_classes(torch.from_numpy(wide)).numpy(), wide.argmax(1))


def test_one_logit_predicts_the_second_class_where_it_is_positive():
    logits = torch.tensor([[-0.1], [0.0], [0.1]])
    assert predicted_classes(logits).tolist() == [0, 0, 1]
    assert predicted_classes(logits.view(1, 1, 3, 1)).shape == (1, 3, 1)
