import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pixelwise.reporting.pictures import (
    COARSE_PX,
    INVENTED,
    MISSED,
    SIDE_PX,
    error_map,
    fit,
    overlay,
    shrink,
    thumbnail,
)


def decode(uri):
    head, content = uri.split(",", 1)
    assert head in ("data:image/png;base64", "data:image/webp;base64")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content, validate=True))).convert("RGB"))


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 900), st.integers(1, 900), st.sampled_from([3_000, 12_000, 90_000]), st.booleans())
def test_an_address_keeps_its_limit_and_the_form_of_the_picture(height, width, limit, is_noise):
    rng = np.random.default_rng(height * 1000 + width)
    rgb = (
        rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        if is_noise
        else np.full((height, width, 3), 90, np.uint8)
    )
    shown = thumbnail(rgb, limit)
    decoded = decode(shown.uri)
    assert len(shown.uri) <= limit
    assert decoded.shape == (shown.height, shown.width, 3)
    assert max(shown.height, shown.width) <= SIDE_PX
    assert abs(shown.height * width - shown.width * height) <= 2 * max(height, width) or 1 in (
        shown.height,
        shown.width,
    )


def test_small_pictures_are_kept_exactly_and_marked_as_coarse():
    rgb = np.random.default_rng(0).integers(0, 256, (28, COARSE_PX, 3), dtype=np.uint8)
    shown = thumbnail(rgb, 20_000)
    assert shown.coarse
    np.testing.assert_array_equal(decode(shown.uri), rgb)


def test_a_limit_that_cannot_be_kept_ends_with_a_tiny_picture():
    shown = thumbnail(np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8), 10)
    assert (shown.width, shown.height) == (24, 24)


def test_shrinking_averages_and_never_enlarges():
    checker = np.indices((800, 800)).sum(0) % 2 * 255
    small = shrink(np.repeat(checker[:, :, None], 3, axis=2).astype(np.uint8), 100)
    assert small.shape == (100, 100, 3)
    assert abs(small.astype(int) - 127).max() <= 1
    assert shrink(small, 4000) is small
    assert shrink(np.zeros((1, 3000, 3), np.uint8), 300).shape == (1, 300, 3)


@pytest.mark.parametrize(("side", "expected"), [(10, 380), (192, 384), (193, 193), (384, 384), (1000, 384)])
def test_fitting_repeats_whole_pixels(side, expected):
    rgb = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
    fitted = fit(rgb)
    assert fitted.shape == (expected, expected, 3)
    if side < 384:
        np.testing.assert_array_equal(fitted[:: expected // side, :: expected // side], rgb)


def test_error_map_names_what_is_missed_invented_and_not_counted():
    image = np.full((64, 64, 1), 200, np.uint8)
    truth, prediction = np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.uint8)
    truth[:8], prediction[8:16], truth[16:24], prediction[24:32] = 1, 1, 255, 255
    painted = error_map(image, truth, prediction, ("background", "cell"))
    assert painted.shape == (384, 384, 3)
    at = {row: tuple(painted[row * 6 + 3, 100]) for row in (4, 12, 20, 28, 40)}
    assert at[4] == MISSED
    assert at[12] == INVENTED
    assert at[20] == at[28] == (128, 128, 128)
    assert at[40] == (140, 140, 140)  # 0.4 x 200 + 60


def test_without_a_background_every_error_has_one_colour():
    image = np.zeros((8, 8, 3), np.uint8)
    truth, prediction = np.zeros((8, 8), np.uint8), np.ones((8, 8), np.uint8)
    painted = error_map(image, truth, prediction, ("sky", "sea", "land"))
    assert {tuple(colour) for colour in painted.reshape(-1, 3)} == {MISSED}


def test_thin_errors_fade_but_do_not_vanish_when_shrunk():
    image = np.zeros((1920, 1920, 1), np.uint8)
    truth = np.zeros((1920, 1920), np.uint8)
    truth[960] = 1
    painted = error_map(image, truth, np.zeros_like(truth), ("background", "line")).astype(int)
    plain = painted[0, 0]
    expected = plain * 0.8 + np.array(MISSED) * 0.2  # one of five rows
    assert abs(painted[192] - expected).max() <= 1


def test_overlay_takes_any_depth_and_leaves_the_background():
    image = np.linspace(0, 60_000, 64 * 64, dtype=np.uint16).reshape(64, 64, 1)
    labels = np.zeros((64, 64), np.uint8)
    labels[20:40, 20:40] = 1
    drawn = overlay(image, labels, ("background", "cell"))
    plain = overlay(image, np.zeros_like(labels), ("background", "cell"))
    assert drawn.shape == (384, 384, 3)
    np.testing.assert_array_equal(drawn[:100], plain[:100])
    assert (drawn[150:200, 150:200] != plain[150:200, 150:200]).any()
