"""What a person sees, on a terminal and elsewhere."""

import io

import pytest
import torch

from pixelwise.training import progress
from pixelwise.training.progress import Bar, EpochLine, Lines, Silent, format_seconds, make_progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


LINE = EpochLine(2, 10, 0.51234, 0.4, "top1", 0.987654, 12_345.6, 200.0, is_best=True)


def test_a_line_per_epoch():
    stream = io.StringIO()
    shown = make_progress(is_quiet=False, stream=stream)
    assert isinstance(shown, Lines)
    shown.batch(epoch=0, done=1, total=2, images=8, loss=torch.tensor(1.0))
    shown.epoch(LINE)
    shown.close()
    assert stream.getvalue() == (
        "epoch 2/10  loss 0.5123  val loss 0.4000  top1 0.9877 (best)  12,346 images/s  3:20 min left\n"
    )


def test_an_epoch_without_validation():
    line = EpochLine(1, 1, 0.5, None, "top1", None, 10.0, 0.0, is_best=True)
    assert str(line) == "epoch 1/1  loss 0.5000  10 images/s  0 s left"


def test_an_epoch_whose_validation_pictures_have_no_score_is_judged_by_its_loss():
    line = EpochLine(1, 3, 0.5, 0.4, "map", None, 10.0, 0.0, is_best=True)
    assert str(line) == "epoch 1/3  loss 0.5000  val loss 0.4000 (best)  no map  10 images/s  0 s left"


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0.0, "0"),
        (0.0432, "0.043"),
        (0.426, "0.43"),
        (1.44, "1.4"),
        (9.4, "9.4"),
        (2.97, "3.0"),
        (9.7, "9.7"),
        (9.96, "10"),
        (1658.3, "1,658"),
    ],
)
def test_slow_runs_have_a_speed_too(rate, text):
    assert str(EpochLine(1, 1, 0.5, None, "x", None, rate, 0.0, True, "patches")).split("  ")[2] == f"{text} patches/s"


def test_quiet_means_nothing():
    shown = make_progress(is_quiet=True, stream=Terminal())
    assert isinstance(shown, Silent)
    shown.batch(epoch=0, done=1, total=2, images=8, loss=torch.tensor(1.0))
    shown.epoch(LINE)
    shown.say("x")
    shown.close()


def test_a_bar_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(progress, "_REDRAW_SECONDS", 0.0)
    stream = Terminal()
    shown = make_progress(is_quiet=False, stream=stream)
    assert isinstance(shown, Bar)
    shown.batch(epoch=0, done=3, total=50, images=8, loss=torch.tensor(0.25))
    shown.epoch(LINE)
    shown.batch(epoch=1, done=7, total=50, images=8, loss=torch.tensor(0.125))
    monkeypatch.setattr(progress, "_REDRAW_SECONDS", 1e9)
    shown.batch(epoch=1, done=8, total=50, images=8, loss=torch.tensor(99.0))
    shown.close()
    drawn = stream.getvalue()
    for part in ("epoch 1", "3/50", "loss 0.2500", "epoch 2/10", "(best)", "7/50", "top1 0.9877", "images/s"):
        assert part in drawn
    assert "99.0" not in drawn


def test_the_rate_counts_what_was_done_since_the_clock_started(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    times = iter([0.0, 10.0, 12.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(times))
    stream = Terminal()
    shown = Bar(stream)
    shown._bar.get_time = lambda: 0.0
    shown.say("Check: no errors, no warnings.")
    assert "epoch" not in stream.getvalue()
    for done in (1, 2):
        shown.batch(epoch=0, done=done, total=50, images=8, loss=torch.tensor(0.25))
    monkeypatch.undo()
    shown.close()
    assert " 0 images/s" in stream.getvalue()
    assert " 4.0 images/s" in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (60, "1:00 min"), (3599, "59:59 min"), (7500, "2:05 h")]
)
def test_durations(seconds, text):
    assert format_seconds(seconds) == text
