"""Arrays and tensors in safetensors files, written atomically and checked before they are believed.

safetensors runs no code when it loads, but it accepts some tampering (duplicate keys, flipped bytes, headers of many
megabytes that take minutes to parse), so the header is capped and checked here, and callers keep a sha256.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from pixelwise.errors import WeightsError
from pixelwise.storage.atomic import write_bytes

if TYPE_CHECKING:
    import torch

HEADER_LIMIT_BYTES = 1 << 20
_LENGTH_BYTES = 8


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> str:
    """Write arrays and string metadata atomically; return the file's sha256 in hex."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return _write(path, safetensors.numpy.save(contiguous, metadata=dict(metadata)))


def read_arrays(path: Path, *, sha256: str | None = None) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read arrays and metadata.

    Args:
        path: a safetensors file.
        sha256: the digest that the file must have, when it is known.

    Raises:
        WeightsError: missing, truncated, tampered with, or not safetensors.

    """
    content, metadata = _read(path, sha256)
    try:
        return safetensors.numpy.load(content), metadata
    except Exception as error:
        raise _damaged(path, str(error)) from None


def write_tensors(path: Path, tensors: "Mapping[str, torch.Tensor]", metadata: Mapping[str, str]) -> str:
    """Write tensors and string metadata atomically; return the file's sha256 in hex."""
    import safetensors.torch

    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return _write(path, safetensors.torch.save(ready, metadata=dict(metadata)))


def read_tensors(
    path: Path, *, sha256: str | None = None, header_limit_bytes: int = HEADER_LIMIT_BYTES
) -> "tuple[dict[str, torch.Tensor], dict[str, str]]":
    """Read tensors and metadata; see :func:`read_arrays`.

    ``header_limit_bytes`` may be raised for files of ours that hold many small tensors, such as optimiser states.
    """
    import safetensors.torch

    content, metadata = _read(path, sha256, header_limit_bytes)
    try:
        return safetensors.torch.load(content), metadata
    except Exception as error:
        raise _damaged(path, str(error)) from None


def _write(path: Path, content: bytes) -> str:
    write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()


def _read(path: Path, sha256: str | None, header_limit_bytes: int = HEADER_LIMIT_BYTES) -> tuple[bytes, dict[str, str]]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing", expected="a safetensors file", do="Check the path") from None
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}", do="Check the path and its rights") from None
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise _damaged(path, "its sha256 is not the recorded one")
    return content, _checked_metadata(path, content, header_limit_bytes)


def _checked_metadata(path: Path, content: bytes, limit_bytes: int) -> dict[str, str]:
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    if len(content) < _LENGTH_BYTES or length > len(content) - _LENGTH_BYTES:
        raise _damaged(path, f"{len(content)} bytes are too few for its header: truncated, or not safetensors")
    if length > limit_bytes:
        raise _damaged(path, f"its header has {length} bytes, more than the {limit_bytes} that are allowed")
    try:
        header = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length], object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"its header is not valid: {error}") from None
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _damaged(path, "its header is not a table of tensors")
    return metadata


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key stands twice")
    return table


def _damaged(path: Path, why: str) -> WeightsError:
    return WeightsError(f"{path} is damaged: {why}", expected="an unchanged safetensors file", do="Take a fresh copy")
