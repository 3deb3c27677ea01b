"""Geometry of the report's charts, in the units of a small SVG view box; the templates draw it.

Colours are left to CSS classes (``main``, ``second``, ``faint``), so that a chart follows the reader's light or dark
scheme. Nothing here knows of files or runs.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

WIDTH, HEIGHT = 360.0, 214.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 10.0, 10.0, 34.0
POINT_LIMIT = 240
"""Longer curves are averaged in this many bins: more points than pixels only cost bytes."""
TITLED_POINT_LIMIT = 120
"""Curves of at most so many points get a hover text at each."""

Weight = Literal["main", "second", "faint"]
Placer = Callable[[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Series:
    """One curve. Points are (x, y) with rising x; a y that is not finite leaves a gap."""

    name: str
    weight: Weight
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """A grid line: its place in the view box and what it says."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Point:
    """A place on a curve that a reader can ask about."""

    x: float
    y: float
    title: str


@dataclass(frozen=True, slots=True)
class Curve:
    """One series, placed."""

    name: str
    weight: Weight
    path: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class LineChart:
    """Curves with two axes; ``marks`` are points that deserve a dot, such as the best epoch."""

    title: str
    caption: str
    x_label: str
    curves: tuple[Curve, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    marks: tuple[Point, ...]


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    x_label: str,
    caption: str = "",
    whole_x: bool = False,
    mark: tuple[float, float, str] | None = None,
) -> LineChart | None:
    """Place curves on common axes.

    Args:
        title: what the y axis shows.
        series: the curves; those without a finite value are left out.
        x_label: what the x axis counts.
        caption: one sentence under the chart.
        whole_x: x counts things, so ticks stand at whole numbers only.
        mark: (x, y, text) of one point to be marked.

    Returns:
        The chart, or None when no series has a finite value.

    """
    thinned = [(item, _thin(item.points)) for item in series]
    finite = [(x, y) for _, points in thinned for x, y in points if math.isfinite(y)]
    if not finite:
        return None
    x_low, x_high = _padded(min(x for x, _ in finite), max(x for x, _ in finite))
    y_ticks = nice_ticks(*_padded(min(y for _, y in finite), max(y for _, y in finite)), 5)
    y_low, y_high = min(y_ticks[0], *(y for _, y in finite)), max(y_ticks[-1], *(y for _, y in finite))
    whole = whole_x and x_high - x_low >= 2  # the first epoch has no whole numbers inside
    x_ticks = [tick for tick in nice_ticks(x_low, x_high, 7, whole=whole) if x_low <= tick <= x_high]

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        return round(across, 1), round(TOP + (y_high - y) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM), 1)

    curves = []
    for item, points in thinned:
        placed = [(x, y, *place(x, y)) for x, y in points if math.isfinite(y)]
        titled = placed if len(points) <= TITLED_POINT_LIMIT and item.weight != "faint" else []
        titles = tuple(Point(px, py, f"{item.name}, {x_label} {x:g}: {y:.4g}") for x, y, px, py in titled)
        if placed:
            curves.append(Curve(item.name, item.weight, _path(points, place), titles))
    return LineChart(
        title=title,
        caption=caption,
        x_label=x_label,
        curves=tuple(curves),
        x_ticks=tuple(Tick(place(x, y_low)[0], f"{x:g}") for x in x_ticks),
        y_ticks=tuple(Tick(place(x_low, y)[1], _tick_text(y, y_ticks)) for y in y_ticks),
        marks=(Point(*place(mark[0], mark[1]), mark[2]),) if mark else (),
    )


def nice_ticks(low: float, high: float, count: int, *, whole: bool = False) -> list[float]:
    """Round numbers (1, 2, 2.5 or 5 times a power of ten apart) from at most ``low`` to at least ``high``."""
    raw = (high - low) / (count - 1)
    if whole:
        raw = max(raw, 1.0)
    power = 10.0 ** math.floor(math.log10(raw))
    factors = (1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10)
    step = next(factor * power for factor in factors if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Bar:
    """One confidence bin of the calibration diagram: the accuracy as a bar, the confidence as a tick across it."""

    x: float
    width: float
    y: float
    height: float
    expected_y: float
    count_height: float
    title: str


@dataclass(frozen=True, slots=True)
class CalibrationChart:
    """Reliability diagram (Guo et al. 2017, figure 1): accuracy against confidence, with counts below."""

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    size: float
    left: float
    top: float
    count_top: float
    count_size: float


def calibration_chart(bins: Sequence[tuple[float, float, float, float, int]]) -> CalibrationChart | None:
    """Place bins of (low, high, mean confidence, accuracy, number of predictions); empty bins are left out."""
    full = [entry for entry in bins if entry[4] > 0]
    if not full:
        return None
    left, top, size, count_size = 42.0, 8.0, 220.0, 40.0
    count_top = top + size + 42
    most = max(entry[4] for entry in full)
    bars = []
    for low, high, confidence, accuracy, n in full:
        height = round(accuracy * size, 1)
        bars.append(
            Bar(
                x=round(left + low * size + 0.5, 1),
                width=round(max((high - low) * size - 1, 0.5), 1),
                y=round(top + size - height, 1),
                height=height,
                expected_y=round(top + size - confidence * size, 1),
                count_height=round(max(n / most * count_size, 0.6), 1),
                title=f"Confidence {low:.0%} to {high:.0%}: mean {confidence:.1%}, right {accuracy:.1%}, n = {n:,}",
            )
        )
    ticks = tuple(Tick(fraction, f"{100 * fraction:.0f}\u00a0%") for fraction in (0.0, 0.25, 0.5, 0.75, 1.0))
    return CalibrationChart(tuple(bars), ticks, size, left, top, count_top, count_size)


def _padded(low: float, high: float) -> tuple[float, float]:
    """Widen an interval of no length, so that one point can be drawn."""
    if high > low:
        return low, high
    pad = abs(low) * 0.1 or 0.5
    return low - pad, high + pad


def _thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Average neighbouring finite points when there are more than can be seen."""
    if len(points) <= POINT_LIMIT:
        return list(points)
    thinned = []
    for index in range(POINT_LIMIT):
        start, stop = index * len(points) // POINT_LIMIT, (index + 1) * len(points) // POINT_LIMIT
        group = [(x, y) for x, y in points[start:stop] if math.isfinite(y)]
        if group:
            thinned.append((sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)))
        else:
            thinned.append((points[start][0], math.nan))
    return thinned


def _path(points: Sequence[tuple[float, float]], place: Placer) -> str:
    """SVG path data; a value that is not finite lifts the pen."""
    pieces, down = [], False
    for x, y in points:
        if math.isfinite(y):
            px, py = place(x, y)
            pieces.append(f"{'L' if down else 'M'}{px:g} {py:g}")
        down = math.isfinite(y)
    return "".join(pieces)


def _tick_text(value: float, ticks: Sequence[float]) -> str:
    """One number of decimals for the whole axis; powers of ten where decimals would crowd."""
    step = ticks[1] - ticks[0]
    if max(abs(tick) for tick in ticks) < 1e-3 or max(abs(tick) for tick in ticks) >= 1e6:
        return f"{value:.3g}"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if abs(round(step, decimals) - step) > step * 1e-6:
        decimals += 1
    return f"{value:,.{decimals}f}"
