"""Content hashes: of files, and of the single pictures that a container holds."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pixelwise.data.manifest import Manifest

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
