"""Tensors by name from files, without running anything that a file names.

Files: ``.safetensors``, and PyTorch's ``.pth``, ``.pt``, ``.th`` through its loader that admits only tensors and plain
containers. Pickled modules and other objects are refused, since reading them would run the code that they name.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixelwise.errors import WeightsError
from pixelwise.storage.arrays import read_tensors

TORCH_SUFFIXES = (".pth", ".pt", ".th")
_WRAPPERS = ("state_dict", "model")
"""Keys under which checkpoints of training programs keep the weights."""
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name.

    Raises:
        WeightsError: the file is missing, damaged or unsafe, or holds something else.

    """
    if path.suffix == ".safetensors":
        return read_tensors(path)[0]
    if path.suffix not in TORCH_SUFFIXES:
        raise WeightsError(
            f"{path} is no file of weights by its name",
            expected=f"a name in .safetensors, {', '.join(TORCH_SUFFIXES)}",
            do="Rename it if it is one",
        )
    content = _load_torch(path)
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content:
        raise WeightsError(
            f"{path} holds {type(content).__name__}, no weights", expected="tensors by name", do=_CONVERT
        )
    strangers = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if strangers:
        raise WeightsError(f"{path}: {strangers[0]} is no tensor", expected="tensors by name", do=_CONVERT)
    return content


_CONVERT = (
    "Where the file was made, load it and save only its weights, with "
    "safetensors.torch.save_file(network.state_dict(), 'weights.safetensors')"
)


def _load_torch(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            start = file.read(len(_ZIP))
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read: {error.strerror}", expected="a file of weights", do="Check the path"
        ) from None
    if not start.startswith((_ZIP, _PICKLE)):
        raise WeightsError(f"{path} was not written by PyTorch", expected="a file of weights", do="Take a fresh copy")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if "weights_only" in str(error) or "Weights only" in str(error):
            raise WeightsError(
                f"{path} holds pickled objects besides tensors, which are not loaded: they could run any code",
                expected="tensors by name",
                do=_CONVERT,
            ) from None
        raise WeightsError(
            f"{path} is damaged: {str(error).splitlines()[0]}", expected="a file of weights", do="Take a fresh copy"
        ) from None
