"""Signals: at once before training, noted during it, the second one fatal."""

import os
import signal

import pytest

from pixelwise.errors import Interrupted
from pixelwise.runs.folder import CONFIG_NAME
from pixelwise.runs.journal import JOURNAL_NAME, Journal
from pixelwise.training.signals import StopRequest, explained


def test_before_training_a_signal_stops_at_once():
    with StopRequest(), pytest.raises(Interrupted) as caught:
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.exit_code == 143


def test_during_training_it_is_noted_until_the_loop_polls():
    with StopRequest() as stop:
        stop.defer()
        stop.poll()
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted) as caught:
            stop.poll()
    assert caught.value.exit_code == 130


def test_one_that_was_noted_is_not_forgotten_at_the_end_of_training():
    with StopRequest() as stop:
        stop.defer()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted):
            stop.act_at_once()


def test_the_second_one_is_left_to_the_handlers_from_before():
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with StopRequest() as stop:
            stop.defer()
            os.kill(os.getpid(), signal.SIGTERM)
            assert (stop.signal_number, heard) == (15, [])
            os.kill(os.getpid(), signal.SIGTERM)
            assert heard == [15]
    finally:
        signal.signal(signal.SIGTERM, before)


def interruption(folder, number=15):
    with pytest.raises(Interrupted) as caught, explained(folder):
        raise Interrupted(number)
    assert caught.value.exit_code == 128 + number
    return str(caught.value)


def test_an_interruption_says_what_there_is_to_go_on_with(tmp_path):
    assert interruption(tmp_path, 2) == "Stopped by Ctrl-C. The run had not begun: nothing was written."
    assert str(Interrupted(13)) == "Stopped by signal 13."
    (tmp_path / CONFIG_NAME).write_text("{}")
    resume = f"`pixelwise resume {tmp_path}`"
    assert interruption(tmp_path) == f"Stopped by SIGTERM. {resume} goes on from epoch 1."
    journal = Journal(tmp_path)
    journal.add("stop", step=80, epoch=2)
    journal.flush()
    assert interruption(tmp_path) == f"Stopped by SIGTERM. {resume} goes on from epoch 3."
    journal.add("end", step=90, epoch=3)
    journal.flush()
    assert interruption(tmp_path) == f"Stopped by SIGTERM. Training was done: {resume} evaluates the model."
    (tmp_path / JOURNAL_NAME).write_text("nonsense\n{}\n")
    assert interruption(tmp_path) == f"Stopped by SIGTERM. {resume} goes on."


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    with StopRequest():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
