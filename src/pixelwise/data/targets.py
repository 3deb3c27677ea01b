"""The targets of a batch, task by task: what the loss compares the network's answers with.

A new task is one subclass and one line in :data:`TARGETS`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.box_lists import MOST_IMAGES, ClassedBox, all_through, parse_box_list, picture_within
from pixelwise.data.boxes import NO_BOX, cut_box, in_view, parse_box, relative, through
from pixelwise.data.manifest import Manifest
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.strings import NO_CHARACTER, parse_string
from pixelwise.data.task_names import TaskName
from pixelwise.data.warp import Warp


class Targets(ABC):
    """Makes targets of manifest entries.

    Args:
        manifest: the index of the data set.
        preprocess: what resizes pictures before they are warped; None where it is the warp that resizes them.

    """

    def __init__(self, manifest: Manifest, preprocess: Preprocess | None) -> None:
        self.manifest, self.preprocess = manifest, preprocess

    @property
    @abstractmethod
    def sample_bytes(self) -> int:
        """Most bytes that the target of one sample takes, label maps left out."""

    @abstractmethod
    def of_batch(
        self,
        indices: NDArray[np.int64],
        label_maps: NDArray[Any] | None,
        warps: Sequence[Warp | None],
    ) -> NDArray[Any]:
        """Return the targets of samples, along the first axis.

        Args:
            indices: (N,) their places in the manifest.
            label_maps: (N, H, W), or planes (N, H, W, 3), where the task has any: already warped.
            warps: what each picture went through after ``preprocess``; None for nothing.

        """


class ClassIndices(Targets):
    """(N,) int64 class indices, -1 for none."""

    @property
    def sample_bytes(self) -> int:
        """One number."""
        return 8

    def of_batch(
        self,
        indices: NDArray[np.int64],
        label_maps: NDArray[Any] | None,  # noqa: ARG002 - there are none
        warps: Sequence[Warp | None],  # noqa: ARG002 - no warp makes a cat a dog
    ) -> NDArray[np.int64]:
        """Return the labels."""
        return self.manifest.column("label")[indices].astype(np.int64)


class LabelMaps(Targets):
    """(N, H, W) uint8 class indices, 255 where ignored: the maps that the data set carries along."""

    @property
    def sample_bytes(self) -> int:
        """Nothing besides the label maps."""
        return 0

    def of_batch(
        self,
        indices: NDArray[np.int64],  # noqa: ARG002 - the maps are there already
        label_maps: NDArray[Any] | None,
        warps: Sequence[Warp | None],  # noqa: ARG002 - the maps went through them
    ) -> NDArray[Any]:
        """Return the label maps themselves."""
        assert label_maps is not None  # the data set carries them along
        return label_maps


class Objects(LabelMaps):
    """(N, 3, H, W) float32: class index (255 where ignored), weight, number of the object (0 for none)."""

    def of_batch(
        self, indices: NDArray[np.int64], label_maps: NDArray[Any] | None, warps: Sequence[Warp | None]
    ) -> NDArray[np.float32]:
        """Return the planes, one after the other."""
        planes = super().of_batch(indices, label_maps, warps)  # (N, H, W, 3)
        return np.ascontiguousarray(planes.transpose(0, 3, 1, 2))


class ClassSets(Targets):
    """(N, K) float32, 1 for each class that a picture shows."""

    @property
    def sample_bytes(self) -> int:
        """One number for each class."""
        return 4 * len(self.manifest.classes)

    def of_batch(
        self,
        indices: NDArray[np.int64],
        label_maps: NDArray[Any] | None,  # noqa: ARG002 - there are none
        warps: Sequence[Warp | None],  # noqa: ARG002 - what is in the picture counts, as in the whole picture
    ) -> NDArray[np.float32]:
        """Return the sets as zeros and ones."""
        bits = self.manifest.column("presence")[indices]
        return np.unpackbits(bits, axis=1, count=len(self.manifest.classes), bitorder="little").astype(np.float32)


class Boxes(Targets):
    """(N, 5) float32: class index; centre x, centre y, width, height as shares of the view, all 0 without a box.

    The box is that of what the view still shows of the object (:mod:`pixelwise.data.boxes`).
    """

    @property
    def sample_bytes(self) -> int:
        """Five numbers."""
        return 20

    def of_batch(
        self,
        indices: NDArray[np.int64],
        label_maps: NDArray[Any] | None,  # noqa: ARG002 - there are none
        warps: Sequence[Warp | None],
    ) -> NDArray[np.float32]:
        """Return classes and boxes."""
        boxes = [self._box(index, warp) for index, warp in zip(indices.tolist(), warps, strict=True)]
        labels = self.manifest.column("label")[indices, np.newaxis]
        return np.concatenate([labels, np.array(boxes).reshape(-1, 4)], axis=1).astype(np.float32)

    def _box(self, index: int, warp: Warp | None) -> tuple[float, float, float, float]:
        height, width = (int(self.manifest.column(side)[index]) for side in ("height", "width"))
        box = parse_box(self.manifest.annotations[index])
        if self.preprocess is not None:
            box = in_view(box, self.preprocess, height, width)
            height, width = self.preprocess.output_size(height, width)
        if warp is None:
            return relative(box, height, width)
        seen = through(box, warp)
        return NO_BOX if seen is None else relative(seen, warp.height, warp.width)


class BoxLists(Targets):
    """(N, M, 5) float32: class index, -1 for none; centre x, centre y, width and height in pixels of the view.

    Centres are counted from the middle of the view. M is the largest number of boxes of any picture of the data set, or
    of a view in the batch, if this shows mirror images besides. A row of the class
    :data:`~pixelwise.data.box_lists.PICTURE` says where the picture lies between these.
    """

    def __init__(self, manifest: Manifest, preprocess: Preprocess | None) -> None:
        super().__init__(manifest, preprocess)
        self._most = max((len(parse_box_list(text)) for text in manifest.annotations.table()), default=0)

    @property
    def sample_bytes(self) -> int:
        """Five numbers for each box, and for the picture's own."""
        return 20 * (self._most * MOST_IMAGES + 1)

    def of_batch(
        self,
        indices: NDArray[np.int64],
        label_maps: NDArray[Any] | None,  # noqa: ARG002 - there are none
        warps: Sequence[Warp | None],
    ) -> NDArray[np.float32]:
        """Return classes and boxes."""
        views = [self._seen(index, warp) for index, warp in zip(indices.tolist(), warps, strict=True)]
        most = max((self._most, *(len(boxes) for boxes, _ in views)))
        targets = np.full((len(indices), most, 5), -1, np.float32)
        for row, (boxes, (height, width)) in enumerate(views):
            for place, (label, (x_min, y_min, x_max, y_max)) in enumerate(boxes):
                centre = (x_min + x_max - width) / 2, (y_min + y_max - height) / 2
                targets[row, place] = label, *centre, x_max - x_min, y_max - y_min
        return targets

    def _seen(self, index: int, warp: Warp | None) -> tuple[list[ClassedBox], tuple[int, int]]:
        """The boxes in pixels of the view, and its size."""
        height, width = (int(self.manifest.column(side)[index]) for side in ("height", "width"))
        boxes = parse_box_list(self.manifest.annotations[index])
        if self.preprocess is not None:
            boxes = [(label, in_view(box, self.preprocess, height, width)) for label, box in boxes]
            height, width = self.preprocess.output_size(height, width)
            boxes = [(label, cut) for label, box in boxes if (cut := cut_box(box, height, width)) is not None]
        if warp is None:
            return boxes, (height, width)
        seen = [*all_through(boxes, warp, height, width), *picture_within(warp, height, width)]
        return seen, (warp.height, warp.width)


class Strings(Targets):
    """(N, L) int64 class indices in their order, -1 after the end; L is the length of the data set's longest string."""

    def __init__(self, manifest: Manifest, preprocess: Preprocess | None) -> None:
        super().__init__(manifest, preprocess)
        self._longest = max((len(parse_string(text)) for text in manifest.annotations.table()), default=0)

    @property
    def sample_bytes(self) -> int:
        """One number for each character."""
        return 8 * self._longest

    def of_batch(
        self,
        indices: NDArray[np.int64],
        label_maps: NDArray[Any] | None,  # noqa: ARG002 - there are none
        warps: Sequence[Warp | None],  # noqa: ARG002 - the string is that of the whole picture
    ) -> NDArray[np.int64]:
        """Return the strings."""
        targets = np.full((len(indices), self._longest), NO_CHARACTER, np.int64)
        for row, index in enumerate(indices.tolist()):
            string = parse_string(self.manifest.annotations[index])
            targets[row, : len(string)] = string
        return targets


TARGETS: Final[Mapping[TaskName, type[Targets]]] = {
    "classification": ClassIndices,
    "segmentation": LabelMaps,
    "volumes": LabelMaps,
    "multilabel": ClassSets,
    "localisation": Boxes,
    "sequence": Strings,
    "detection": BoxLists,
    "instances": Objects,
}
