"""Tensors by name from files, without running anything that a file names.

Files: ``.safetensors``, and PyTorch's ``.pth``, ``.pt``, ``.th`` through its loader that admits only tensors and plain
containers. Pickled modules and other objects are refused, since reading them would run the code that they name.
"""

from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from pixelwise.errors import WeightsError
from pixelwise.storage.arrays import read_tensors
from pixelwise.weights.record import weights_file

TORCH_SUFFIXES: Final = (".pth", ".pt", ".th")
_SAFETENSORS: Final = ".safetensors"
_WRAPPERS: Final = ("state_dict", "model")
"""Keys under which checkpoints of training programs keep the weights."""
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_HEADER_AT: Final = 8
"""Where the header of a safetensors file begins, with a brace."""
_CONVERT: Final = (
    "Where the file was made, load it and save only its weights, with "
    "safetensors.torch.save_file(network.state_dict(), 'weights.safetensors')"
)


def check_file(path: Path) -> Path:
    """Return the file that a path means, having looked at its name and its first bytes alone.

    Args:
        path: a file of weights; or a run or a model folder, which hold one.

    Raises:
        WeightsError: it is not there, or no file of weights by its name or its beginning.

    """
    path = weights_file(path)
    suffix = path.suffix.lower()
    if path.is_dir():
        raise WeightsError(
            f"{path} is a folder without weights",
            expected="a file of weights, or a run that has finished an epoch",
            do="Check the path",
        )
    if suffix != _SAFETENSORS and suffix not in TORCH_SUFFIXES:
        raise WeightsError(
            f"{path} is no file of weights by its name",
            expected=f"a name in {_SAFETENSORS}, {', '.join(TORCH_SUFFIXES)}",
            do="Rename it if it is one",
        )
    try:
        with path.open("rb") as file:
            start = file.read(_HEADER_AT + 1)
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read: {error.strerror}", expected="a file of weights", do="Check the path"
        ) from None
    is_torch, is_safetensors = start.startswith((_ZIP, _PICKLE)), start[_HEADER_AT:] == b"{"
    if suffix == _SAFETENSORS and is_torch and not is_safetensors:
        raise WeightsError(
            f"{path} was written by PyTorch, not as safetensors", do=f"Rename it to {path.with_suffix('.pth').name}"
        )
    if suffix != _SAFETENSORS and not is_torch:
        if is_safetensors:
            raise WeightsError(
                f"{path} is a safetensors file, not PyTorch's",
                do=f"Rename it to {path.with_suffix(_SAFETENSORS).name}",
            )
        raise WeightsError(f"{path} was not written by PyTorch", expected="a file of weights", do="Take a fresh copy")
    return path


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name.

    Raises:
        WeightsError: the file is missing, damaged or unsafe, or holds something else.

    """
    path = check_file(path)
    if path.suffix.lower() == _SAFETENSORS:
        return read_tensors(path)[0]
    content = _load_torch(path)
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content:
        raise WeightsError(
            f"{path} holds {type(content).__name__}, no weights", expected="tensors by name", do=_CONVERT
        )
    for name, value in content.items():
        _check_entry(path, name, value)
    return content


def _check_entry(path: Path, name: object, value: object) -> None:
    if not isinstance(value, Tensor):
        wrappers = " or ".join(f'"{key}"' for key in _WRAPPERS)
        inside = f", or a table of them under {wrappers}" if isinstance(value, dict) else ""
        raise WeightsError(f"{path}: {name} is no tensor", expected=f"tensors by name{inside}", do=_CONVERT)
    if not isinstance(name, str):
        raise WeightsError(f"{path}: {name!r} is no name of a tensor", expected="tensors by name", do=_CONVERT)


def _load_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error}", do="Check the disk") from None
    except MemoryError:
        raise
    except Exception as error:  # a damaged file makes the loader fail in any way
        if type(error).__name__ == "UnpicklingError":  # by name: nothing here imports pickle
            raise WeightsError(
                f"{path} holds pickled objects besides tensors, which are not loaded: they could run any code",
                expected="tensors by name",
                do=_CONVERT,
            ) from None
        why = str(error) or "it ends too early"
        raise WeightsError(
            f"{path} is damaged: {why.splitlines()[0]}", expected="a file of weights", do="Take a fresh copy"
        ) from None
