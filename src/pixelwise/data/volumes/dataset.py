"""Volumes as a network sees them during training: levelled, brought to one spacing, cut into patches, augmented.

A volume is read, given its own scale and brought to the spacing of the preprocessing; this much may be kept in memory,
as float32. Then the augmentation warps it once to the size of the patch. Without augmentation a sample is the whole
volume, or a part of it, filled up to a size that the network takes: with its mirror image, which no score counts.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.draws import sample_generator
from pixelwise.data.foreground import Aims
from pixelwise.data.label_planes import CLASSES
from pixelwise.data.manifest import Manifest
from pixelwise.data.masks import IGNORE
from pixelwise.data.names import show_path
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.reading import SampleReader
from pixelwise.data.sample_cache import CACHE_SHARE, CachePolicy, SampleCache, free_memory_bytes
from pixelwise.data.sample_set import Arrays
from pixelwise.data.volumes.augment import VolumeAugment, change_values
from pixelwise.data.volumes.resample import Size, resize_labels, resize_volume, size_at
from pixelwise.data.volumes.warp import mirrored
from pixelwise.errors import DataError, MaskError

_FLOAT = np.dtype(np.float32)
_Sample = tuple[NDArray[np.float32], NDArray[np.uint8]]
"""Volume (D, H, W, C), and labels (D, H, W)."""


class VolumeDataset:
    """Some volumes of a manifest, as a network sees them.

    Args:
        manifest: the index of the data set.
        root: the data set's folder.
        indices: which samples of the manifest.
        preprocess: of the network.
        augment: None for evaluation: nothing is drawn.
        sizes: (3,) size of all patches, or (len(indices), 3) of each sample; larger ones than the volume are filled up.
        seed: of the run; every draw follows from it, the epoch and the sample's manifest index.
        cache: ``memory`` keeps decoded volumes, ``none`` does not, ``auto`` keeps them where all of them fit into
            ``CACHE_SHARE`` of the free memory.
        context: see :meth:`VolumeAugment.draw`; for networks with valid convolutions.
        patches: of each volume in an epoch, each a sample of its own.
        foreground: see :class:`~pixelwise.data.dataset.Dataset`.
        starts: (len(indices), 3) first voxel of what is cut of each sample without augmentation; negative where the
            mirror image comes first. None cuts out the centre.

    """

    def __init__(
        self,
        manifest: Manifest,
        root: Path,
        indices: NDArray[np.int64],
        preprocess: Preprocess,
        *,
        augment: VolumeAugment | None,
        sizes: NDArray[np.int64] | tuple[int, ...],
        seed: int,
        cache: CachePolicy = "auto",
        context: tuple[int, ...] = (0, 0, 0),
        patches: int = 1,
        foreground: float = 0.0,
        starts: NDArray[np.int64] | None = None,
    ) -> None:
        self.manifest, self.preprocess, self.augment, self.seed = manifest, preprocess, augment, seed
        volumes = np.asarray(indices, np.int64)
        self._volumes, self.indices = volumes, np.repeat(volumes, patches)
        self.sizes = np.repeat(np.broadcast_to(np.asarray(sizes, np.int64), (len(volumes), 3)), patches, axis=0)
        self.context, self._patches, self._aims = context, patches, Aims(seed, foreground)
        self._reader = SampleReader(root, manifest)
        self._stored = stored_sizes(manifest, volumes, preprocess)
        self._starts = (self._stored - self.sizes[::patches]) // 2 if starts is None else starts
        self._cache = self._make_cache(cache)

    @property
    def numbers(self) -> None:
        """Nothing: volumes have no metadata."""

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def cached(self) -> bool:
        """Whether decoded volumes are kept in memory."""
        return self._cache is not None

    @property
    def sample_bytes(self) -> int:
        """Size in bytes of the largest sample as it leaves this data set, its labels included."""
        return int(np.max(self.sizes.prod(axis=1), initial=0)) * self._voxel_bytes

    def stored(self, position: int) -> _Sample:
        """Read one volume as it is before augmentation: (D, H, W, C), and (D, H, W). Not to be written to."""
        place = position // self._patches
        if self._cache is None:
            return self._read(place)
        self._cache.fill(np.array([place]), self._flat)
        size = tuple(self._stored[place].tolist())
        channels = self.preprocess.channels
        return self._cache.image(place).reshape(*size, channels), self._cache.label_map(place).reshape(size)

    def sample(self, position: int, epoch: int) -> _Sample:
        """Return one sample as the network sees it in this epoch, before normalising."""
        volume, labels = self.stored(position)
        depth, height, width = self.sizes[position].tolist()
        if self.augment is None:
            top, row, column = self._starts[position // self._patches].tolist()
            return _window(volume, labels, (top, row, column), (depth, height, width))
        index, patch = int(self.indices[position]), position % self._patches
        rng = sample_generator(self.seed, epoch, index, patch)
        spacing = self.preprocess.spacing or self.manifest.spacing(index) or (1.0, 1.0, 1.0)
        warp, change = self.augment.draw(
            labels.shape, (depth, height, width), rng, context=self.context, spacing=spacing,
            towards=self._aims.draw(labels, epoch, index, patch),
        )  # fmt: skip
        image, warped = warp.apply(volume, labels)
        assert warped is not None  # labels were given
        return change_values(image, change, (self.preprocess.low, self.preprocess.high), rng), warped

    def arrays(self, positions: NDArray[np.int64], epoch: int) -> Arrays:
        """Collate one batch: (N, D, H, W, C) float32, (N, D, H, W) uint8, indices.

        Raises:
            DataError: a file has vanished or changed since it was indexed.
            MaskError: a label volume has another size than its volume.

        """
        images, labels = zip(*(self.sample(position, epoch) for position in positions.tolist()), strict=True)
        if len({image.shape for image in images}) > 1:
            raise DataError(
                "Volumes of different size in one batch", expected="one size", do="Set crop, or batch_size=1"
            )
        return np.stack(images), np.stack(labels), self.indices[positions]

    def _read(self, place: int) -> _Sample:
        index = int(self._volumes[place])
        volume, labels = self._reader.image(index), self._reader.label_map(index)
        if labels.shape != volume.shape[:3]:
            raise MaskError(
                f"The labels of {show_path(self.manifest.paths[index])} have the shape {labels.shape}",
                expected=f"{volume.shape[:3]}, as the volume",
                do="Correct the pair; run `pixelwise check` for all of them",
            )
        depth, height, width = self._stored[place].tolist()
        size = (depth, height, width)
        return resize_volume(self.preprocess.levelled(volume), size), resize_labels(labels, size)

    def _flat(self, place: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        volume, labels = self._read(place)
        return volume.reshape(-1, *volume.shape[2:]), labels.reshape(-1, labels.shape[2])

    @property
    def _voxel_bytes(self) -> int:
        return self.preprocess.channels * _FLOAT.itemsize + CLASSES.pixel_bytes

    def _make_cache(self, policy: CachePolicy) -> SampleCache | None:
        needed_bytes = int(self._stored.prod(axis=1).sum()) * self._voxel_bytes
        is_large = policy == "auto" and needed_bytes > CACHE_SHARE * free_memory_bytes()
        if policy == "none" or is_large or not len(self):
            return None
        rows, columns = self._stored[:, 0] * self._stored[:, 1], self._stored[:, 2]
        return SampleCache(rows, columns, self.preprocess.channels, _FLOAT, labels=CLASSES)


def stored_sizes(manifest: Manifest, indices: NDArray[np.int64], preprocess: Preprocess) -> NDArray[np.int64]:
    """Return the sizes of volumes at the spacing of the preprocessing: (n, 3).

    Raises:
        DataError: one of them does not know its spacing.

    """
    return sizes_at(manifest, indices, preprocess.spacing)


def sizes_at(
    manifest: Manifest, indices: NDArray[np.int64], spacing: tuple[float, float, float] | None
) -> NDArray[np.int64]:
    """As :func:`stored_sizes`, at a spacing; None for each volume's own."""
    if spacing is None:
        return manifest.sizes()[indices]
    sizes = manifest.sizes()
    found: list[Size] = []
    for index in indices.tolist():
        have = manifest.spacing(index)
        if have is None:
            raise DataError(
                f"{show_path(manifest.paths[index])} does not say how far apart its voxels are",
                expected="a spacing in mm in every file, because spacing is set",
                do="Leave spacing out, or save the volume as NIfTI",
            )
        found.append(size_at(tuple(sizes[index].tolist()), have, spacing))
    return np.array(found, np.int64).reshape(-1, 3)


def _window(volume: NDArray[np.float32], labels: NDArray[np.uint8], start: Size, size: Size) -> _Sample:
    """Cut a window out; beyond the volume there is its mirror image, whose labels are ignored."""
    places = [first + np.arange(side) for first, side in zip(start, size, strict=True)]
    shown = np.ix_(*(mirrored(place, length) for place, length in zip(places, labels.shape, strict=True)))
    cut = np.ascontiguousarray(labels[shown])
    for axis, (place, length) in enumerate(zip(places, labels.shape, strict=True)):
        cut[(slice(None),) * axis + ((place < 0) | (place >= length),)] = IGNORE
    return np.ascontiguousarray(volume[shown]), cut
