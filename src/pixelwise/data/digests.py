"""Content hashes: of files, and of the single pictures that a container holds."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIGEST_BYTES = 32


def file_sha256(path: Path) -> bytes:
    """Hash a file's bytes without holding them all."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def frame_sha256(pixels: NDArray[Any]) -> bytes:
    """Hash one picture of a container: its dtype, its shape and its pixels in row order."""
    digest = hashlib.sha256(f"{pixels.dtype.name} {pixels.shape}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()
