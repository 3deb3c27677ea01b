import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pixelwise.reporting.scores import calibration, class_table, confusion, score_views, tiles


def matrix(counts, names=None):
    names = names or [f"c{k}" for k in range(len(counts))]
    return {"confusion": np.asarray(counts).tolist(), "classes": [{"name": name} for name in names]}


def entry(name, value, n=50, **more):
    return {"name": name, "value": value, "n": n, "unit": "fraction", "low": None, "high": None, **more}


def test_the_metric_comes_first_then_the_usual_scores():
    names = ["loss", "ece", "macro_f1", "top5", "top1", "odd"]
    views = score_views({"metric": "top1", "scores": [entry(name, 0.5) for name in names]})
    assert [view.name for view in views] == ["top1", "loss", "ece", "macro_f1", "top5", "odd"]
    assert [view.name for view in tiles(views)] == ["top1", "macro_f1", "top5", "ece"]
    assert tiles([]) == []


@pytest.mark.parametrize(
    ("score", "text", "interval", "span"),
    [
        (entry("x", 0.5, low=0.25, high=0.75), "50.0\u00a0%", "25.0 to 75.0\u00a0%", (25.0, 50.0, 75.0)),
        (
            entry("x", 0.98765, n=10_000, low=0.98, high=0.99),
            "98.77\u00a0%",
            "98.00 to 99.00\u00a0%",
            (98.0, 98.77, 99.0),
        ),
        (entry("x", None), "undefined", "", None),
        (entry("x", 0.5), "50.0\u00a0%", "", None),
        (entry("x", 2.34567, unit="nats", low=2.0, high=3.0), "2.346 nats", "2 nats to 3 nats", None),
        (entry("x", 12.5, unit="%", low=12.0, high=13.0), "12.5\u00a0%", "12.0 to 13.0\u00a0%", None),
    ],
)
def test_scores_are_written_for_readers(score, text, interval, span):
    (view,) = score_views({"scores": [score]})
    assert (view.text, view.range_text, view.span) == (text, interval, span)


def test_class_table_shows_what_some_class_has_and_dashes_for_the_undefined():
    rows = [
        {"name": "a", "n": 3, "iou": 1, "dice": None, "interval": {"iou": [0, 1]}},
        {"name": "b", "n": 0, "iou": None, "dice": None},
    ]
    table = class_table({"classes": rows}, "segmentation")
    assert table is not None
    assert table.columns == ("Pixels", "IoU")
    assert [(name, [cell.text for cell in cells]) for name, cells in table.rows] == [
        ("a", ["3", "100.0\u00a0%"]),
        ("b", ["0", "–"]),
    ]
    assert [cell.sort for cell in table.rows[1][1]] == ["0", ""]
    assert class_table(None, "classification") is None
    far = {"scores": [entry("mean_hausdorff", 3.5, unit="px")], "classes": [{"name": "a", "n": 3, "hausdorff": 3.456}]}
    table = class_table(far, "segmentation")
    assert table is not None
    assert table.columns == ("Pixels", "Hausdorff distance")
    assert [(cell.text, cell.sort, cell.share) for cell in table.rows[0][1]][1] == ("3.456 px", "3.456", None)
    spaced = class_table({"classes": [{"name": " ", "n": 3}]}, "sequence")
    assert spaced is not None
    assert spaced.rows[0][0] == "' '"


@settings(max_examples=40, deadline=None)
@given(arrays(np.int64, st.integers(2, 14).map(lambda size: (size, size)), elements=st.integers(0, 200)))
def test_a_matrix_keeps_every_count_and_shades_by_the_share_of_the_row(counts):
    view = confusion(matrix(counts))
    assert view is not None
    assert np.array_equal(view.counts, counts)
    assert sum(shade.path.count("M") for shade in view.shades) == np.count_nonzero(counts)
    right = sum(shade.path.count("M") for shade in view.shades if shade.right)
    assert right == np.count_nonzero(np.diag(counts))
    assert all(0.1 <= shade.opacity <= 1 for shade in view.shades)
    wrong = counts - np.diag(np.diag(counts))
    assert len(view.pairs) == min(8, np.count_nonzero(wrong))
    if view.pairs:
        truth, taken, number, _ = view.pairs[0]
        assert int(number) == wrong.max() == wrong[int(truth[1:]), int(taken[1:])]
    if len(counts) <= 12:
        shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        assert [rate.text for rate in view.rates] == [f"{100 * share:.0f}" for share in shares[counts > 0]]


def test_more_classes_than_fit_are_summed_up():
    counts = np.diag(np.full(130, 1000))
    counts[:40, 129] = 7
    view = confusion(matrix(counts))
    assert view is not None
    assert view.total_classes == 130
    assert len(view.names) == 100
    assert view.names[-1] == "31 others"
    assert "c129" in view.names
    assert np.sum(view.counts) == counts.sum()
    assert np.sum(view.counts) - np.trace(view.counts) == 40 * 7
    last = view.names.index("c129")
    assert [view.counts[row][last] for row in range(40)] == [7] * 40


@pytest.mark.parametrize("scores", [None, {}, {"confusion": []}, {"confusion": [[1]], "classes": []}])
def test_no_matrix_no_view(scores):
    assert confusion(scores) is None


def test_calibration_passes_over_empty_bins():
    full = {"low": 0.5, "high": 1.0, "confidence": 0.8, "accuracy": 0.7, "n": 4}
    empty = {"low": 0.0, "high": 0.5, "confidence": None, "accuracy": None, "n": 0}
    chart = calibration({"calibration": {"bins": [empty, full]}})
    assert chart is not None
    assert len(chart.bars) == 1
    assert calibration({"calibration": None}) is None
