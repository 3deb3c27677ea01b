"""Reading samples by their place in a manifest: from files, TIFF stacks, IDX files and CIFAR batches alike."""

import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data import cifar, idx
from pixelwise.data.containers import open_container
from pixelwise.data.digests import file_sha256, file_status, frame_sha256
from pixelwise.data.images import read_image, to_channels
from pixelwise.data.manifest import Manifest
from pixelwise.data.masks import MaskReading, apply_reading, read_label_map, read_mask_raw
from pixelwise.data.names import show_path
from pixelwise.data.object_windows import ObjectPlanes
from pixelwise.data.objects import read_objects
from pixelwise.data.regions import LARGE_PIXELS
from pixelwise.data.volumes.reading import read_label_values, read_volume
from pixelwise.data.volumes.volume import Volume
from pixelwise.data.windows import WindowedArray, is_windowed, open_mask_windows, open_windows
from pixelwise.data.zarr_pictures import is_zarr_name, open_zarr, read_zarr
from pixelwise.errors import DataError

KEPT_BYTES: Final = 2**31  # decoded frames of stacks that one reader keeps
_BATCHES: Final = (idx.NAME, cifar.NAME)


class Glimpses:
    """Pictures for measuring: small windows in an even grid stand for a large picture that is read by window."""

    def __init__(self, reader: "SampleReader") -> None:
        self._reader = reader

    def image(self, index: int) -> NDArray[Any]:
        """Read a picture, or windows of it one above the other; see :meth:`SampleReader.image`."""
        channels = int(self._reader.manifest.columns["channels"][index])
        windowed = self._reader.windowed(index, channels)
        return self._reader.image(index) if windowed is None else windowed[0].glimpses()


class SampleReader:
    """Images and label maps of a manifest, in the files' own size and dtype.

    Containers are opened once: IDX files and CIFAR batches are mapped into memory (unpacked into it when gzipped), the
    frames of TIFF stacks are decoded when first asked for and kept, up to 2 GiB. A file whose time has changed since it
    was indexed is accepted only if its content has not. Threads may share a reader; a copy sent to another process
    opens its own files.

    Args:
        root: the data folder.
        manifest: its index.

    """

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.root = Path(root)
        self.manifest = manifest
        self._forget()

    def _forget(self) -> None:
        self._containers: dict[str, NDArray[np.uint8]] = {}
        self._frames: dict[tuple[str, int], NDArray[Any]] = {}
        self._kept_bytes = 0
        self._windows: dict[tuple[int, int], tuple[WindowedArray, WindowedArray]] = {}
        self._planes: dict[tuple[int, bool], WindowedArray] = {}
        self._accepted: dict[str, int] = {}  # path to the changed time under which its content was found unchanged
        self._lock = threading.Lock()

    def __getstate__(self) -> tuple[Path, Manifest]:
        return self.root, self.manifest

    def __setstate__(self, state: tuple[Path, Manifest]) -> None:
        self.root, self.manifest = state
        self._forget()

    def image(self, index: int) -> NDArray[Any]:
        """Read one image.

        Returns:
            (H, W, C) uint8, uint16 or float32; (D, H, W, C) float32 of a volume; may be a read-only view.

        Raises:
            DataError: the file has vanished or changed since it was indexed, or cannot be read any more.

        """
        path, frame = self.manifest.paths[index], int(self.manifest.columns["frame"][index])
        if self.manifest.columns["depth"][index]:
            return self.volume(index).voxels
        if self.manifest.layout in _BATCHES:
            self._verify(index, path, "", lambda: self._container(path)[frame])
            return self._container(path)[frame]
        whole = self.root / path
        if frame < 0:
            self._verify(index, path, "", None)
            if is_zarr_name(path):
                with open_zarr(whole, missing="fill") as source:  # it is as it was when it was indexed
                    return read_zarr(source)
            return read_image(whole)
        self._verify(index, path, "", lambda: read_image(whole, frame=frame))
        return self._frame(path, frame, lambda: read_image(whole, frame=frame))

    def volume(self, index: int) -> Volume:
        """Read one volume with its geometry; see :meth:`image`."""
        path = self.manifest.paths[index]
        self._verify(index, path, "", None)
        return read_volume(self.root / path)

    def windowed(self, index: int, channels: int) -> tuple[WindowedArray, WindowedArray] | None:
        """Return a large picture and its label map, to be read where they are cut, in ``channels`` channels.

        None for a picture of up to ``LARGE_PIXELS``, or whose picture or mask is not stored in parts: both are TIFF,
        in tiles or strips, or Zarr.

        Raises:
            DataError: as for :meth:`image`.

        """
        if self.manifest.task != "segmentation" or not self._is_windowed(index):
            return None
        path, (mask, _, reading) = self.manifest.paths[index], self._mask(index)
        name, mask_name = show_path(path), show_path(mask)
        if (known := self._windows.get((index, channels))) is not None:
            return known
        picture = open_windows(self.root / path, lambda values: to_channels(values, channels, name))
        labels = open_mask_windows(self.root / mask, lambda values: apply_reading(values, reading, mask_name))
        if is_zarr_name(path) or is_zarr_name(mask):  # opening one means looking for each of its chunks
            self._windows[index, channels] = picture, labels
        return picture, labels

    def windowed_objects(
        self, index: int, channels: int, *, is_weighed: bool
    ) -> tuple[WindowedArray, WindowedArray] | None:
        """Return a large picture and the planes of its objects, to be read where they are cut.

        None as for :meth:`windowed`, and where the mask does not number its objects: connected pieces are known from
        the whole mask only. See :class:`~pixelwise.data.object_windows.ObjectPlanes` for ``is_weighed``.

        Raises:
            DataError: as for :meth:`image`.

        """
        path, (mask, _, reading) = self.manifest.paths[index], self._mask(index)
        if reading.kind != "instance" or not self._is_windowed(index):
            return None
        name = show_path(path)
        planes = self._planes.get((index, is_weighed))
        if planes is None:  # kept, because weights of classes are counted over all of it
            planes = ObjectPlanes(open_mask_windows(self.root / mask), reading, show_path(mask), is_weighed).windows()
            self._planes[index, is_weighed] = planes
        return open_windows(self.root / path, lambda values: to_channels(values, channels, name)), planes

    def windowed_classes(self, index: int) -> WindowedArray:
        """Return the label map of a picture of which :meth:`windowed_objects` gives windows, likewise."""
        mask, _, reading = self._mask(index)
        name = show_path(mask)
        return open_mask_windows(self.root / mask, lambda values: apply_reading(values, reading, name))

    def _is_windowed(self, index: int) -> bool:
        """Whether picture and mask are large and stored in parts; they are then compared with their entries."""
        path, mask = self.manifest.paths[index], self._mask(index)[0]
        if math.prod(self.manifest.size(index)) <= LARGE_PIXELS:
            return False
        if not (is_windowed(self.root / path) and is_windowed(self.root / mask)):
            return False
        self._verify(index, path, "", None)
        self._verify(index, mask, "mask_", None)
        return True

    def images(self, indices: NDArray[np.int64]) -> NDArray[np.uint8] | None:
        """Read many pictures of unchanged IDX files or CIFAR batches at once: (N, H, W, C).

        None for other layouts and for files that were touched, whose pictures :meth:`image` compares one by one.
        """
        if self.manifest.layout not in _BATCHES or not len(indices):
            return None
        frames, codes = self.manifest.columns["frame"][indices], self.manifest.paths.codes[indices]
        pictures = np.empty((len(indices), *self.image(int(indices[0])).shape), np.uint8)
        for code in np.unique(codes):
            chosen = codes == code
            path = self.manifest.paths.distinct(int(code))
            if not self._is_as_indexed(int(indices[chosen][0]), path):
                return None
            pictures[chosen] = self._container(path)[frames[chosen]]
        return pictures

    def label_map(self, index: int) -> NDArray[np.uint8]:
        """Read one mask as a label map.

        Returns:
            (H, W), of a volume (D, H, W), uint8: class indices, 255 where ignored; may be a read-only view.

        Raises:
            DataError: the sample has no mask, or as for :meth:`image`.

        """
        path, frame, reading = self._mask(index)
        whole = self.root / path
        if self.manifest.columns["depth"][index]:
            self._verify(index, path, "mask_", None)
            values = read_label_values(whole)
            rows = values.reshape(-1, values.shape[-1])
            return apply_reading(rows, reading, show_path(path)).reshape(values.shape)
        if frame < 0:
            self._verify(index, path, "mask_", None)
            return read_label_map(whole, reading)
        self._verify(index, path, "mask_", lambda: read_mask_raw(whole, frame=frame))
        return self._frame(
            path, frame, lambda: apply_reading(read_mask_raw(whole, frame=frame), reading, show_path(path))
        )

    def label_strips(self, index: int) -> Iterator[NDArray[np.uint8]]:
        """Read one mask as a label map, a large one in strips from top to bottom; see :meth:`label_map`."""
        windowed = self.windowed(index, int(self.manifest.columns["channels"][index]))
        if windowed is None:
            yield self.label_map(index)
        else:
            yield from windowed[1].strips()

    def objects(self, index: int) -> NDArray[np.int32]:
        """Read one mask as numbered objects: (H, W), 0 for none; see :mod:`pixelwise.data.objects`.

        Raises:
            DataError: as for :meth:`label_map`.
            MaskError: there are more objects than can be numbered.

        """
        path, frame, reading = self._mask(index)
        whole = self.root / path
        stored = frame if frame >= 0 else None
        self._verify(index, path, "mask_", None if stored is None else lambda: read_mask_raw(whole, frame=stored))
        return read_objects(read_mask_raw(whole, frame=stored), reading, show_path(str(whole)))

    def _mask(self, index: int) -> tuple[str, int, MaskReading]:
        path, reading = self.manifest.masks[index], self.manifest.mask_reading
        if not path or reading is None:
            raise DataError(
                f"{show_path(self.manifest.paths[index])} has no mask",
                expected="a data set of images and masks",
                do="Index the folder for segmentation",
            )
        return path, int(self.manifest.columns["mask_frame"][index]), reading

    def _container(self, path: str) -> NDArray[np.uint8]:
        with self._lock:
            if path not in self._containers:
                self._containers[path] = open_container(self.root / path)
            return self._containers[path]

    def _frame(self, path: str, frame: int, decode: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        key = (path, frame)
        if (known := self._frames.get(key)) is not None:
            return known
        pixels = decode()
        pixels.flags.writeable = False
        with self._lock:
            if key not in self._frames and self._kept_bytes + pixels.nbytes <= KEPT_BYTES:
                self._frames[key] = pixels
                self._kept_bytes += pixels.nbytes
        return pixels

    def _verify(self, index: int, path: str, prefix: str, pixels: Callable[[], NDArray[Any]] | None) -> None:
        """Compare a file with its entry; where only its time differs, its content decides.

        Args:
            index: the sample.
            path: the file, relative to the data folder.
            prefix: "" for the image's columns, "mask_" for the mask's.
            pixels: decodes what was hashed of a container; ``None`` where the whole file was.

        """
        columns, key = self.manifest.columns, path if pixels is None else f"{path}\0{index}"
        if is_zarr_name(path) and key in self._accepted:
            return  # once is enough for what may be thousands of files
        try:
            size_bytes, mtime = file_status(self.root / path)
        except OSError as error:
            raise self._gone(path, f"cannot be read any more ({error.strerror})") from None
        if size_bytes != columns[f"{prefix}size_bytes"][index]:
            raise self._gone(path, "has changed since it was indexed")
        if mtime in (columns[f"{prefix}mtime_ns"][index], self._accepted.get(key)):
            if is_zarr_name(path):
                self._accepted[key] = mtime
            return
        digest = file_sha256(self.root / path) if pixels is None else frame_sha256(pixels())
        if digest != columns[f"{prefix}sha256"][index].tobytes():
            raise self._gone(path, "has changed since it was indexed")
        self._accepted[key] = mtime

    def _is_as_indexed(self, index: int, path: str) -> bool:
        columns = self.manifest.columns
        try:
            status = (self.root / path).stat()
        except OSError:
            return False
        return status.st_size == columns["size_bytes"][index] and status.st_mtime_ns == columns["mtime_ns"][index]

    def _gone(self, path: str, what: str) -> DataError:
        return DataError(
            f"{show_path(str(self.root / path))} {what}",
            expected="the file as it was indexed",
            do="Restore it, or start a new run on the changed data",
        )
