"""How the process uses memory and threads: settings that cost nothing and were measured to pay.

*Allocator.* glibc gives every large block back to the kernel when it is freed, and the next activation of the same size
is paid for again with page faults. :func:`keep_freed_memory` raises the allocator's thresholds so that freed blocks
stay in the process (``benchmarks/allocator.py`` shows the gain). The price is that memory, once used, stays reserved
until the process ends. Where memory has a budget, :func:`return_freed_memory` does the opposite: by default glibc
learns to keep blocks of up to 32 MiB, which go to pieces over many tiles (``benchmarks/large_image.py`` tells the
peak). :func:`returned_memory` does so for a while.

*Threads.* OpenMP's threads spin while they wait for each other. On a busy machine they take the processor from the one
that they wait for; putting them to sleep at once costs a small network more than the second thread gains.
:func:`spin_briefly` lets them spin a little and then sleep (``benchmarks/waiting.py`` compares the three).
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4  # <malloc.h>: M_TRIM_THRESHOLD and so on
_KEEP_BYTES = 2**31 - 1
_GROW_BYTES = 64 * 2**20
_LARGE_BYTES = 2**20
_MOST_BLOCKS = 2**16


@dataclass(slots=True)
class _Process:
    """How this process uses memory: the C library cannot be asked."""

    keeps_memory: bool = False


_process = _Process()

SPIN_COUNT = "50000"
"""Of GNU OpenMP, which torch's Linux builds use."""


def spin_briefly() -> bool:
    """Let OpenMP's waiting threads spin briefly before they sleep; a policy that the user has set stands.

    Returns:
        Whether the setting can take effect: OpenMP reads it once, when torch is first imported.

    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    return "torch" not in sys.modules


def keep_freed_memory() -> bool:
    """Keep freed blocks in the process instead of returning them to the kernel (glibc only).

    Large blocks come from the growing heap and never from ``mmap``, the heap grows by 64 MiB at a time and is not
    trimmed below 2 GiB of free space.

    Returns:
        Whether the C library accepted all three settings; False where there is no ``mallopt`` (macOS, musl).

    """
    _process.keeps_memory = _set((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _KEEP_BYTES), (_TOP_PAD, _GROW_BYTES))
    return _process.keeps_memory


def return_freed_memory() -> bool:
    """Return freed blocks to the kernel at once, those freed before included (glibc only): undoes the above.

    Blocks of 1 MiB or more get memory of their own, and the heap is trimmed.

    Returns:
        Whether the C library accepted all settings.

    """
    accepted = _set(
        (_MMAP_MAX, _MOST_BLOCKS), (_MMAP_THRESHOLD, _LARGE_BYTES), (_TRIM_THRESHOLD, _LARGE_BYTES), (_TOP_PAD, 0)
    )
    if accepted:
        _process.keeps_memory = False
        ctypes.CDLL(None).malloc_trim(0)
    return accepted


@contextmanager
def returned_memory() -> Iterator[None]:
    """Return freed memory at once for the length of a block, then keep it again where it was kept before."""
    kept = _process.keeps_memory
    return_freed_memory()
    try:
        yield
    finally:
        if kept:
            keep_freed_memory()


def _set(*settings: tuple[int, int]) -> bool:
    """Set parameters of glibc's allocator; tell whether it accepted all."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    accepted = [mallopt(parameter, value) == 1 for parameter, value in settings]  # all are set, whatever one says
    return all(accepted)


def set_threads(threads: int) -> None:
    """Let torch use ``threads`` threads: the last bits of a result depend on how many there are."""
    import torch

    torch.set_num_threads(threads)
