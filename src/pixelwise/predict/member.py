"""One model under a test protocol: pictures in, averaged probabilities out, in batches of views.

The views of a picture, however many they are, join those of the pictures before and after it in batches of bounded
size; views of one size go through the network together.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixelwise.data.metadata import Cells
from pixelwise.data.volumes.volume import NOWHERE, Geometry, Volume
from pixelwise.errors import ImageError, PixelwiseError, SpecError
from pixelwise.layers.folding import for_prediction
from pixelwise.predict.admission import admit
from pixelwise.predict.placement import place
from pixelwise.predict.protocols import Protocol
from pixelwise.predict.tiling import TilePlan, Tiler, predict_tiled, sample_deviation
from pixelwise.predict.views import View, plan, show
from pixelwise.runs.device import choose_device
from pixelwise.runs.model import Model
from pixelwise.specs import Network


@dataclass(slots=True, eq=False)
class Answer:
    """What one model says of one picture, complete once no view is missing."""

    name: str
    original: tuple[int, ...] = (0, 0)
    """Height and width of the picture; depth, height and width of a volume."""
    notes: tuple[str, ...] = ()
    missing: int = 0
    """Views whose share is not there yet."""
    values: NDArray[np.float32] | None = None
    """Weighted sum over the views: (outputs,), or (outputs, h, w) at the network's size."""
    error: PixelwiseError | None = None
    picture: NDArray[Any] | None = None
    """The picture itself, where what follows the network asks for it."""
    geometry: Geometry = NOWHERE
    """Where a volume lies."""
    numbers: NDArray[np.float32] | None = None
    """(M,) what the network is told of the picture; None where it is told nothing."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing more is to come."""
        return self.missing == 0 or self.error is not None

    def add(self, values: NDArray[np.float32], weight: float) -> None:
        """Count the share of one view."""
        share = values if weight == 1 else values * np.float32(weight)
        self.values = share if self.values is None else self.values + share
        self.missing -= 1


@dataclass(frozen=True, slots=True)
class Shot:
    """A view that is ready for the network, and what its values count for."""

    answer: Answer
    pixels: NDArray[Any]
    """(h, w, C), raw values, mirrored where the view is, with the border that the network needs."""
    weight: float
    is_mirrored: bool
    is_dense: bool
    start: tuple[int, ...]
    """Row and column of the network's answer that belong to the view's first pixel."""
    size: tuple[int, ...]
    """Height and width of the view."""
    tiles: TilePlan | None = None
    """How the view is cut where it is too large for one pass; ``pixels`` then have no border yet."""


class Member:
    """A model on its device, with its protocol.

    Args:
        model: the network with its task and preprocessing. Its network is moved to ``device``.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        batch_size: most views in one batch.
        protocol: which views of a picture the network is shown.
        tile: longest side of a tile's input in pixels, for tasks that answer every pixel; None: whatever fits.
        memory_bytes: most memory that a forward pass may take before pictures are cut into tiles; None: half of what is
            free.

    Raises:
        UsageError: the model's task cannot be tested so, or its input is larger than a crop's picture.
        DeviceError: the device is not there.

    """

    def __init__(
        self,
        model: Model,
        device: str,
        batch_size: int,
        protocol: Protocol,
        *,
        tile: int | None = None,
        memory_bytes: int | None = None,
    ) -> None:
        protocol.check_task(model.task.name)
        if model.preprocess.size is not None:
            plan(protocol, model.preprocess, *model.preprocess.size)  # refuses what fits no picture before any is read
        self.model, self.protocol, self.batch_size = model, protocol, batch_size
        self._plan = functools.lru_cache(maxsize=8)(functools.partial(plan, protocol, model.preprocess))
        self.is_spatial = model.spec.task == "segmentation"
        self.device = choose_device(device)
        innermost = torch.channels_last_3d if model.spec.dimensions == 3 else torch.channels_last
        # The stubs of `to` do not know that a device and a memory format go together.
        network: Network = model.network.to(self.device, memory_format=innermost).eval()  # type: ignore[call-overload]
        self._network = for_prediction(network)
        self._tiler = Tiler(model.network, self.device, tile=tile, memory_bytes=memory_bytes)
        self._deviations: dict[TilePlan, str] = {}
        self.keeps_pictures = False

    def begin(
        self, name: str, image: NDArray[Any] | Volume, cells: Cells | None = None
    ) -> tuple[Answer, Iterator[Shot]]:
        """Admit a picture; return its empty answer, and its views, which are cut when their turn comes.

        Args:
            name: for messages.
            image: the picture.
            cells: what is said of it, for models that are told.

        Raises:
            ImageError, DataError, UsageError: the picture is not of the model's kind, the protocol does not fit it, or
                something is not said of it.

        """
        assert not isinstance(image, Volume)  # those have a member of their own
        picture, notes = admit(image, self.model.preprocess, name)
        height, width = picture.shape[:2]
        views = self._plan(height, width)
        answer = Answer(name, (height, width), notes, missing=len(views) * (1 + self.protocol.flip))
        answer.picture = picture if self.keeps_pictures else None
        metadata = self.model.preprocess.metadata
        answer.numbers = None if metadata is None else metadata.encode(cells, name)
        return answer, self._shots(answer, picture, views)

    def finished(self, answer: Answer) -> NDArray[np.float32] | PixelwiseError:
        """Return a complete answer, (K or more,), or (K, h, w) at the network's size; or why there is none."""
        if answer.error is not None:
            return answer.error
        assert answer.values is not None  # it is complete
        values = answer.values
        if self.protocol.average == "logits":
            values = self.model.task.answers(torch.from_numpy(values)[None])[0].numpy()
        if np.isfinite(values).all():
            return np.ascontiguousarray(values)
        return ImageError(
            f"{answer.name}: the network's answer holds NaN or infinity",
            expected="finite numbers",
            do="Look at the picture's values, and at the model's scores",
        )

    def logits(self, shot: Shot) -> Tensor:
        """Return what the network says to one view: (outputs,), or (outputs, h, w)."""
        if shot.tiles is not None:
            forward = functools.partial(self._forward_block, finish=as_they_are, numbers=shot.answer.numbers)
            return torch.from_numpy(predict_tiled(forward, shot.pixels, shot.tiles))
        return torch.from_numpy(_own_part(self._forward([shot], as_they_are)[0], shot, self.is_spatial))

    def forward_tile(self, pixels: NDArray[Any], numbers: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return the answers (K, *answer size) for one tile's input (*shape, C) of raw values, as the task reads them.

        Args:
            pixels: the tile's input.
            numbers: (M,) what the network is told of the picture.

        Raises:
            ImageError: there is not enough memory.

        """
        return self._forward_block(pixels, self._finish, numbers)

    @property
    def _finish(self) -> Callable[[Tensor], Tensor]:
        """What is made of the logits of a view before views are averaged."""
        return self.model.task.answers if self.protocol.average == "probabilities" else as_they_are

    def _forward_block(
        self, pixels: NDArray[Any], finish: Callable[[Tensor], Tensor], numbers: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        try:
            with torch.inference_mode():
                batch = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device)[None].movedim(-1, 1)
                logits = self._network(self._input(batch, None if numbers is None else [numbers])).float()
                return finish(logits)[0].cpu().numpy()
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
        sides = " x ".join(map(str, pixels.shape[:-1]))
        raise ImageError(
            f"There is not enough memory to predict {sides} pixels at once", do="Allow less memory, or smaller tiles"
        )

    def run(self, batch: Sequence[Shot]) -> None:
        """Send views through the network, those of one size together, and hand their answers over."""
        alike: dict[tuple[object, ...], list[Shot]] = {}
        for shot in batch:
            if shot.tiles is not None:
                self._run_tiled(shot, shot.tiles)
                continue
            alike.setdefault((shot.pixels.shape, shot.pixels.dtype, shot.is_dense), []).append(shot)
        for group in alike.values():
            self._run_alike(group)

    def _shots(self, answer: Answer, picture: NDArray[Any], views: dict[View, float]) -> Iterator[Shot]:
        weight_of_one = 0.5 if self.protocol.flip else 1.0
        for view, pixels in show(picture, self.model.preprocess, views):
            for is_mirrored in (False, True)[: 1 + self.protocol.flip]:
                looked_at = pixels[:, ::-1] if is_mirrored else pixels
                size: tuple[int, ...] = pixels.shape[:2]
                start: tuple[int, ...] = (0, 0)
                weight = views[view] * weight_of_one
                tiles = self._tiler.plan_for(*size) if self.is_spatial else None
                if tiles is not None:
                    yield Shot(answer, looked_at, weight, is_mirrored, view.is_dense, start, size, tiles)
                    continue
                if self.is_spatial:
                    placement = place(self._network, *size)
                    looked_at, start = placement.surround(looked_at), placement.start
                if not view.is_dense:
                    self._check_size(*looked_at.shape[:2])
                yield Shot(answer, looked_at, weight, is_mirrored, view.is_dense, start, size)

    def _check_size(self, height: int, width: int) -> None:
        """As ``Network.check_size``, with the remedy for a network that is built and trained."""
        try:
            self._network.check_size(height, width)
        except SpecError as error:
            if self.model.spec.fixed_size is None:
                raise
            remedy = "Resize the pictures to the size that the model was trained for"
            raise SpecError(error.came, expected=error.expected, do=remedy) from None

    def _run_tiled(self, shot: Shot, tiles: TilePlan) -> None:
        """Predict a view tile by tile; note that it was, and where that is not exact, how much it matters."""
        forward = functools.partial(self.forward_tile, numbers=shot.answer.numbers)
        try:
            note = f"in {tiles.summary()}{self._deviation(forward, shot, tiles)}"
            values = predict_tiled(forward, shot.pixels, tiles)
        except PixelwiseError as error:
            shot.answer.error = error
            return
        if note not in shot.answer.notes:
            shot.answer.notes = (*shot.answer.notes, note)
        shot.answer.add(values[..., ::-1] if shot.is_mirrored else values, shot.weight)

    def _deviation(self, forward: Callable[[NDArray[Any]], NDArray[np.float32]], shot: Shot, tiles: TilePlan) -> str:
        """Say by how much tiles differ from the whole, measured on the first picture of a size."""
        if tiles.is_exact:
            return ""
        if tiles not in self._deviations:
            found = sample_deviation(self.model.network, forward, shot.pixels, tiles)
            self._deviations[tiles] = "" if found is None else f" ({found.summary()})"
        return self._deviations[tiles]

    def _run_alike(self, group: Sequence[Shot]) -> None:
        """Predict views of one size; where memory runs out, in halves of the batch."""
        try:
            values = self._forward(group, self._finish)
        except PixelwiseError as error:
            for shot in group:
                shot.answer.error = error
            return
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            values = None  # leave the handler first: its traceback holds on to the memory that is missing
        if values is not None:
            for shot, answered in zip(group, values, strict=True):
                shot.answer.add(_own_part(answered, shot, self.is_spatial), shot.weight)
        elif len(group) == 1:
            height, width = group[0].pixels.shape[:2]
            group[0].answer.error = ImageError(
                f"{group[0].answer.name}: there is not enough memory to predict {height} x {width} pixels at once",
                do="Say how much memory there is for it (memory), or cut the picture into smaller ones",
            )
        else:
            half = len(group) // 2
            self._run_alike(group[:half])
            self._run_alike(group[half:])

    def _forward(self, group: Sequence[Shot], finish: Callable[[Tensor], Tensor]) -> Tensor:
        stacked = np.stack([shot.pixels for shot in group])
        with torch.inference_mode():
            batch = torch.from_numpy(stacked).to(self.device).permute(0, 3, 1, 2)
            told = [shot.answer.numbers for shot in group if shot.answer.numbers is not None]
            normalised = self._input(batch, told or None)
            if group[0].is_dense:  # the mean over places comes before the softmax: VGG, section 3.2
                logits = self._network.dense_logits(normalised).float().mean((2, 3))
            else:
                logits = self._network(normalised).float()
            return finish(logits).cpu()

    def _input(self, batch: Tensor, numbers: Sequence[NDArray[np.float32]] | None) -> Tensor:
        told = None if numbers is None else torch.from_numpy(np.stack(numbers)).to(self.device)
        return self.model.preprocess.network_input(batch, told)


def _own_part(values: Tensor, shot: Shot, is_spatial: bool) -> NDArray[np.float32]:
    """Cut the border off again, and mirror back."""
    if is_spatial:
        (top, left), (height, width) = shot.start, shot.size
        values = values[:, top : top + height, left : left + width]
        if shot.is_mirrored:
            values = values.flip(2)
    return values.numpy()


def as_they_are(logits: Tensor) -> Tensor:
    """Make nothing of logits."""
    return logits


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return "DefaultCPUAllocator" in str(error) or "out of memory" in str(error)
