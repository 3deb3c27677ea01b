"""Devices, number formats and random numbers."""

import hashlib
import os
import platform
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Literal

import torch

from pixelwise.errors import DeviceError, UsageError
from pixelwise.runs.device import choose_device
from pixelwise.training import distributed

Precision = Literal["auto", "float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("auto", "float32", "bfloat16")

_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})  # x86 (vector, tile) and Arm, as Linux names them
_CPU_INFO = Path("/proc/cpuinfo")


def choose_own_device(name: str) -> torch.device:
    """Return the device of that name; of several processes under ``torchrun``, each takes its own GPU.

    Raises:
        DeviceError: unknown, or not there.

    """
    device = choose_device(name)
    own = os.environ.get("LOCAL_RANK")
    if str(device) == "cuda" and own is not None:
        return choose_device(f"cuda:{own}")
    return device


def settle_precision(precision: Precision, device: torch.device, *, is_wide: bool) -> Precision:
    """Replace ``auto``: bfloat16 where it pays, which is on GPUs that have it, and for wide networks on matrix tiles.

    On processors with AMX tiles a base-16 U-Net trains 2.2 times as fast in bfloat16 and LeNet 0.9 times
    (``benchmarks/training.py``); vector instructions alone were not measured, so they stay at float32.

    Args:
        precision: what the user asked for.
        device: where the network trains.
        is_wide: whether most multiply-adds are in layers that fill a tile.

    """
    if precision != "auto":
        return precision
    has_tiles = device.type == "cpu" and "amx_bf16" in cpu_flags()
    pays = has_bfloat16(device) and (device.type == "cuda" or (has_tiles and is_wide))
    return "bfloat16" if pays else "float32"


def choose_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the type that convolutions compute in: float32, or bfloat16 under autocast where the hardware has it.

    Processors without bfloat16 instructions emulate it at half the speed of float32, and are refused.

    Raises:
        UsageError: not a precision.
        DeviceError: bfloat16 on a device that would only emulate it.

    """
    if precision not in PRECISIONS:
        raise UsageError(f"precision {precision!r}", expected="auto, float32 or bfloat16", do="Correct the name")
    if precision == "bfloat16" and not has_bfloat16(device):
        raise DeviceError(
            f"{device} has no bfloat16 instructions and would emulate them, slower than float32",
            expected="hardware with bfloat16 (x86 with avx512_bf16 or amx_bf16, NVIDIA from Ampere on)",
            do="Use precision=float32",
        )
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 itself."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and bool(_BFLOAT16_FLAGS & cpu_flags())


def cpu_flags() -> frozenset[str]:
    """Return the processor's instruction-set flags, as Linux lists them; empty elsewhere."""
    if not _CPU_INFO.exists():
        return frozenset()
    lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    flags = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return frozenset(flags.partition(":")[2].split())


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Return the context of a forward pass in ``dtype``."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype=dtype)


def set_deterministic() -> None:
    """Let torch use only kernels whose results repeat bit for bit (the CPU's do in any case).

    cuBLAS reads its setting when it first starts, so this comes before any work on a GPU.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(mode=True)
    torch.backends.cudnn.benchmark = False


class DropoutDraws:
    """Makes the network's own random draws (dropout) a pure function of (seed, process, batch number).

    The generator is set before each forward pass, so a resumed run and the number of workers change nothing, whoever
    else draws from torch's generator in between.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        text = f"dropout/{seed}/{distributed.rank()}".encode()
        self._base = int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "little")
        self._generators = [torch.default_generator]
        if device.type == "cuda":
            torch.cuda.init()
            self._generators.append(torch.cuda.default_generators[device.index or 0])

    def set(self, batch_number: int) -> None:
        """Set the generator for the forward pass of this batch, counted from the start of the run."""
        for generator in self._generators:
            generator.manual_seed((self._base + batch_number) % 2**32)


def describe_machine() -> dict[str, object]:
    """Return what a reader needs to judge speed and bits: system, processor, threads, GPU."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "processor": platform.machine(),
        "cpus": os.cpu_count(),
        "gpu": gpu,
    }
