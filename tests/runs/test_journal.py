"""The journal: what is written, what is cut, what a killed writer leaves."""

import errno
import json
import re

import pytest

from pixelwise.errors import OutputError, RunError
from pixelwise.runs.journal import Journal, read_journal


def test_events_are_lines_with_a_place_and_a_time(tmp_path):
    journal = Journal(tmp_path)
    journal.add("start", step=0, epoch=0)
    journal.add("step", step=5, epoch=0, fields={"loss": 0.25, "lr": 0.1})
    assert not journal.path.exists()
    assert journal.flush() == journal.path.stat().st_size
    first, second = (json.loads(line) for line in journal.path.read_text().splitlines())
    assert (first["event"], first["step"], first["epoch"]) == ("start", 0, 0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", first["time"])
    assert (second["loss"], second["lr"]) == (0.25, 0.1)
    assert read_journal(tmp_path) == [first, second]


def test_numbers_that_are_not_finite_become_null(tmp_path):
    journal = Journal(tmp_path)
    journal.add("epoch", step=1, epoch=0, fields={"train_loss": float("nan"), "val": {"top1": float("inf"), "f1": 1.0}})
    journal.flush()
    (event,) = read_journal(tmp_path)
    assert event["train_loss"] is None
    assert event["val"] == {"top1": None, "f1": 1.0}


def test_a_resumed_run_cuts_what_came_after_its_checkpoint(tmp_path):
    journal = Journal(tmp_path)
    journal.add("start", step=0, epoch=0)
    length = journal.flush()
    journal.add("step", step=1, epoch=0)
    journal.flush()
    journal.add("step", step=2, epoch=0)
    journal.truncate(length)
    journal.add("resume", step=0, epoch=0)
    journal.flush()
    assert [event["event"] for event in read_journal(tmp_path)] == ["start", "resume"]
    journal.truncate(10**6)
    assert len(read_journal(tmp_path)) == 2


def test_a_half_written_last_line_is_passed_over_and_an_earlier_one_is_not(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text('{"event": "start"}\n{"event": "st')
    assert read_journal(tmp_path) == [{"event": "start"}]
    path.write_text('{"event": "st\n{"event": "start"}\n')
    with pytest.raises(RunError, match="is damaged at line 1"):
        read_journal(tmp_path)
    assert read_journal(tmp_path / "elsewhere") == []


def test_a_full_disk_is_an_output_error(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    journal = Journal(tmp_path)
    journal.add("start", step=0, epoch=0)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="The disk is full"):
        journal.flush()
