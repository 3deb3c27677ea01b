"""How the process uses memory and threads: settings that cost nothing and were measured to pay.

*Allocator.* glibc gives every large block back to the kernel when it is freed, and the next activation of the same size
is paid for again with page faults: a third of a U-Net's training step. :func:`keep_freed_memory` raises the
allocator's thresholds so that freed blocks stay in the process (``benchmarks/allocator.py`` shows the gain). The price
is that memory, once used, stays reserved until the process ends.

*Threads.* On a busy machine OpenMP's workers spin while they wait for each other and take the processor from the one
that they wait for. :func:`wait_passively` lets them sleep instead.
"""

import ctypes
import os
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # <malloc.h>: M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX
_KEEP_BYTES = 2**31 - 1
_GROW_BYTES = 64 * 2**20


def wait_passively() -> bool:
    """Let OpenMP's threads sleep while they wait; a policy that the user has set stands.

    Returns:
        Whether the setting can take effect: OpenMP reads it once, when torch is first imported.

    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return "torch" not in sys.modules


def keep_freed_memory() -> bool:
    """Keep freed blocks in the process instead of returning them to the kernel (glibc only).

    Large blocks come from the growing heap and never from ``mmap``, the heap grows by 64 MiB at a time and is not
    trimmed below 2 GiB of free space.

    Returns:
        Whether the C library accepted all three settings; False where there is no ``mallopt`` (macOS, musl).

    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _KEEP_BYTES), (_TOP_PAD, _GROW_BYTES))
    accepted = [mallopt(parameter, value) == 1 for parameter, value in settings]  # all are set, whatever one says
    return all(accepted)


def set_threads(threads: int) -> None:
    """Let torch use ``threads`` threads: the last bits of a result depend on how many there are."""
    import torch

    torch.set_num_threads(threads)
