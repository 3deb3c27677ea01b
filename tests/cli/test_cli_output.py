"""Standard output that is full or that nobody reads: one line and exit code 4, or silence."""

import os
import subprocess
import sys

import pytest

from pixelwise.cli.output import GuardedOutput, complain, guarded_output
from pixelwise.errors import Interrupted, OutputError

COMMAND = [sys.executable, "-c", "from pixelwise.cli.main import main; main()"]
FULL = "pixelwise: Standard output could not be written: No space left on device. Free space, or redirect it.\n"
needs_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110


@pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"])
def environment(request):
    return {**os.environ, "PYTHONUNBUFFERED": request.param}


@needs_full
@pytest.mark.parametrize("arguments", [("check", "DATA"), ("nets", "--json"), ("--version",)])
def test_a_full_device_is_one_line_and_exit_code_4(sides, environment, arguments):
    command = [*COMMAND, *(str(sides) if word == "DATA" else word for word in arguments)]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (4, FULL)


def test_a_closed_pipe_is_silent(environment):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*COMMAND, "nets"], stdout=writing, stderr=subprocess.PIPE, env=environment, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@needs_full
def test_where_even_the_complaint_cannot_be_written_the_exit_code_tells():
    with open("/dev/full", "w") as full:  # noqa: PTH123
        assert subprocess.run([*COMMAND, "nets"], stdout=full, stderr=full, check=False).returncode == 4


class Broken:
    """A stream that fails, above bytes that fail."""

    encoding = "utf-8"

    def __init__(self, fault):
        self.fault = fault

    @property
    def buffer(self):
        return Broken(self.fault)

    def write(self, content):
        raise self.fault

    def flush(self):
        """Nothing is held back."""

    def fileno(self):
        raise OSError("no file")


def test_a_failure_is_told_again_to_those_who_swallowed_the_first():
    guard = GuardedOutput(Broken(OSError(28, "No space left on device")))
    for call in (lambda: guard.write("x"), guard.flush, lambda: guard.write("")):
        with pytest.raises(OutputError, match="No space left on device"):
            call()
    assert guard.encoding == "utf-8"
    with pytest.raises(Interrupted) as caught:
        GuardedOutput(Broken(BrokenPipeError())).buffer.write(b"x")
    assert caught.value.exit_code == 141


def test_without_streams_nothing_is_guarded_and_nothing_said(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with guarded_output():
        complain("nobody hears this")
    assert sys.stdout is None
    monkeypatch.setattr(sys, "stderr", Broken(OSError(5, "Input/output error")))
    complain("nobody hears this")


def test_what_was_said_before_arrives(pixelwise):
    done = pixelwise("--version")
    assert done.code == 0
    assert done.out.startswith("pixelwise ")
    assert not isinstance(sys.stdout, GuardedOutput)
