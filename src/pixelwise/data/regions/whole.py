"""Ordinary pictures (PNG, JPEG, WebP, BMP) as region sources: decoded whole, once, when the first region is read."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.images import probe, read_image, read_stored
from pixelwise.data.names import show_path
from pixelwise.data.regions.base import Region, RegionSource, slices
from pixelwise.data.regions.identity import file_identity
from pixelwise.errors import ImageError


class WholePicture(RegionSource):
    """A picture that can only be decoded whole; at most 2^28 pixels, as :func:`~pixelwise.data.images.read_image`.

    Raises:
        ImageError: see :func:`~pixelwise.data.images.probe`; a volume is wanted.

    """

    def __init__(self, path: Path, dimensions: int | None, *, stored: bool) -> None:
        self.name, self._path, self._stored = show_path(str(path)), path, stored
        if dimensions == 3:
            raise ImageError(
                f"{self.name} is a picture", expected="a volume (TIFF, Zarr, .npy, raw)", do="Check the path"
            )
        info = probe(path)
        self._pixels = read_stored(path)[1] if stored else None
        self.shape = (info.height, info.width, 1 if stored else info.channels)
        self.dtype = np.dtype(info.dtype) if self._pixels is None else self._pixels.dtype
        self.chunk = self.size

    @property
    def identity(self) -> str:
        """Size, time and first and last bytes of the file, and its shape."""
        return file_identity(self._path, f"{self.shape} {self.dtype}")

    def _read(self, region: Region) -> NDArray[Any]:
        if self._pixels is None:
            self._pixels = read_image(self._path)
        return self._pixels[slices(region)]

    def close(self) -> None:
        """Forget the pixels."""
        self._pixels = None
