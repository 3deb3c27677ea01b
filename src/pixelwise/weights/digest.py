"""The checksum of a file of any size."""

import hashlib
from pathlib import Path

from pixelwise.errors import WeightsError


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hex, read piece by piece.

    Raises:
        WeightsError: it cannot be read.

    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}", do="Check the path") from None
