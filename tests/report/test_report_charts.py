import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.reporting.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    POINT_LIMIT,
    RIGHT,
    TOP,
    WIDTH,
    Series,
    calibration_chart,
    line_chart,
    nice_ticks,
)

SPANS = st.tuples(st.floats(-1e5, 1e5), st.floats(1e-6, 1e6)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def coordinates(path):
    return [tuple(map(float, place.split())) for place in re.findall(r"[ML](\S+ [^ML]+)", path)]


@given(SPANS.filter(lambda span: span[1] - span[0] > 1e-6 * max(abs(span[0]), 1e-3)), st.integers(3, 8))
def test_ticks_cover_the_span_evenly_and_are_few(span, count):
    ticks = nice_ticks(*span, count)
    steps = [b - a for a, b in itertools.pairwise(ticks)]
    slack = 1e-6 * (span[1] - span[0])
    assert ticks[0] <= span[0] + slack
    assert ticks[-1] >= span[1] - slack
    assert 2 <= len(ticks) <= count + 2
    assert max(steps) == pytest.approx(min(steps), rel=1e-5, abs=1e-9)


@given(st.integers(0, 500), st.integers(1, 100_000), st.integers(3, 8))
def test_whole_ticks_are_whole(low, length, count):
    ticks = nice_ticks(low, low + length, count, whole=True)
    assert all(tick == int(tick) for tick in ticks)
    assert len(set(ticks)) == len(ticks)


def test_points_land_where_the_axes_say():
    chart = line_chart("y", [Series("s", "main", ((0, 0.0), (5, 1.0), (10, 0.5)))], x_label="x")
    assert chart is not None
    (curve,) = chart.curves
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    assert coordinates(curve.path) == [(LEFT, bottom), ((LEFT + right) / 2, TOP), (right, (TOP + bottom) / 2)]
    by_text = {tick.text: tick.at for tick in chart.y_ticks}
    assert (by_text["0.00"], by_text["0.50"], by_text["1.00"]) == (bottom, (TOP + bottom) / 2, TOP)
    assert [point.title for point in curve.points][1] == "s, x 5: 1"


def test_a_value_that_is_not_finite_lifts_the_pen():
    chart = line_chart("y", [Series("s", "main", ((0, 1), (1, math.nan), (2, 2), (3, math.inf), (4, 1)))], x_label="x")
    assert chart is not None
    assert chart.curves[0].path.count("M") == 3
    assert "nan" not in chart.curves[0].path


@pytest.mark.parametrize("points", [(), ((0, math.nan),)])
def test_nothing_finite_is_no_chart(points):
    assert line_chart("y", [Series("s", "main", points)], x_label="x") is None


def test_a_single_point_and_a_flat_line_are_drawn_inside_the_frame():
    for points in (((1, 0.0),), ((1, 3.0), (2, 3.0)), ((7, -2.5),)):
        chart = line_chart("y", [Series("s", "main", points)], x_label="x", mark=(*points[0], "best"))
        assert chart is not None
        for x, y in [*coordinates(chart.curves[0].path), (chart.marks[0].x, chart.marks[0].y)]:
            assert LEFT <= x <= WIDTH - RIGHT
            assert TOP <= y <= HEIGHT - BOTTOM


@pytest.mark.parametrize("length", [POINT_LIMIT + 1, 1000, 12_345])
def test_long_curves_are_thinned_to_the_limit(length):
    values = np.random.default_rng(0).normal(size=length).tolist()
    chart = line_chart("y", [Series("s", "faint", tuple(enumerate(values)))], x_label="x")
    assert chart is not None
    assert len(coordinates(chart.curves[0].path)) == POINT_LIMIT
    assert chart.curves[0].points == ()


def test_thinning_keeps_gaps():
    points = tuple((i, math.nan if i < 1000 else 1.0) for i in range(2000))
    chart = line_chart("y", [Series("s", "faint", points), Series("t", "main", ((0, 0.0),))], x_label="x")
    assert chart is not None
    assert len(coordinates(chart.curves[0].path)) == POINT_LIMIT // 2


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0, 1, ["0.00", "0.25", "0.50", "0.75", "1.00"]),
        (0, 4000, ["0", "1,000", "2,000", "3,000", "4,000"]),
        (0, 4e-5, ["0", "1e-05", "2e-05", "3e-05", "4e-05"]),
        (0, 8e6, ["0", "2e+06", "4e+06", "6e+06", "8e+06"]),
    ],
)
def test_tick_texts_share_their_decimals(low, high, texts):
    chart = line_chart("y", [Series("s", "main", ((0, low), (1, high)))], x_label="x")
    assert chart is not None
    assert [tick.text for tick in chart.y_ticks] == texts


def test_calibration_bars_have_the_height_of_the_accuracy_and_the_line_of_the_confidence():
    chart = calibration_chart([(0.0, 0.5, 0.4, 0.25, 10), (0.5, 1.0, 0.9, 1.0, 30), (0.9, 1.0, 0.0, 0.0, 0)])
    assert chart is not None
    first, second = chart.bars
    assert (first.height, second.height) == (0.25 * chart.size, chart.size)
    assert first.expected_y == pytest.approx(chart.top + 0.6 * chart.size)
    assert first.count_height == pytest.approx(chart.count_size / 3, abs=0.06)
    assert second.title == "Confidence 50% to 100%: mean 90.0%, right 100.0%, n = 30"
    assert calibration_chart([(0, 1, 0, 0, 0)]) is None
