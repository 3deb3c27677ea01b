"""What a prediction of a volume is: a class for every voxel, with volumes in millilitres where the spacing is known."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelwise.data.volumes.reading import STACK_SUFFIXES, read_volume, write_channels, write_labels
from pixelwise.data.volumes.volume import NOWHERE, Geometry, Volume, show_size
from pixelwise.errors import ImageError, UsageError
from pixelwise.predict.overlay import draw_overlay, with_legend
from pixelwise.predict.prediction import Prediction, number_cells

_MM3_PER_ML = 1000.0
_SIDE_PX = 256
"""About the longer side of a slice in a picture of three."""
_GAP_PX = 6


@dataclass(frozen=True, slots=True, eq=False)
class VolumePrediction(Prediction):
    """A class for every voxel of one volume."""

    table: ClassVar[str] = "volumes"
    is_drawn: ClassVar[bool] = True
    has_mask: ClassVar[bool] = True
    mask_suffix: ClassVar[str] = ".nii.gz"

    classes: tuple[str, ...]
    label_map: NDArray[np.uint8]
    """(D, H, W) class indices in the size of the volume."""
    probabilities: NDArray[np.float32] | None = None
    """(K, D, H, W), 0..1, summing to 1 over the classes; None unless it was asked for."""
    notes: tuple[str, ...] = ()
    """What was done to the volume that its reader should know."""
    geometry: Geometry = NOWHERE
    """Where the volume lies, for the file that :meth:`save` writes."""

    @classmethod
    def suffix_for(cls, path: Path) -> str:
        """Return how a label volume's name ends: as its volume's, but NIfTI files are always packed."""
        return ".tif" if path.suffix.lower() in STACK_SUFFIXES else cls.mask_suffix

    @classmethod
    def columns(cls, classes: tuple[str, ...]) -> list[str]:
        """Return size, and the voxels and volume of each class."""
        voxels, volumes = ([f"{what}({name})" for name in classes] for what in ("voxels", "volume_ml"))
        return ["depth", "height", "width", *voxels, *volumes]

    def cells(self) -> list[object]:
        """Return a row's cells; volumes are empty where the spacing is not known."""
        volumes = self.volumes_ml
        told = [""] * len(self.classes) if volumes is None else number_cells(volumes.values())
        return [*self.label_map.shape, *self.counts().values(), *told]

    def counts(self) -> dict[str, int]:
        """The voxels of each class."""
        counts = np.bincount(self.label_map.ravel(), minlength=256)
        return {name: int(counts[index]) for index, name in enumerate(self.classes)}

    @property
    def volumes_ml(self) -> dict[str, float] | None:
        """Volume of each class in millilitres; None where the spacing is not known."""
        spacing = self.geometry.spacing
        if spacing is None:
            return None
        voxel_ml = float(np.prod(spacing)) / _MM3_PER_ML
        return {name: count * voxel_ml for name, count in self.counts().items()}

    def save(self, path: str | Path) -> None:
        """Write the label map as NIfTI (``.nii``, ``.nii.gz``) or as a TIFF stack (``.tif``).

        A NIfTI file has the order of axes, the header and the matrix of the volume that was predicted.

        Raises:
            UsageError: the name ends otherwise.
            OutputError: it cannot be written.

        """
        write_labels(Path(path), self.label_map, self.geometry)

    def save_probabilities(self, path: str | Path) -> None:
        """Write the probabilities, with one channel for each class, likewise.

        Raises:
            UsageError: they were not asked for.
            OutputError: they cannot be written.

        """
        if self.probabilities is None:
            raise UsageError("The probabilities were not kept", do="Predict with probabilities=True")
        write_channels(Path(path), np.moveaxis(self.probabilities, 0, -1), self.geometry)

    def overlay(self, image: str | Path | NDArray[Any] | Volume, *, legend: bool = False) -> NDArray[np.uint8]:
        """Draw the label map over the middle slices along the three axes, side by side: RGB uint8.

        Args:
            image: the volume, (D, H, W, C) or (D, H, W).
            legend: add one below.

        Raises:
            ImageError: the volume cannot be read, or its size is another.

        """
        voxels = voxels_of(image)
        if voxels.shape[:3] != self.label_map.shape:
            raise ImageError(
                f"A volume of {show_size(voxels.shape[:3])} voxels",
                expected=f"{show_size(self.label_map.shape)}, which were predicted",
                do="Give the volume that was predicted",
            )
        middle = middle_of(self.label_map)
        spacing = self.geometry.spacing or (1.0, 1.0, 1.0)
        views = [
            draw_overlay(*enlarged(picture, labels, lengths), self.classes)
            for picture, labels, lengths in orthogonal(voxels, self.label_map, middle, spacing)
        ]
        drawn = side_by_side(views)
        return (
            with_legend(drawn, self.label_map.reshape(-1, self.label_map.shape[2]), self.classes) if legend else drawn
        )

    def to_json(self) -> dict[str, Any]:
        """Return size, voxels and volumes per class as plain JSON."""
        depth, height, width = self.label_map.shape
        size = {"depth": depth, "height": height, "width": width}
        spacing = self.geometry.spacing
        return {
            **size,
            "spacing_mm": None if spacing is None else list(spacing),
            "voxels": self.counts(),
            "volumes_ml": self.volumes_ml,
        }

    def __str__(self) -> str:
        volumes = self.volumes_ml
        counts = sorted(self.counts().items(), key=lambda entry: -entry[1])
        told = [
            f"{name} {count / self.label_map.size:.1%}" + (f" ({volumes[name]:.3g} ml)" if volumes else "")
            for name, count in counts
            if count
        ]
        return f"{show_size(self.label_map.shape)} voxels: " + ", ".join(told)


def voxels_of(image: str | Path | NDArray[Any] | Volume) -> NDArray[Any]:
    """Return (D, H, W, C) of an array, a volume or a file.

    Raises:
        ImageError: it cannot be read.

    """
    if isinstance(image, Volume):
        return image.voxels
    voxels = image if isinstance(image, np.ndarray) else read_volume(Path(image)).voxels
    return voxels if voxels.ndim == 4 else voxels[..., None]


def middle_of(label_map: NDArray[np.uint8]) -> tuple[int, ...]:
    """Where a look shows most: the slice along each axis with most of what is not class 0; the middle without any."""
    drawn = (label_map > 0) & (label_map < 255)
    if not drawn.any():
        return tuple(side // 2 for side in label_map.shape)
    return tuple(int(drawn.sum(axis=axes).argmax()) for axes in ((1, 2), (0, 2), (0, 1)))


def orthogonal(
    voxels: NDArray[Any], label_map: NDArray[np.uint8], places: tuple[int, ...], spacing: tuple[float, float, float]
) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8], tuple[float, float]]]:
    """Cut a slice along each axis: an 8-bit grey picture (h, w, 1), its labels (h, w), and mm between rows and columns.

    The second and third show the depth upwards, as radiologists look at them.
    """
    grey = voxels.astype(np.float32).mean(axis=3)
    low, high = np.percentile(grey, (0.5, 99.5))
    shades = (np.clip((grey - low) / max(float(high - low), 1e-12), 0, 1) * 255).astype(np.uint8)
    deep, high_mm, wide = spacing
    cuts = []
    for axis, lengths in enumerate(((high_mm, wide), (deep, wide), (deep, high_mm))):
        picture, labels = (np.take(array, places[axis], axis)[::-1] for array in (shades, label_map))
        cuts.append((np.ascontiguousarray(picture)[..., None], np.ascontiguousarray(labels), lengths))
    return cuts


def enlarged(
    picture: NDArray[np.uint8], labels: NDArray[np.uint8], lengths: tuple[float, float]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Show a slice large enough to be seen, with pixels as wide as high."""
    extents = [side * length for side, length in zip(labels.shape, lengths, strict=True)]
    rows, columns = (max(1, round(extent * _SIDE_PX / max(extents))) for extent in extents)
    large = np.asarray(cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_LINEAR), np.uint8)
    nearest = np.asarray(cv2.resize(labels, (columns, rows), interpolation=cv2.INTER_NEAREST), np.uint8)
    return large.reshape(rows, columns, 1), nearest


def side_by_side(views: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Put pictures (h, w, 3) beside each other on white."""
    height = max(len(view) for view in views)
    width = sum(view.shape[1] for view in views) + _GAP_PX * (len(views) - 1)
    sheet = np.full((height, width, 3), 255, np.uint8)
    left = 0
    for view in views:
        top = (height - len(view)) // 2
        sheet[top : top + len(view), left : left + view.shape[1]] = view
        left += view.shape[1] + _GAP_PX
    return sheet
