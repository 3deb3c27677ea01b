r"""What is done to every picture before the network sees it; part of the model and stored with its weights.

Training, evaluation and prediction all go through one :class:`Preprocess`: size, value range, channels, mean and
standard deviation. Where every picture has its own scale, as the scans of different machines have, each is first
brought to mean 0 and standard deviation 1 (:meth:`Preprocess.levelled`). A value v becomes

.. math:: x = \frac{(v - low) / (high - low) - mean}{std}

which is linear: nothing is clipped, and values beyond ``low`` .. ``high`` simply lie beyond 0 .. 1. Sizes change on
the grid of :mod:`pixelwise.data.resample`, for the picture, its label map and the way back alike; volumes change their
size with their ``spacing`` only (:mod:`pixelwise.data.volumes.resample`).
"""

import functools
import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.masks import IGNORE
from pixelwise.data.metadata import Metadata, with_numbers
from pixelwise.data.resample import resize_image, resize_label_map
from pixelwise.errors import DataError, ImageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Resize = Literal["none", "stretch", "crop", "pad"]
Statistics = Literal["data_set", "picture"]

_TILE_VALUES = 1 << 16
"""Values normalised at a time on the CPU: raw and result stay in the second-level cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocess:
    """Size, value range, channels, mean and standard deviation of a network's input.

    Raises:
        DataError: impossible values.

    """

    channels: int
    low: float
    """Raw value that becomes 0."""
    high: float
    """Raw value that becomes 1."""
    mean: tuple[float, ...]
    """Per channel, after ``low`` and ``high`` have become 0 and 1."""
    std: tuple[float, ...]
    """Per channel, in the same units."""
    resize: Resize = "none"
    """``stretch`` to ``size``; ``crop``: shrink or enlarge until ``size`` is just covered, then cut out the centre;
    ``pad``: until the whole picture just fits, then fill up evenly with the mean colour (ignored in the label map)."""
    size: tuple[int, int] | None = None
    """Height and width; None only when nothing is resized."""
    crop_fraction: float = 1.0
    """For ``crop``: the share of the resized picture's short side that is kept; 0.875 is "resize to 256, crop 224"."""
    statistics: Statistics = "data_set"
    """``picture``: each picture or volume is levelled with its own mean and standard deviation first."""
    clip: tuple[float, float] | None = None
    """For ``statistics="picture"``: per cent of a picture's values that are cut off below, and up to which above."""
    metadata: Metadata | None = None
    """What a table says of each picture, which is given to the network behind the picture's channels."""
    spacing: tuple[float, float, float] | None = None
    """Volumes: millimetres between voxels, along depth, height and width, that all are brought to; None = as it is."""
    training_spacing: tuple[float, float, float] | None = None
    """Volumes that stay as they are: mm between the voxels of all training volumes; None = not known."""

    def __post_init__(self) -> None:
        _require(self.channels >= 1, "channels", self.channels, "at least 1")
        finite = math.isfinite(self.low) and math.isfinite(self.high)
        _require(finite and self.low < self.high, "low, high", (self.low, self.high), "two numbers, the smaller first")
        for name, values in (("mean", self.mean), ("std", self.std)):
            right = len(values) == self.channels and all(map(math.isfinite, values))
            _require(right, name, values, f"{self.channels} numbers, one for each channel")
        _require(min(self.std) > 0, "std", self.std, "positive numbers")
        _require(self.resize in get_args(Resize), "resize", self.resize, ", ".join(get_args(Resize)))
        if self.resize == "none":
            _require(self.size is None, "size", self.size, "None, because resize is none")
        else:
            fits = self.size is not None and len(self.size) == 2 and min(self.size) >= 1
            _require(fits, "size", self.size, "height and width, each at least 1")
        _require(0 < self.crop_fraction <= 1, "crop_fraction", self.crop_fraction, "more than 0 and at most 1")
        known = get_args(Statistics)
        _require(self.statistics in known, "statistics", self.statistics, ", ".join(known))
        if self.clip is not None:
            right = self.statistics == "picture" and 0 <= self.clip[0] < self.clip[1] <= 100
            _require(right, "clip", self.clip, "two rising percentages, with statistics=picture")
        for name, lengths in (("spacing", self.spacing), ("training_spacing", self.training_spacing)):
            right = lengths is None or (len(lengths) == 3 and all(0 < length < math.inf for length in lengths))
            _require(right, name, lengths, "three positive lengths in mm")

    @property
    def input_channels(self) -> int:
        """Channels of the network's input: those of the picture, and one for each number of its metadata."""
        return self.channels + (0 if self.metadata is None else self.metadata.width)

    @property
    def raw_mean(self) -> tuple[float, ...]:
        """The mean colour in raw units: what becomes 0 everywhere."""
        return tuple(self.low + mean * (self.high - self.low) for mean in self.mean)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Size of a picture of ``height`` x ``width`` after :meth:`spatial`."""
        return self.size or (height, width)

    def placement(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Size of the resized picture, and where the result's top left corner lies in it (negative: padding)."""
        target = self.output_size(height, width)
        if self.resize in ("none", "stretch"):
            return target, (0, 0)
        ratios = (target[0] / height, target[1] / width)
        if self.resize == "crop":
            scale = max(ratios) / self.crop_fraction
            rows, columns = max(round(height * scale), target[0]), max(round(width * scale), target[1])
        else:
            scale = min(ratios)
            rows, columns = (
                min(max(round(length * scale), 1), most) for length, most in zip((height, width), target, strict=True)
            )
        return (rows, columns), ((rows - target[0]) // 2, (columns - target[1]) // 2)

    def spatial(self, image: NDArray[Any]) -> NDArray[Any]:
        """Bring a picture to the network's size: area averages along a side that shrinks, linear along one that grows.

        Args:
            image: (H, W, channels), uint8, uint16 or float32.

        Returns:
            (h, w, channels) of the same type; the same array when there is nothing to do.

        Raises:
            ImageError: another number of channels.

        """
        image = self.resized(image)
        if self.resize != "pad":
            return image
        colour = np.array(self.raw_mean)
        return self._padded(image, np.rint(colour) if image.dtype.kind == "u" else colour)

    def spatial_label_map(self, label_map: NDArray[Any]) -> NDArray[Any]:
        """Bring a label map (H, W) to the network's size by the nearest pixel; padding is 255, which is ignored."""
        if self.size is None:
            return label_map
        (height, width), (top, left) = self.placement(*label_map.shape)
        label_map = _cut(resize_label_map(label_map, height, width), self.size, top, left)
        return self._padded(label_map, np.array(IGNORE)) if self.resize == "pad" else label_map

    def resized(self, image: NDArray[Any]) -> NDArray[Any]:
        """Do as :meth:`spatial`, but without the padding: only what shows the picture."""
        if image.ndim != 3 or image.shape[2] != self.channels:
            raise ImageError(
                f"A picture of shape {image.shape}",
                expected=f"(height, width, {self.channels})",
                do="Convert it with pixelwise.data.images.to_channels",
            )
        if self.size is None:
            return image
        (height, width), (top, left) = self.placement(*image.shape[:2])
        return np.ascontiguousarray(_cut(resize_image(image, height, width), self.size, top, left))

    def restore_size(self, values: NDArray[Any], height: int, width: int) -> NDArray[Any]:
        """Bring predictions back from the network's size to a picture's own size.

        Args:
            values: (..., h, w) at the network's size: label maps (integers or booleans: nearest pixel), or scores such
                as probabilities (floats: linear, or area averages where they shrink).
            height: of the picture before :meth:`spatial`.
            width: of the picture before :meth:`spatial`.

        Returns:
            (..., height, width). Where ``crop`` has cut the picture off there is no prediction: 255 in label maps, 0
            in scores.

        Raises:
            DataError: ``values`` do not have the network's size.

        """
        expected = self.output_size(height, width)
        if values.shape[-2:] != expected:
            raise DataError(
                f"Predictions of {values.shape[-2]} x {values.shape[-1]} pixels",
                expected=f"{expected[0]} x {expected[1]}",
                do="Predict at the network's own size",
            )
        if self.size is None:
            return values
        (rows, columns), (top, left) = self.placement(height, width)
        seen = values[..., max(-top, 0) : max(-top, 0) + rows, max(-left, 0) : max(-left, 0) + columns]
        if self.resize == "crop":
            whole = np.full(
                (*values.shape[:-2], rows, columns), 0 if values.dtype.kind == "f" else IGNORE, values.dtype
            )
            whole[..., top : top + self.size[0], left : left + self.size[1]] = values
            seen = whole
        if values.dtype.kind != "f":
            layers = [resize_label_map(layer, height, width) for layer in seen.reshape(-1, rows, columns)]
            return np.stack(layers).reshape(*values.shape[:-2], height, width)
        stacked = np.ascontiguousarray(np.moveaxis(seen.reshape(-1, rows, columns), 0, -1), dtype=np.float32)
        restored = np.moveaxis(resize_image(stacked, height, width), -1, 0)
        return np.ascontiguousarray(restored).reshape(*values.shape[:-2], height, width)

    def levelled(self, image: NDArray[Any]) -> NDArray[Any]:
        """Give a picture (..., C) its own scale: per channel mean 0 and standard deviation 1, as float32.

        Args:
            image: a whole picture or volume, before it is cut or resized.

        Returns:
            The same array where ``statistics`` are those of the data set. A channel of one value becomes 0.

        """
        if self.statistics == "data_set":
            return image
        levelled = np.empty(image.shape, np.float32)
        for channel in range(image.shape[-1]):
            values = image[..., channel]
            if self.clip is not None:
                values = np.clip(values, *np.percentile(values, self.clip))
            mean, std = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
            levelled[..., channel] = (values - mean) / (std or 1.0)
        return levelled

    def normalise(self, batch: "Tensor") -> "Tensor":
        """Turn a batch (N, C, H, W) or (N, C, D, H, W) into float32, channels last, on the device where it lies.

        The scale and the offset of the channels are laid out along a whole row of the picture, so that one fused
        multiply-add runs over long vectors instead of three values at a time; and tile by tile, so that the float copy
        of the raw values never leaves the cache.
        """
        import torch

        count, channels, *size = batch.shape
        width = size[-1]
        rows = batch.movedim(1, -1).contiguous().view(-1, width * channels)
        along_row = _along_row(self, width, batch.device)
        if batch.device.type != "cpu":
            result = torch.addcmul(along_row[1], rows.to(torch.float32), along_row[0])
        else:
            result = torch.empty(rows.shape, dtype=torch.float32)
            step = max(_TILE_VALUES // max(width * channels, 1), 1)
            for tile, target in zip(rows.split(step), result.split(step), strict=True):
                torch.addcmul(along_row[1], tile.to(torch.float32), along_row[0], out=target)
        return result.view(count, *size, channels).movedim(-1, 1)

    def network_input(self, batch: "Tensor", numbers: "Tensor | None") -> "Tensor":
        """Return a batch as :meth:`normalise` makes it, with the numbers (N, M) of its metadata as further channels."""
        return with_numbers(self.normalise(batch), numbers)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; :meth:`from_json` is the way back."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        return {**values, "metadata": None if self.metadata is None else self.metadata.to_json()}

    @classmethod
    def from_json(cls, content: object) -> Self:
        """Rebuild from :meth:`to_json`.

        Raises:
            DataError: fields missing, unknown or of the wrong kind.

        """
        names = {field.name for field in fields(cls)}
        if not isinstance(content, dict) or {*_SINCE_VOLUMES, *content} != names:
            found = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
            raise DataError(
                f"Preprocessing with the fields {found}",
                expected=", ".join(sorted(names)),
                do="Take the model from a folder that pixelwise wrote",
            )
        content = {**_SINCE_VOLUMES, **content}
        try:
            size = content["size"]
            return cls(
                channels=int(content["channels"]),
                low=float(content["low"]),
                high=float(content["high"]),
                mean=tuple(map(float, content["mean"])),
                std=tuple(map(float, content["std"])),
                resize=content["resize"],
                size=None if size is None else (int(size[0]), int(size[1])),
                crop_fraction=float(content["crop_fraction"]),
                statistics=content["statistics"],
                clip=_numbers(content["clip"], 2),
                spacing=_numbers(content["spacing"], 3),
                training_spacing=_numbers(content["training_spacing"], 3),
                metadata=None if content["metadata"] is None else Metadata.from_json(content["metadata"]),
            )
        except (TypeError, LookupError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                f"Preprocessing that cannot be read ({error})",
                expected="numbers, and lists of numbers",
                do="Take the model from a folder that pixelwise wrote",
            ) from None

    def _padded(self, array: NDArray[Any], value: NDArray[Any]) -> NDArray[Any]:
        """Put ``array`` in the middle of an array of the result's size filled with ``value``."""
        height, width = self.output_size(*array.shape[:2])
        if array.shape[:2] == (height, width):
            return array
        padded = np.empty((height, width, *array.shape[2:]), array.dtype)
        padded[...] = value.astype(array.dtype)
        top, left = -((array.shape[0] - height) // 2), -((array.shape[1] - width) // 2)
        padded[top : top + array.shape[0], left : left + array.shape[1]] = array
        return padded


_SINCE_VOLUMES = {"statistics": "data_set", "clip": None, "spacing": None, "training_spacing": None, "metadata": None}
"""Fields that records of older models lack."""


def _numbers(values: Any, count: int) -> Any:
    if values is None:
        return None
    if len(values) != count:
        raise ValueError(f"{len(values)} numbers instead of {count}")
    return tuple(map(float, values))


@functools.lru_cache(maxsize=32)
def _along_row(preprocess: Preprocess, width: int, device: "torch.device") -> "tuple[Tensor, Tensor]":
    """Scale and offset of every value of a row of ``width`` pixels: the same for every batch, so made once."""
    import torch

    span = preprocess.high - preprocess.low
    scale = 1 / (span * np.array(preprocess.std))
    offset = -(preprocess.low / span + np.array(preprocess.mean)) / np.array(preprocess.std)
    scale_row, offset_row = (
        torch.from_numpy(np.tile(values, width).astype(np.float32)).to(device) for values in (scale, offset)
    )
    return scale_row, offset_row


def _cut(array: NDArray[Any], size: tuple[int, int], top: int, left: int) -> NDArray[Any]:
    top, left = max(top, 0), max(left, 0)
    return array[top : top + size[0], left : left + size[1]]


def _require(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise DataError(f"Preprocessing: {name}={value}", expected=expected, do="Correct the value")
