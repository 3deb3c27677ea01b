"""One process per run folder."""

import multiprocessing
import os
import signal
import socket

import pytest

from pixelwise.errors import OutputError, RunError
from pixelwise.runs.lock import is_locked, lock_run


def _hold(folder, pipe):
    with lock_run(folder):
        pipe.send("locked")
        pipe.recv()


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock; a pipe and not an event, which waits for ever for a killed process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_hold, args=(tmp_path, theirs))
    process.start()
    assert ours.poll(30)
    yield process
    if process.is_alive():
        ours.send("leave")
    process.join()


def test_a_second_process_is_refused_and_told_who_is_there(tmp_path, holder):
    assert is_locked(tmp_path)
    with pytest.raises(RunError) as caught, lock_run(tmp_path):
        pass
    assert str(caught.value) == (
        f"{tmp_path} is in use by process {holder.pid} on {socket.gethostname()}. Expected one process per run folder."
        " Wait until it ends, stop it, or train into another folder."
    )


def test_a_killed_process_holds_nothing(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    assert not is_locked(tmp_path)
    with lock_run(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


def test_an_unreadable_holder_is_named_in_general(tmp_path):
    with lock_run(tmp_path):
        (tmp_path / "lock").write_text("[]")
        with pytest.raises(RunError, match="in use by another process"), lock_run(tmp_path):
            pass


def test_a_folder_that_was_never_locked(tmp_path):
    assert not is_locked(tmp_path)
    with pytest.raises(OutputError), lock_run(tmp_path / "missing"):
        pass
