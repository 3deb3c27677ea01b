"""The device that a user names, as the device that is there."""

import torch

from pixelwise.errors import DeviceError


def choose_device(name: str) -> torch.device:
    """Return the device for "auto", "cpu", "cuda", "cuda:N" or "mps"; "auto" takes a GPU where there is one.

    Raises:
        DeviceError: unknown, or not on this machine.

    """
    if name == "auto":
        return torch.device(_best())
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"--device {name}", expected="auto, cpu, cuda, cuda:N or mps", do="Correct the name")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(f"--device {name}: no usable CUDA GPU is on this machine", do=_OTHERWISE)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"--device {name}", expected=f"an index below {torch.cuda.device_count()}", do=_OTHERWISE)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError(f"--device {name}: no usable Apple GPU is on this machine", do=_OTHERWISE)
    return device


_OTHERWISE = "Use --device auto, which takes what is there, or --device cpu"


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
