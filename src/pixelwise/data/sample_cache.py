"""Decoded pictures and label maps in memory, shared by all workers."""

import math
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.label_planes import LabelForm

CachePolicy = Literal["auto", "memory", "none"]

CACHE_SHARE = 0.25
"""The most of the free memory that ``cache="auto"`` takes."""

_ALIGNED_BYTES = 8
_MEMORY_TABLE = "/proc/meminfo"
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current")


class SampleCache:
    """Room for every sample, filled when it is first decoded.

    One anonymous memory map holds all pictures one after the other, then all label maps. Worker processes that are
    forked later share it, so each sample is decoded once and kept once. A process that is started afresh begins
    empty.

    Args:
        heights: of the samples, in pixels.
        widths: of the samples.
        channels: of all pictures.
        dtype: of all pictures.
        labels: what goes with every pixel; None where nothing does.

    """

    def __init__(
        self,
        heights: NDArray[np.int64],
        widths: NDArray[np.int64],
        channels: int,
        dtype: np.dtype[Any],
        *,
        labels: LabelForm | None,
    ) -> None:
        self._heights, self._widths, self._channels, self._dtype = heights, widths, channels, dtype
        self._labels = labels
        self._uniform = bool((heights == heights[0]).all() and (widths == widths[0]).all())
        pixels = np.concatenate(([0], np.cumsum(heights * widths)))
        self._pixels = pixels
        pixel_bytes = channels * dtype.itemsize
        image_bytes = int(pixels[-1]) * pixel_bytes
        start = -(-image_bytes // _ALIGNED_BYTES) * _ALIGNED_BYTES
        label_bytes = 0 if labels is None else int(pixels[-1]) * labels.pixel_bytes
        self.size_bytes = start + label_bytes
        memory = np.frombuffer(mmap.mmap(-1, max(self.size_bytes + len(heights), 1)), np.uint8)
        self._images = memory[:image_bytes].view(dtype)
        self._label_maps = memory[start : self.size_bytes].view(np.uint8 if labels is None else labels.dtype)
        self._filled = memory[self.size_bytes :]

    def __reduce__(self) -> tuple[object, ...]:
        """Leave the content behind when a process is started afresh: it fills its own."""
        return _empty, (self._heights, self._widths, self._channels, self._dtype, self._labels)

    def image(self, position: int) -> NDArray[Any]:
        """(H, W, C), read-only by agreement."""
        shape = (int(self._heights[position]), int(self._widths[position]), self._channels)
        start = int(self._pixels[position]) * self._channels
        return self._images[start : start + math.prod(shape)].reshape(shape)

    def label_map(self, position: int) -> NDArray[Any]:
        """(H, W), or (H, W, 3) where labels are planes."""
        planes = self._planes
        shape = (int(self._heights[position]), int(self._widths[position]), *planes)
        start = int(self._pixels[position]) * math.prod(planes)
        return self._label_maps[start : start + math.prod(shape)].reshape(shape)

    def fill(self, positions: NDArray[np.int64], read: Callable[[int], tuple[NDArray[Any], Any]]) -> None:
        """Decode with ``read`` those of ``positions`` that are not there yet."""
        for position in positions[self._filled[positions] == 0].tolist():
            image, label_map = read(position)
            self.image(position)[...] = image
            if label_map is not None:
                self.label_map(position)[...] = label_map
            self._filled[position] = 1  # last: another process may be looking

    def fill_all(self, images: NDArray[Any]) -> None:
        """Take every picture at once: (N, H, W, C), of the sizes and the type that were announced."""
        self._images[...] = images.reshape(-1)
        self._filled[...] = 1

    def gather(self, positions: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any] | None] | None:
        """Copy filled samples into one array (N, H, W, C) and one of labels (N, H, W, ...); None if sizes differ."""
        if not self._uniform:
            return None
        shape = (len(self._heights), int(self._heights[0]), int(self._widths[0]))
        images = self._images.reshape(*shape, self._channels)[positions]
        return images, None if self._labels is None else self._label_maps.reshape(*shape, *self._planes)[positions]

    @property
    def _planes(self) -> tuple[int, ...]:
        return () if self._labels is None else self._labels.planes


def free_memory_bytes() -> int:
    """Memory that this process may still take: of the machine, or of its control group where that is less."""
    free = _machine_free_bytes()
    try:
        limit, used = (Path(name).read_text().strip() for name in _LIMITS)
    except OSError:
        return free
    return free if limit == "max" else max(min(free, int(limit) - int(used)), 0)


def _machine_free_bytes() -> int:
    try:
        lines = Path(_MEMORY_TABLE).read_text().splitlines()
        table = dict(line.split(":", 1) for line in lines)
        return int(table["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _empty(
    heights: NDArray[np.int64], widths: NDArray[np.int64], channels: int, dtype: np.dtype[Any], labels: LabelForm | None
) -> SampleCache:
    return SampleCache(heights, widths, channels, dtype, labels=labels)
