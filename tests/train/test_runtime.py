"""Process settings: accepted where there is glibc, and effective only before torch."""

import ctypes
import subprocess
import sys

import pytest
import torch

from pixelwise import runtime


@pytest.mark.parametrize(
    ("before", "after"),
    [({}, "50000 None"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None ACTIVE"), ({"GOMP_SPINCOUNT": "7"}, "7 None")],
)
def test_threads_spin_briefly_and_a_users_choice_stands(before, after):
    code = (
        "import os; from pixelwise import runtime; "
        "print(runtime.spin_briefly(), os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=before, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"True {after}"


def test_it_says_when_torch_is_loaded_already(monkeypatch):
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    assert torch.__version__
    assert not runtime.spin_briefly()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library has no mallopt")
def test_glibc_accepts_the_allocator_settings_and_keeps_the_memory():
    code = """
import resource, torch
from pixelwise.runtime import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20): torch.ones(16 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults(); default = faults()
assert keep_freed_memory()
faults(); kept = faults()
print(default, kept)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    default, kept = map(int, done.stdout.split())
    assert default > 20 * 100  # 64 MiB each, at least in huge pages
    assert kept < default / 20


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library has no mallopt")
def test_kept_memory_is_returned_and_from_then_on_at_once():
    code = """
import numpy as np
from pixelwise.predict.large.memory import held_memory_bytes
from pixelwise.runtime import keep_freed_memory, return_freed_memory
def use():
    for _ in range(3): blocks = [np.ones(1 << 20) for _ in range(25)]  # 8 MiB each
    return held_memory_bytes()
assert keep_freed_memory()
full = use()
kept = held_memory_bytes()
assert return_freed_memory()
returned = held_memory_bytes()
again, after = use(), held_memory_bytes()
print(*(value // 2**20 for value in (full, kept, returned, again, after)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    full, kept, returned, again, after = map(int, done.stdout.split())
    assert kept > full - 20
    assert returned < full - 150
    assert again > returned + 150
    assert after < returned + 20


def test_other_systems_are_left_as_they_are(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not runtime.keep_freed_memory()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not runtime.keep_freed_memory()
    assert not runtime.return_freed_memory()


def test_threads_are_set():
    before = torch.get_num_threads()
    try:
        runtime.set_threads(2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
