"""Signals: at once before training, noted during it, the second one fatal."""

import os
import signal

import pytest

from pixelwise.errors import Interrupted
from pixelwise.training.signals import StopRequest


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


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    with StopRequest():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
