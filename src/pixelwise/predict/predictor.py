"""From pictures to predictions, along the path that training took.

A picture is converted to the model's channels, resized by the model's policy, scaled by its range, mean and standard
deviation, and goes through the network in evaluation mode. Probabilities, never labels, are brought back to the size
of the picture before the most probable class of each pixel is taken.

"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixelwise.data.images import read_image
from pixelwise.data.masks import IGNORE
from pixelwise.errors import ImageError, PixelwiseError, UsageError
from pixelwise.metrics import predicted_classes
from pixelwise.predict.admission import admit
from pixelwise.predict.placement import place
from pixelwise.predict.prediction import ClassPrediction, MaskPrediction, Prediction
from pixelwise.runs.device import choose_device
from pixelwise.runs.model import Model, load_model
from pixelwise.specs import Network

BATCH_PIXELS = 2**20
"""Most pixels of one batch: larger pictures go through the network in smaller batches, down to one."""

_SEEN = 0.5  # sum of the probabilities: 1 within what the network saw, 0 where the picture was cut off

Picture = str | Path | NDArray[Any]


class Source(Protocol):
    """A picture that is read when its turn comes."""

    @property
    def name(self) -> str:
        """How messages call it."""

    def read(self) -> NDArray[Any]:
        """Return it as (H, W) or (H, W, C)."""


@dataclass(frozen=True, slots=True)
class _Given:
    picture: Picture
    frame: int | None

    @property
    def name(self) -> str:
        return "The array" if isinstance(self.picture, np.ndarray) else str(self.picture)

    def read(self) -> NDArray[Any]:
        if isinstance(self.picture, np.ndarray):
            return self.picture
        return read_image(Path(self.picture), frame=self.frame)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A picture that is ready for the network, and what it takes to come back from it."""

    name: str
    pixels: NDArray[Any]
    """(h, w, C), raw values, with its mirrored border."""
    size: tuple[int, int]
    """Height and width as the network's answer has them."""
    start: tuple[int, int]
    original: tuple[int, int]
    notes: tuple[str, ...]


class Predictor:
    """A model ready to predict.

    Args:
        model: the network with its task and preprocessing. Its network is moved to ``device``.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        batch_size: most pictures of one batch; pictures share a batch only where they have the same size.

    Raises:
        UsageError: a batch size below 1.
        DeviceError: the device is not there.

    """

    def __init__(self, model: Model, device: str = "cpu", batch_size: int = 16) -> None:
        if batch_size < 1:
            raise UsageError(f"batch_size={batch_size}", expected="at least 1", do="Correct the number")
        self.model, self.batch_size = model, batch_size
        self._device = choose_device(device)
        self._network: Network = model.network.to(self._device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._is_segmentation = model.task.name == "segmentation"

    @classmethod
    def load(cls, path: str | Path, device: str = "auto", batch_size: int = 16) -> "Predictor":
        """Load a run's model, or a model folder, to "auto" (a GPU where there is one), "cpu", "cuda:N" or "mps".

        Raises:
            RunError: there is none, or its record is damaged.
            WeightsError: its weights cannot be used.
            DeviceError: the device is not there.

        """
        return cls(load_model(Path(path), device), device, batch_size)

    @property
    def classes(self) -> tuple[str, ...]:
        """The class table, in the order of indices and probabilities."""
        return self.model.task.classes

    def predict(self, image: Picture, *, frame: int | None = None, probabilities: bool = False) -> Prediction:
        """Predict one picture.

        Args:
            image: a file, or an array (H, W) or (H, W, C) of raw values as a file would hold them.
            frame: the page of a multi-page file, counted from 0.
            probabilities: keep the (K, H, W) probabilities of a segmentation, which take K times four bytes a pixel.

        Raises:
            ImageError: the picture cannot be read, or is not of the kind that the model was trained on.
            SpecError: it is too small for the network.

        """
        (outcome,) = self.attempt_many([_Given(image, frame)], probabilities=probabilities)
        if isinstance(outcome, PixelwiseError):
            raise outcome
        return outcome

    def predict_many(self, images: Iterable[Picture], *, probabilities: bool = False) -> Iterator[Prediction]:
        """Predict pictures in batches, in their order; the first one that cannot be predicted raises its error.

        At most a batch is held in memory. See :meth:`predict`.
        """
        for outcome in self.attempt_many((_Given(image, None) for image in images), probabilities=probabilities):
            if isinstance(outcome, PixelwiseError):
                raise outcome
            yield outcome

    def attempt_many(
        self, sources: Iterable[Source], *, probabilities: bool = False
    ) -> Iterator[Prediction | PixelwiseError]:
        """Predict in batches, in order; a picture that cannot be predicted gives its error in its place."""
        batch: list[_Prepared | PixelwiseError] = []
        pixels = 0
        for source in sources:
            prepared = self._attempt_prepare(source)
            batch.append(prepared)
            pixels += 0 if isinstance(prepared, PixelwiseError) else _count_pixels(prepared)
            if len(batch) == self.batch_size or pixels >= BATCH_PIXELS:
                yield from self._predict_batch(batch, keep=probabilities)
                batch, pixels = [], 0
        yield from self._predict_batch(batch, keep=probabilities)

    def logits(self, image: Picture, *, frame: int | None = None) -> Tensor:
        """Return the network's answer: (outputs,), or (outputs, h, w) in the size after the resize policy.

        Raises:
            ImageError, SpecError: as :meth:`predict`.

        """
        prepared = self._prepare(_Given(image, frame))
        return self._cut(self._forward([prepared], lambda logits: logits)[0], prepared)

    def probabilities(self, image: Picture, *, frame: int | None = None) -> NDArray[np.float32]:
        """Return the probability of each class: (K,), or (K, H, W) in the size of the picture.

        Raises:
            ImageError, SpecError: as :meth:`predict`.

        """
        outcome = self.predict(image, frame=frame, probabilities=True)
        assert outcome.probabilities is not None  # it was asked for
        return outcome.probabilities

    def _attempt_prepare(self, source: Source) -> _Prepared | PixelwiseError:
        try:
            return self._prepare(source)
        except PixelwiseError as error:
            return error

    def _prepare(self, source: Source) -> _Prepared:
        preprocess, network = self.model.preprocess, self._network
        picture, notes = admit(source.read(), preprocess, source.name)
        original = picture.shape[:2]
        pixels = preprocess.spatial(picture)
        size, start = pixels.shape[:2], (0, 0)
        if self._is_segmentation:
            placement = place(network, *size)
            pixels, start = placement.surround(pixels), placement.start
        network.check_size(*pixels.shape[:2])
        return _Prepared(source.name, pixels, size, start, original, notes)

    def _predict_batch(
        self, batch: Sequence[_Prepared | PixelwiseError], *, keep: bool
    ) -> Iterator[Prediction | PixelwiseError]:
        outcomes: dict[int, Prediction | PixelwiseError] = {}
        alike: dict[tuple[object, ...], list[int]] = {}
        for position, entry in enumerate(batch):
            if isinstance(entry, PixelwiseError):
                outcomes[position] = entry
            else:
                alike.setdefault((entry.pixels.shape, entry.pixels.dtype), []).append(position)
        for positions in alike.values():
            group = [entry for entry in (batch[position] for position in positions) if isinstance(entry, _Prepared)]
            outcomes.update(zip(positions, self._predict_alike(group, keep=keep), strict=True))
        yield from (outcomes[position] for position in range(len(batch)))

    def _predict_alike(self, group: Sequence[_Prepared], *, keep: bool) -> list[Prediction | PixelwiseError]:
        """Predict pictures of one size; where memory runs out, in halves of the batch."""
        try:
            scores = self._forward(group, self.model.task.probabilities)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            scores = None  # leave the handler first: its traceback holds on to the memory that is missing
        if scores is not None:
            return [self._finish(entry, values, keep=keep) for entry, values in zip(group, scores, strict=True)]
        if len(group) == 1:
            height, width = group[0].pixels.shape[:2]
            return [
                ImageError(
                    f"{group[0].name}: there is not enough memory to predict {height} x {width} pixels at once",
                    do="Cut the picture into smaller ones",
                )
            ]
        half = len(group) // 2
        return self._predict_alike(group[:half], keep=keep) + self._predict_alike(group[half:], keep=keep)

    def _forward(self, group: Sequence[_Prepared], finish: Callable[[Tensor], Tensor]) -> Tensor:
        stacked = np.stack([entry.pixels for entry in group])
        with torch.inference_mode():
            batch = torch.from_numpy(stacked).to(self._device).permute(0, 3, 1, 2)
            return finish(self._network(self.model.preprocess.normalise(batch)).float()).cpu()

    def _cut(self, values: Tensor, entry: _Prepared) -> Tensor:
        if not self._is_segmentation:
            return values
        (top, left), (height, width) = entry.start, entry.size
        return values[:, top : top + height, left : left + width]

    def _finish(self, entry: _Prepared, scores: Tensor, *, keep: bool) -> Prediction | PixelwiseError:
        values = self._cut(scores, entry).numpy()
        if not np.isfinite(values).all():
            return ImageError(
                f"{entry.name}: the network's answer holds NaN or infinity",
                expected="finite numbers",
                do="Look at the picture's values, and at the model's scores",
            )
        if not self._is_segmentation:
            return ClassPrediction(self.classes, np.ascontiguousarray(values), entry.notes)
        restored = self.model.preprocess.restore_size(values, *entry.original)
        label_map = predicted_classes(torch.from_numpy(restored)[None])[0].numpy()
        if self.model.preprocess.resize == "crop":
            label_map[restored.sum(0) < _SEEN] = IGNORE
        return MaskPrediction(self.classes, label_map, restored if keep else None, entry.notes)


def _count_pixels(entry: _Prepared) -> int:
    return entry.pixels.shape[0] * entry.pixels.shape[1]


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return "DefaultCPUAllocator" in str(error) or "out of memory" in str(error)
