"""Content hashes: of files, and of the single pictures that a container holds."""

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.zarr_pictures import folder_sha256, folder_status

if TYPE_CHECKING:
    from pixelwise.data.manifest import Manifest

DIGEST_BYTES = 32


def file_sha256(path: Path) -> bytes:
    """Hash a file's bytes, or those of a folder's files, without holding them all."""
    if path.is_dir():
        return folder_sha256(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def file_status(path: Path) -> tuple[int, int]:
    """Return a file's size in bytes and its time in nanoseconds; of a folder, those of all its files together.

    Raises:
        OSError: it is not there.

    """
    status = os.stat(path)  # noqa: PTH116 - once for each sample of each epoch
    if stat.S_ISDIR(status.st_mode):
        return folder_status(path)
    return status.st_size, status.st_mtime_ns


def frame_sha256(pixels: NDArray[Any]) -> bytes:
    """Hash one picture of a container: its dtype, its shape and its pixels in row order."""
    digest = hashlib.sha256(f"{pixels.dtype.name} {pixels.shape}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()


def manifest_digest(manifest: "Manifest") -> str:
    """Return the sha256 that :meth:`~pixelwise.data.manifest.Manifest.digest` speaks of."""
    reading = manifest.mask_reading.to_json() if manifest.mask_reading else None
    digest = hashlib.sha256(json.dumps([manifest.task, list(manifest.classes), reading], sort_keys=True).encode())
    further = [text for text in (manifest.annotations, manifest.metadata) if len(text.blob)]  # older digests stay valid
    for text in (manifest.paths, manifest.masks, *further):
        for part in (text.codes, text.offsets, text.blob):
            digest.update(np.ascontiguousarray(part).data)
    for name in ("frame", "mask_frame", "label", "split", "sha256", "mask_sha256"):
        digest.update(np.ascontiguousarray(manifest.columns[name]).data)
    return digest.hexdigest()
