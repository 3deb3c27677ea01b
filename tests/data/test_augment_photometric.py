"""The photometric part against plain arithmetic in floating point."""

import cv2
import numpy as np
import pytest

from pixelwise.data.photometric import Photometric

RANGES = {np.uint8: (0.0, 255.0), np.uint16: (100.0, 4000.0), np.float32: (-1.0, 3.0)}


def picture(dtype, channels=3, seed=0):
    low, high = RANGES[dtype]
    rng = np.random.default_rng(seed)
    return (low + (high - low) * (0.2 + 0.6 * rng.random((20, 24, channels)))).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_tone_is_gamma_then_contrast_about_the_mean_then_brightness(dtype, channels):
    image = picture(dtype, channels)
    low, high = RANGES[dtype]
    found = Photometric(gamma=1.3, contrast=0.8, brightness=0.05).apply(image, (low, high), np.random.default_rng(0))
    value = (image.astype(float) - low) / (high - low)
    pivot = value.mean() ** 1.3
    expected = ((value**1.3 - pivot) * 0.8 + pivot + 0.05) * (high - low) + low
    np.testing.assert_allclose(found, expected, atol=1e-5 if dtype == np.float32 else 0.51)
    assert found.dtype == dtype


def test_values_beyond_the_range_are_carried_along_and_not_cut():
    image = np.array([-5.0, -1.0, 0.0, 0.5, 1.0, 2.0, 7.0], np.float32).reshape(1, 7, 1)
    found = Photometric(gamma=2.0, brightness=0.1).apply(image, (0.0, 1.0), np.random.default_rng(0))
    np.testing.assert_allclose(found.ravel(), [-4.9, -0.9, 0.1, 0.35, 1.1, 2.1, 7.1], atol=1e-5)
    bright = np.full((2, 2, 1), 4000, np.uint16)  # twice the range's white, far from the type's limit
    found = Photometric(brightness=0.5).apply(bright, (0.0, 2000.0), np.random.default_rng(0))
    assert (found == 5000).all()


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65_535)])
def test_integers_stop_at_their_types_limits_and_do_not_wrap(dtype, top):
    image = np.array([[[0], [top]]], dtype)
    for sign in (-1, 1):
        found = Photometric(brightness=0.2 * sign).apply(image, (0.0, float(top)), np.random.default_rng(0))
        assert found[0, (sign + 1) // 2, 0] == (0 if sign < 0 else top)
    noisy = Photometric(noise=0.1).apply(np.full((50, 50, 1), top, dtype), (0.0, float(top)), np.random.default_rng(0))
    assert noisy.max() == top
    assert noisy.min() > 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_saturation_moves_colours_towards_their_luma(dtype):
    image = picture(dtype)
    luma = image.astype(float) @ [0.299, 0.587, 0.114]
    expected = 0.4 * image.astype(float) + 0.6 * luma[..., None]
    found = Photometric(saturation=0.4).apply(image, RANGES[dtype], np.random.default_rng(0))
    np.testing.assert_allclose(found, expected, atol=1e-5 if dtype == np.float32 else 0.75)  # OpenCV: 10-bit weights
    grey = picture(dtype, 1)
    assert Photometric(saturation=0.4).apply(grey, RANGES[dtype], np.random.default_rng(0)) is grey


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_blur_is_a_gaussian_with_mirrored_borders(channels):
    image = picture(np.float32, channels)
    found = Photometric(blur_px=1.2).apply(image, (0.0, 1.0), np.random.default_rng(0))
    for channel in range(channels):
        expected = cv2.GaussianBlur(image[..., channel], (0, 0), 1.2, borderType=cv2.BORDER_REFLECT_101)
        np.testing.assert_allclose(found[..., channel], expected, atol=1e-5)
    impulse = np.zeros((41, 41, 1), np.float32)
    impulse[20, 20] = 1
    spread = Photometric(blur_px=2.0).apply(impulse, (0.0, 1.0), np.random.default_rng(0))[..., 0]
    distance = (np.arange(41) - 20) ** 2
    assert (spread.sum(axis=1) * distance).sum() == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_noise_is_gaussian_with_the_declared_deviation(dtype):
    low, high = RANGES[dtype]
    image = np.full((200, 300, 3), (low + high) / 2, dtype)
    found = Photometric(noise=0.05).apply(image, (low, high), np.random.default_rng(1))
    errors = (found.astype(float) - image.astype(float)) / (high - low)
    assert found.dtype == dtype
    assert errors.mean() == pytest.approx(0, abs=5e-4)
    assert errors.std() == pytest.approx(0.05, rel=0.01)
    assert (errors**4).mean() / errors.var() ** 2 == pytest.approx(3, rel=0.03)  # kurtosis of a Gaussian
    assert abs(np.corrcoef(errors[..., 0].ravel(), errors[..., 1].ravel())[0, 1]) < 0.02


def test_the_default_changes_nothing_and_draws_nothing():
    image = picture(np.uint8)
    rng = np.random.default_rng(0)
    assert Photometric().apply(image, (0.0, 255.0), rng) is image
    assert rng.random() == np.random.default_rng(0).random()


def test_the_picture_itself_is_not_written_to():
    image = picture(np.uint8)
    before = image.copy()
    Photometric(gamma=1.2, saturation=0.5, blur_px=1.0, noise=0.1).apply(image, (0.0, 255.0), np.random.default_rng(0))
    np.testing.assert_array_equal(image, before)
