"""From samples of a manifest to arrays of one batch: read, resize, cache, augment, collate."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.augment import Augment
from pixelwise.data.draws import sample_generator
from pixelwise.data.foreground import Aims
from pixelwise.data.images import to_channels
from pixelwise.data.label_planes import CLASS, CLASSES, OBJECTS, ignore_beyond, join_planes
from pixelwise.data.manifest import Manifest
from pixelwise.data.names import show_path
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.reading import SampleReader
from pixelwise.data.sample_cache import CACHE_SHARE, CachePolicy, SampleCache, free_memory_bytes
from pixelwise.data.targets import TARGETS
from pixelwise.data.warp import Warp
from pixelwise.data.weight_map import separating_weights
from pixelwise.data.windows import Pixels
from pixelwise.errors import DataError, MaskError, UsageError

Arrays = tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]
"""Images (N, H, W, C) of their own type; targets (N, ...), see :mod:`pixelwise.data.targets`; manifest indices (N,)."""
_Sample = tuple[NDArray[Any], NDArray[Any] | None]
"""Picture (H, W, C), and labels where the task has any: (H, W), or planes (H, W, 3) for objects."""


class Dataset:
    """Some samples of a manifest, as a network sees them: resized, perhaps augmented, in their own data type.

    A sample is read and, unless the augmentation cuts its windows from the full resolution, resized by ``preprocess``;
    this much may be kept in memory. Then the augmentation warps it once to the size of the crop. Normalising is left to
    :meth:`Preprocess.normalise`, once for the whole batch.

    Args:
        manifest: the index of the data set.
        root: the data set's folder.
        indices: which samples of the manifest.
        preprocess: of the network.
        augment: None for evaluation: nothing is drawn, and a crop is the centre.
        crop: height and width that leave the augmentation; None keeps those of ``preprocess``.
        seed: of the run; every draw follows from it, the epoch and the sample's manifest index.
        cache: ``memory`` keeps decoded samples, ``none`` does not, ``auto`` keeps them where all of them fit into
            ``CACHE_SHARE`` of the free memory.
        context: see :meth:`Augment.apply`; for networks with valid convolutions.
        patches: crops of each picture in an epoch, each a sample of its own. Several without augmentation lie at random
            places that are the same in every epoch.
        foreground: probability that a crop is aimed at a pixel of the foreground (:mod:`pixelwise.data.foreground`):
            of a class drawn uniformly from those that the picture shows, at a place drawn uniformly from its pixels.
        fills_to: without augmentation and crop, samples are filled up to multiples of this at the bottom and the right,
            with their mirror image, which no score counts (:attr:`pixelwise.specs.Network.fills_to`).
        is_weighed: whether pixels get the weights of a map in which touching objects have background between them
            (:mod:`pixelwise.data.weight_map`), once a picture; without, all weigh 1. Only objects have weights.

    Raises:
        DataError: the samples are of different data types.
        UsageError: an impossible crop, or an unknown ``cache``.

    """

    def __init__(
        self,
        manifest: Manifest,
        root: Path,
        indices: NDArray[np.int64],
        preprocess: Preprocess,
        *,
        augment: Augment | None,
        crop: tuple[int, int] | None,
        seed: int,
        cache: CachePolicy = "auto",
        context: tuple[int, int] = (0, 0),
        is_weighed: bool = False,
        patches: int = 1,
        foreground: float = 0.0,
        fills_to: int = 1,
    ) -> None:
        _check_places(manifest, augment, crop, patches, foreground)
        self.manifest, self.preprocess, self.augment, self.crop, self.seed = manifest, preprocess, augment, crop, seed
        self._pictures = np.asarray(indices, np.int64)
        self.indices = np.repeat(self._pictures, patches)
        self.context, self._patches, self._aims = context, patches, Aims(seed, foreground)
        self._fills_to = fills_to
        self._reader = SampleReader(root, manifest)
        self._segments = manifest.form.by_pixel
        self._labels = (OBJECTS if manifest.task == "instances" else CLASSES) if self._segments else None
        self._is_weighed = is_weighed
        self._full_resolution = augment is not None and augment.needs_full_resolution
        self._targets = TARGETS[manifest.task](manifest, None if self._full_resolution else preprocess)
        self._dtype = self._common_dtype()
        self._cache = self._make_cache(cache)

    def __len__(self) -> int:
        return len(self.indices)

    @cached_property
    def numbers(self) -> NDArray[np.float32] | None:
        """(n, M) what is known of each sample of the manifest, as the network is given it; None without metadata.

        Raises:
            DataError: a value that no training picture has.

        """
        metadata = self.preprocess.metadata
        if metadata is None:
            return None
        return np.stack([metadata.encode(self.manifest.cells(i), self._name(i)) for i in range(len(self.manifest))])

    @property
    def cached(self) -> bool:
        """Whether decoded samples are kept in memory."""
        return self._cache is not None

    @property
    def sample_bytes(self) -> int:
        """Size in bytes of the largest sample as it leaves this data set, its target included."""
        heights, widths = self._stored_sizes()
        size = self.crop or (self.preprocess.size if self._full_resolution else None)
        heights, widths = (self._filled_up(sides) for sides in (heights, widths))
        pixels = int(np.max(heights * widths, initial=0)) if size is None else size[0] * size[1]
        return pixels * self._pixel_bytes + self._targets.sample_bytes

    def stored(self, position: int) -> _Sample:
        """Read one sample as it is before augmentation: (H, W, C), and (H, W) or None. Not to be written to."""
        picture = position // self._patches
        if self._cache is None:
            return self._read(picture)
        self._cache.fill(np.array([picture]), self._read)
        return self._cache.image(picture), self._cache.label_map(picture) if self._segments else None

    def sample(self, position: int, epoch: int) -> _Sample:
        """Return one sample as the network sees it in this epoch, before normalising."""
        return self._warped(position, epoch)[0]

    def _warped(self, position: int, epoch: int) -> tuple[_Sample, Warp | None]:
        """Return one sample as the network sees it, and the warp that it went through."""
        if self.augment is None and self.crop is None:
            return self._whole(*self.stored(position))
        index = int(self.indices[position])
        image, label_map = self._windowed(index) or self.stored(position)
        if self.augment is None and self._patches == 1:
            assert self.crop is not None  # or nothing would be left to do
            warp = _central(image.shape[:2], self.crop)
            return warp.apply(image, label_map), warp
        augment, epoch = (Augment(), 0) if self.augment is None else (self.augment, epoch)
        patch = position % self._patches
        rng = sample_generator(self.seed, epoch, index, patch)
        size = self.crop or (self.preprocess.size if self._full_resolution else None)
        drawn = augment.draw(
            image.shape[0], image.shape[1], rng, size, context=self.context,
            towards=self._aim(label_map, epoch, index, patch),
        )  # fmt: skip
        span, fill = (self.preprocess.low, self.preprocess.high), self.preprocess.raw_mean
        return augment.apply_drawn(image, label_map, drawn, rng, value_range=span, fill=fill), drawn[0]

    def _whole(self, image: NDArray[Any], label_map: NDArray[Any] | None) -> tuple[_Sample, Warp | None]:
        """Fill up a sample that is shown whole."""
        height, width = image.shape[:2]
        size = self._filled_up(height), self._filled_up(width)
        if size == (height, width):
            return (image, label_map), None
        warp = Warp.window((0, 0), size)
        image, label_map = warp.apply(image, label_map)
        if label_map is not None:
            ignore_beyond(label_map, height, width)
        return (image, label_map), warp

    @cached_property
    def _fills_some(self) -> bool:
        """Whether any sample has to be filled up, where it is shown whole."""
        return self._fills_to > 1 and any((self._filled_up(sides) != sides).any() for sides in self._stored_sizes())

    def _filled_up(self, side: Any) -> Any:
        """Return a side, or an array of sides, filled up."""
        return -(-side // self._fills_to) * self._fills_to

    def _aim(self, label_map: Pixels | None, epoch: int, index: int, patch: int) -> tuple[int, ...] | None:
        """Return the pixel that a crop is aimed at, if it is."""
        if label_map is None:
            return None
        if label_map.ndim == 3:
            whole = label_map[..., CLASS] if isinstance(label_map, np.ndarray) else None
            label_map = self._reader.windowed_classes(index) if whole is None else whole
        return self._aims.draw(label_map, epoch, index, patch)

    def arrays(self, positions: NDArray[np.int64], epoch: int) -> Arrays:
        """Collate one batch.

        Args:
            positions: places in this data set, 0 to len - 1.
            epoch: which the draws belong to.

        Raises:
            DataError: the samples differ in size, or a file has vanished or changed since it was indexed.
            MaskError: a mask has another size than its image.

        """
        indices = self.indices[positions]
        whole = self._gathered(positions)
        warps: Sequence[Warp | None] = [None] * len(indices)
        if whole is None:
            samples, warps = zip(*(self._warped(position, epoch) for position in positions.tolist()), strict=True)
            self._check_sizes([image.shape for image, _ in samples], indices)
            images = np.stack([image for image, _ in samples])
            maps = [label_map for _, label_map in samples if label_map is not None]
            label_maps = np.stack(maps) if maps else None
        else:
            images, label_maps = whole
        return images, self._targets.of_batch(indices, label_maps, warps), indices

    def _gathered(self, positions: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any] | None] | None:
        """Copy a batch out of the cache in one go, where nothing changes the samples on their way."""
        changed = self.crop is not None or (self.augment is not None and not self.augment.changes_nothing)
        if self._cache is None or changed or self._fills_some:
            return None
        self._cache.fill(positions, self._read)
        return self._cache.gather(positions)

    def _read(self, picture: int) -> _Sample:
        index = int(self._pictures[picture])
        image = self._reader.image(index)
        label_map = self._label_map(index, image) if self._segments else None
        objects = None
        if label_map is not None and self._labels == OBJECTS:
            objects = self._reader.objects(index)
        if image.shape[2] != self.preprocess.channels:
            image = to_channels(image, self.preprocess.channels, self._name(index))
        if not self._full_resolution:
            image = self.preprocess.spatial(image)
            label_map, objects = (
                None if one is None else self.preprocess.spatial_label_map(one) for one in (label_map, objects)
            )
        if label_map is None or objects is None:
            return image, label_map
        return image, join_planes(
            label_map, separating_weights(objects, label_map) if self._is_weighed else None, objects
        )

    def _label_map(self, index: int, image: NDArray[Any]) -> NDArray[np.uint8]:
        label_map = self._reader.label_map(index)
        if label_map.shape != image.shape[:2]:
            raise MaskError(
                f"The mask of {self._name(index)} has {_size(label_map.shape)} pixels",
                expected=f"{_size(image.shape)}, as the image",
                do="Correct the pair; run `pixelwise check` for all of them",
            )
        return label_map

    def _check_sizes(self, shapes: list[tuple[int, ...]], indices: NDArray[np.int64]) -> None:
        for shape, index in zip(shapes, indices.tolist(), strict=True):
            if shape != shapes[0]:
                raise DataError(
                    f"Pictures of different size in one batch: {self._name(int(indices[0]))} with {_size(shapes[0])}"
                    f" and {self._name(index)} with {_size(shape)} pixels",
                    expected="one size",
                    do="Set crop (random crops of one size), or resize and size (all pictures to one size),"
                    " or batch_size=1",
                )

    def _common_dtype(self) -> np.dtype[Any]:
        _, first = np.unique(self.manifest.column("dtype")[self.indices], return_index=True)
        names = [self.manifest[index].dtype for index in self.indices[first].tolist()]
        if len(names) > 1:
            raise DataError(
                f"The pictures are of different types: {', '.join(names)}",
                expected="one type, so that their values mean the same",
                do="Convert the pictures to one type",
            )
        return np.dtype(names[0] if names else "uint8")

    @property
    def _pixel_bytes(self) -> int:
        label_bytes = 0 if self._labels is None else self._labels.pixel_bytes
        return self.preprocess.channels * self._dtype.itemsize + label_bytes

    def _stored_sizes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Heights and widths of the samples before augmentation."""
        if self.preprocess.size is not None and not self._full_resolution:
            height, width = self.preprocess.size
            return np.full(len(self._pictures), height, np.int64), np.full(len(self._pictures), width, np.int64)
        heights, widths = (self.manifest.column(name)[self._pictures].astype(np.int64) for name in ("height", "width"))
        return heights, widths

    def _windowed(self, index: int) -> tuple[Pixels, Pixels] | None:
        """A large picture and its labels to be cut, where windows of it as it is stored are all that is needed."""
        is_resized = self.preprocess.size is not None and not self._full_resolution
        if self.crop is None or not self._segments or is_resized:
            return None
        if self._labels == OBJECTS:
            return self._reader.windowed_objects(index, self.preprocess.channels, is_weighed=self._is_weighed)
        return self._reader.windowed(index, self.preprocess.channels)

    def _make_cache(self, policy: CachePolicy) -> SampleCache | None:
        if policy not in ("auto", "memory", "none"):
            raise UsageError(f"cache={policy!r}", expected="auto, memory or none", do="Choose one of them")
        if policy == "none" or len(self) == 0:
            return None
        heights, widths = self._stored_sizes()
        if self._windowed(int(self._pictures[(heights * widths).argmax()])) is not None:
            return None
        needed_bytes = int((heights * widths).sum()) * self._pixel_bytes
        if policy == "auto" and needed_bytes > CACHE_SHARE * free_memory_bytes():
            return None
        cache = SampleCache(heights, widths, self.preprocess.channels, self._dtype, labels=self._labels)
        if not self._segments and self.preprocess.size is None:
            pictures = self._reader.images(self._pictures)
            if pictures is not None and pictures.shape[3] == self.preprocess.channels:
                cache.fill_all(pictures)
        return cache

    def _name(self, index: int) -> str:
        row = self.manifest[index]
        return show_path(row.path) + (f" (picture {row.frame})" if row.frame >= 0 else "")


def _check_places(
    manifest: Manifest, augment: Augment | None, crop: tuple[int, int] | None, patches: int, foreground: float
) -> None:
    """Refuse crops that cannot be placed as is asked for."""
    if crop is not None and min(crop) < 1:
        raise UsageError(f"crop={crop}", expected="height and width of at least 1", do="Correct the crop")
    for name, value in (("patches", patches if patches != 1 else 0), ("foreground", foreground)):
        if value and crop is None:
            raise UsageError(
                f"{name}={value} for whole pictures",
                expected="crops that can lie here or there",
                do=f"Set crop, for example --set crop=256, or leave {name} out",
            )
    if foreground and (not manifest.form.by_pixel or (augment is not None and augment.area is not None)):
        what = (
            "without masks" if not manifest.form.by_pixel else "with an augmentation that draws windows by their area"
        )
        raise UsageError(
            f"foreground={foreground:g} {what}", expected="masks, and crops of one size", do="Leave foreground out"
        )


def _central(size: tuple[int, ...], crop: tuple[int, int]) -> Warp:
    """Cut out the centre; where the crop is larger than the picture, show its mirror image around it."""
    return Warp.window(((size[0] - crop[0]) // 2, (size[1] - crop[1]) // 2), crop)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} x {shape[1]}"
