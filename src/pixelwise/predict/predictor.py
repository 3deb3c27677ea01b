"""Load a model, or several, and turn pictures into predictions, along the path that training took.

A picture is converted to the model's channels, resized by the model's policy, scaled by its range, mean and standard
deviation, and goes through the network in evaluation mode. A test protocol shows the network more views of the picture
than that one. Probabilities, never labels, are averaged over views and models, and brought back to the size of the
picture before the most probable class of each pixel is taken.

"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Protocol as Interface

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pixelwise.data.images import read_image
from pixelwise.data.metadata import Cells
from pixelwise.data.volumes.reading import read_volume
from pixelwise.data.volumes.volume import Volume
from pixelwise.errors import PixelwiseError, UsageError
from pixelwise.predict.answers import Answered, in_the_picture, make_prediction
from pixelwise.predict.ensemble import average, distinct_runs, load_members, match_classes
from pixelwise.predict.member import Answer, Member
from pixelwise.predict.postprocess import Pipeline, pipeline_of
from pixelwise.predict.prediction import Prediction
from pixelwise.predict.protocols import CENTRE, Protocol
from pixelwise.predict.stream import Stream
from pixelwise.predict.volume_member import VolumeMember
from pixelwise.runs.model import Model

Picture = str | Path | NDArray[Any] | Volume


class Source(Interface):
    """A picture that is read when its turn comes."""

    @property
    def name(self) -> str:
        """How messages call it."""

    @property
    def cells(self) -> Cells | None:
        """What is said of it, for models that are told."""

    def read(self) -> NDArray[Any] | Volume:
        """Return it as (H, W) or (H, W, C); a volume as itself, or as (D, H, W) or (D, H, W, C)."""


@dataclass(frozen=True, slots=True)
class _Given:
    picture: Picture
    frame: int | None
    in_space: bool = False
    cells: Cells | None = None

    @property
    def name(self) -> str:
        if isinstance(self.picture, Volume):
            return "The volume"
        return "The array" if isinstance(self.picture, np.ndarray) else str(self.picture)

    def read(self) -> NDArray[Any] | Volume:
        if isinstance(self.picture, (np.ndarray, Volume)):
            return self.picture
        if self.in_space:
            return read_volume(Path(self.picture))
        return read_image(Path(self.picture), frame=self.frame)


class Predictor:
    """A model ready to predict, or several whose probabilities are averaged.

    Args:
        model: the network with its task and preprocessing. Its network is moved to ``device``.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        batch_size: most views of pictures in one batch; they share a batch only where they have the same size.
        protocol: which views of a picture the networks are shown.
        ensemble: further models of the same task and classes.
        post: steps after the network; None takes those that the model stores, or without any its task's.
        tile: longest side of a tile's input in pixels, for tasks that answer every pixel. Larger pictures are cut into
            tiles whose answers, put together, are that for the whole picture (docs/explanation/exact-tiles.md).
        memory_bytes: most memory that a forward pass may take; pictures that need more are cut into tiles. None: half
            of what is free.

    Raises:
        UsageError: a batch size below 1; a protocol that the task cannot be tested with; models that do not agree;
            steps that do not fit the task.
        RunError: the model's record of its steps cannot be used.
        DeviceError: the device is not there.

    """

    def __init__(
        self,
        model: Model,
        device: str = "cpu",
        batch_size: int = 16,
        *,
        protocol: Protocol = CENTRE,
        ensemble: Sequence[Model] = (),
        post: Pipeline | None = None,
        tile: int | None = None,
        memory_bytes: int | None = None,
    ) -> None:
        if batch_size < 1:
            raise UsageError(f"batch_size={batch_size}", expected="at least 1", do="Correct the number")
        self.model, self.models, self.batch_size, self.protocol = model, (model, *ensemble), batch_size, protocol
        self._orders = match_classes(self.models)
        self.pipeline = pipeline_of(model) if post is None else post
        self.pipeline.check_task(model.task)
        self._in_space = model.spec.dimensions == 3
        kind = VolumeMember if self._in_space else Member
        self._members = [
            kind(one, device, batch_size, protocol, tile=tile, memory_bytes=memory_bytes) for one in self.models
        ]
        self._members[0].keeps_pictures = bool(self.pipeline.fields)

    @classmethod
    def load(
        cls,
        path: str | Path | Sequence[str | Path],
        device: str = "auto",
        batch_size: int = 16,
        *,
        protocol: str | Protocol = CENTRE,
        post: str | None = None,
        tile: int | None = None,
        memory_bytes: int | None = None,
    ) -> "Predictor":
        """Load a run's model, or a model folder, or several of them as an ensemble.

        Args:
            path: a run or a model folder; of several the probabilities are averaged.
            device: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:N" or "mps".
            batch_size: see :class:`Predictor`.
            protocol: such as "10-crop"; see :mod:`pixelwise.predict.protocols`.
            post: steps after the network, such as "fill_holes,remove_small(area=30)" or "none"; see
                :mod:`pixelwise.predict.postprocess`. None takes those of the model.
            tile: see :class:`Predictor`.
            memory_bytes: see :class:`Predictor`.

        Raises:
            RunError: there is none, or its record is damaged.
            WeightsError: its weights cannot be used.
            UsageError: an unknown protocol, or one that the task cannot be tested with; no run, one twice, or runs that
                do not agree.
            DeviceError: the device is not there.

        """
        settled, steps = Protocol.of(protocol), None if post is None else Pipeline.parse(post)
        model, *ensemble = load_members(distinct_runs(path), device)
        return cls(
            model,
            device,
            batch_size,
            protocol=settled,
            ensemble=ensemble,
            post=steps,
            tile=tile,
            memory_bytes=memory_bytes,
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """The class table, in the order of indices and probabilities."""
        return self.model.task.classes

    @property
    def single(self) -> Member | None:
        """The one network that answers, of pictures as they are; None of several, of several views, or of volumes."""
        is_single = len(self._members) == 1 and self.protocol == CENTRE and not self._in_space
        return self._members[0] if is_single else None

    def predict(
        self,
        image: Picture,
        *,
        frame: int | None = None,
        probabilities: bool = False,
        metadata: Cells | None = None,
    ) -> Prediction:
        """Predict one picture.

        Args:
            image: a file, or an array (H, W) or (H, W, C) of raw values as a file would hold them.
            frame: the page of a multi-page file, counted from 0.
            probabilities: keep the (K, H, W) probabilities of a segmentation, which take K times four bytes a pixel.
            metadata: what is said of the picture, by column, for models that were trained with such columns.

        Raises:
            ImageError: the picture cannot be read, or is not of the kind that the model was trained on.
            SpecError: it is too small for the network.

        """
        (outcome,) = self.attempt_many([_Given(image, frame, self._in_space, metadata)], probabilities=probabilities)
        if isinstance(outcome, PixelwiseError):
            raise outcome
        return outcome

    def predict_many(self, images: Iterable[Picture], *, probabilities: bool = False) -> Iterator[Prediction]:
        """Predict pictures in batches, in their order; the first one that cannot be predicted raises its error.

        At most a batch is held in memory. See :meth:`predict`.
        """
        given = (_Given(image, None, self._in_space) for image in images)
        for outcome in self.attempt_many(given, probabilities=probabilities):
            if isinstance(outcome, PixelwiseError):
                raise outcome
            yield outcome

    def attempt_many(
        self, sources: Iterable[Source], *, probabilities: bool = False
    ) -> Iterator[Prediction | PixelwiseError]:
        """Predict in batches, in order; a picture that cannot be predicted gives its error in its place.

        Each picture is read once, whatever the number of views and models.
        """
        streams = [Stream(member) for member in self._members]
        for source in sources:
            image = _attempt_read(source)
            for stream in streams:
                stream.add(source.name, image, source.cells)
            yield from self._ready(streams, keep=probabilities)
        for stream in streams:
            stream.run()
        yield from self._ready(streams, keep=probabilities)

    def logits(self, image: Picture, *, frame: int | None = None) -> Tensor:
        """Return the network's answer: (outputs,), or (outputs, h, w) in the size after the resize policy.

        Raises:
            ImageError, SpecError: as :meth:`predict`.
            UsageError: there are several models or views, whose probabilities are averaged instead.

        """
        if len(self._members) > 1 or self.protocol != CENTRE:
            raise UsageError(
                f"Logits of {len(self._members)} models with the protocol {self.protocol}",
                expected="one model with the protocol centre: of several answers the probabilities are averaged",
                do="Load one run without a protocol, or ask for probabilities",
            )
        given = _Given(image, frame, self._in_space)
        _, shots = self._members[0].begin(given.name, given.read())
        return self._members[0].logits(next(shots))

    def probabilities(self, image: Picture, *, frame: int | None = None) -> NDArray[np.float32]:
        """Return the probability of each class: (K,), or (K, H, W) in the size of the picture.

        Raises:
            ImageError, SpecError: as :meth:`predict`.
            UsageError: the task's answers have a probability for each object, and none for a class.

        """
        outcome = self.predict(image, frame=frame, probabilities=True)
        if outcome.probabilities is None:
            raise UsageError(
                f"{self.model.task.name} gives no probability of each class",
                expected="a task that does",
                do="Use predict(), whose objects have one each",
            )
        return outcome.probabilities

    def _ready(self, streams: Sequence[Stream], *, keep: bool) -> Iterator[Prediction | PixelwiseError]:
        """Yield the pictures, in order, to which every model has an answer."""
        while all(stream.has_answer for stream in streams):
            yield self._combine([stream.take() for stream in streams], keep=keep)

    def _combine(self, answers: Sequence[Answer], *, keep: bool) -> Prediction | PixelwiseError:
        restored = []
        for member, answer in zip(self._members, answers, strict=True):
            values = member.finished(answer)
            if isinstance(values, PixelwiseError):
                return values
            restored.append(in_the_picture(member.model.task, member.model.preprocess, values, answer.original))
        combined = restored[0] if len(restored) == 1 else average(restored, self._orders)
        notes = dict.fromkeys(note for answer in answers for note in answer.notes)
        is_cut_off = any(model.preprocess.resize == "crop" for model in self.models)
        return make_prediction(
            Answered(
                task=self.model.task,
                values=combined,
                size=answers[0].original,
                notes=tuple(notes),
                is_cut_off=is_cut_off,
                keep=keep,
                pipeline=self.pipeline,
                picture=answers[0].picture,
                geometry=answers[0].geometry,
            )
        )


def _attempt_read(source: Source) -> NDArray[Any] | Volume | PixelwiseError:
    try:
        return source.read()
    except PixelwiseError as error:
        return error
