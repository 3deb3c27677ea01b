import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.reporting.wording import (
    clip,
    count,
    counted,
    duration,
    instant,
    label,
    plain,
    probability_text,
    score_text,
    share_text,
)


@given(st.text(max_size=60), st.integers(5, 40))
def test_clipped_texts_keep_both_ends(text, limit):
    short = clip(text, limit)
    assert len(short) <= max(limit, 0)
    if len(text) <= limit:
        assert short == text
    else:
        head, tail = short.split("…", 1) if "…" not in text else (text[: limit // 3], "")
        assert text.startswith(head)
        assert text.endswith(tail)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.42, "0.4 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (7620, "2 h 07 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "50.0 %"),
        (0.0, "0.0 %"),
        (0.0004, "< 0.1 %"),
        (0.9996, "> 99.9 %"),
        (1.0, "100.0 %"),
        (math.nan, "unknown"),
    ],
)
def test_a_probability_that_is_not_quite_certain_does_not_look_certain(value, text):
    assert probability_text(value).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"), ([], "none"), ("", "none"), ({}, "none"), (True, "yes"), (False, "no"), (3, "3"),
        (0.1 + 0.2, "0.3"), (1e-05, "1e-05"), ([1, 2.5, "x"], "1, 2.5, x"), ([[1, 2], [3, 4]], "(1, 2), (3, 4)"),
        ({"file": "w.pth", "layers": [1]}, "file w.pth, layers 1"), (0, "0"),
    ],
)  # fmt: skip
def test_plain_values(value, text):
    assert plain(value) == text


def test_names_times_and_counts():
    assert label("mean_iou") == "Mean IoU"
    assert label("class_weights") == "Class weights"
    assert label("augment.max_shift") == "Augment: max shift"
    assert instant("2031-05-04T13:07:00+00:00") == "2031-05-04 13:07 UTC"
    assert instant("2031-05-04T13:07:00") == "2031-05-04 13:07"
    assert instant("yesterday") == "yesterday"
    assert count(61706) == "61,706"
    assert count("many") == "many"
    assert [counted(1, "image"), counted(2000, "image"), counted(3, "class")] == [
        "1 image",
        "2,000 images",
        "3 classes",
    ]
    assert share_text(0, 0) == "–"
    assert score_text(math.nan, "fraction") == "undefined"
