"""The numeric columns of a manifest, and the way to them from what older formats hold."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from pixelwise.data.columns import Arrays, TextColumn

SCALARS: Final[Mapping[str, Any]] = {
    "label": np.int32,
    "split": np.uint8,
    "frame": np.int32,
    "mask_frame": np.int32,
    "depth": np.int32,
    "height": np.int32,
    "width": np.int32,
    "channels": np.int32,
    "dtype": np.uint8,
    "size_bytes": np.int64,
    "mtime_ns": np.int64,
    "mask_size_bytes": np.int64,
    "mask_mtime_ns": np.int64,
}
ROWS: Final[Mapping[str, Any]] = {
    "sha256": np.uint8, "mask_sha256": np.uint8, "presence": np.uint8, "spacing": np.float32,
}  # fmt: skip

_WITHOUT_ANNOTATIONS: Final = 1


def migrated(arrays: Arrays, about: dict[str, Any], number: int) -> tuple[Arrays, dict[str, Any]]:
    """Add what a manifest of format ``number`` lacks: annotations (1), volumes and metadata (1 and 2)."""
    nothing = TextColumn.of([""] * int(about["rows"]))
    added: Arrays = {
        "depth": np.zeros(1, np.int32),
        "spacing": np.zeros((1, 3), np.float32),
        **nothing.arrays("metadata"),
        **(nothing.arrays("annotation") if number == _WITHOUT_ANNOTATIONS else {}),
    }
    return {**arrays, **added}, {**about, "metadata_names": ()}
