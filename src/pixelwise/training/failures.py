"""What stops a training run: losses that are no numbers, and memory that runs out. Each says what to try."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pixelwise.errors import SpecError, TrainingError
from pixelwise.specs import Network

_FILES_SHOWN = 4
_LOOK_EVERY_ON_GPU = 32
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "std::bad_alloc")


@dataclass(frozen=True, slots=True)
class _Seen:
    step: int
    rate: float
    indices: NDArray[Any]
    loss: Tensor


class LossWatch:
    """Finds the first loss that is NaN or infinite.

    A loss is looked at when it is computed on the CPU, where looking is free. On a GPU looking waits for the device, so
    32 losses are looked at together, and before every checkpoint.

    Args:
        device: where losses are computed.
        describe_batch: names the files of a batch from its sample indices.
        last_checkpoint: names the last good checkpoint.

    """

    def __init__(
        self,
        device: torch.device,
        describe_batch: Callable[[NDArray[Any]], Sequence[str]],
        last_checkpoint: Callable[[], str],
    ) -> None:
        self._every = 1 if device.type == "cpu" else _LOOK_EVERY_ON_GPU
        self._describe_batch, self._last_checkpoint = describe_batch, last_checkpoint
        self._seen: list[_Seen] = []

    def add(self, loss: Tensor, *, step: int, rate: float, indices: NDArray[Any]) -> None:
        """Note a batch's loss (a scalar, detached), and look at the noted ones when it is time."""
        self._seen.append(_Seen(step, rate, indices, loss))
        if len(self._seen) >= self._every:
            self.look()

    def look(self) -> None:
        """Look at every noted loss.

        Raises:
            TrainingError: one is NaN or infinite; says at which step, learning rate and files.

        """
        seen, self._seen = self._seen, []
        values = (
            [seen[0].loss.item()]
            if len(seen) == 1
            else torch.stack([one.loss for one in seen]).tolist()
            if seen
            else []
        )
        for one, value in zip(seen, values, strict=True):
            if not math.isfinite(value):
                raise self._error(f"The loss became {value} at step {one.step}", one.rate, one.indices)

    def check_weights(self, network: nn.Module, *, step: int, rate: float) -> None:
        """Refuse weights that are NaN or infinite, so that every checkpoint is a good one.

        Raises:
            TrainingError: some are.

        """
        if not all(bool(torch.isfinite(weights).all()) for weights in network.parameters()):
            raise self._error(f"The weights are no longer finite after step {step}", rate, None)

    def _error(self, what: str, rate: float, indices: NDArray[Any] | None) -> TrainingError:
        batch = "" if indices is None else f", with the batch of {_shorten(self._describe_batch(indices))}"
        return TrainingError(
            f"{what}, at learning rate {rate:.3g}{batch}. {self._last_checkpoint()}",
            do=f"Try a lower rate (--set learning_rate={rate / 10:.2g}), clipped gradients (--set clip_norm=1) or a "
            "warm-up (--set warmup_steps=500), and look at these files with `pixelwise check`",
        )


def _shorten(names: Sequence[str]) -> str:
    more = len(names) - _FILES_SHOWN
    return ", ".join(names[:_FILES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out: torch has a type for GPUs only, and a sentence elsewhere."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _NO_MEMORY)


def out_of_memory_error(shape: Sequence[int], accumulate: int, network: Network) -> TrainingError:
    """Say what did not fit, and what would.

    Args:
        shape: (N, C, H, W) or (N, C, D, H, W) of the batch; (N, C) where its size is not known yet.
        accumulate: the recipe's.
        network: that was trained; no crop is proposed that it cannot take.

    """
    count, size = shape[0], tuple(shape[2:])
    noun, unit = ("patch", "voxels") if len(size) == 3 else ("picture", "px")
    plural = "es" if noun == "patch" else "s"
    of_size = f" of {'x'.join(map(str, size))} {unit}" if size else ""
    came = f"Out of memory with a batch of {count} {noun}{'' if count == 1 else plural}{of_size}"
    fitting = count // 2
    if count == 1:
        crop = _smaller_crop(size, network)
        crops = f"Train on smaller crops (--set crop={','.join(map(str, crop))}) or" if crop else "Use"
        return TrainingError(came, do=f"{crops} a narrower network")
    times = accumulate * math.ceil(count / fitting)
    return TrainingError(
        came,
        do=f"Try --batch {fitting} --set accumulate={times}, which keeps the gradient as it is, or smaller crops",
    )


def _smaller_crop(size: tuple[int, ...], network: Network) -> tuple[int, ...] | None:
    """Return half of each side or, where the network takes no such size, the next that it takes; None without any."""
    half = tuple(max(1, side // 2) for side in size)
    for crop in (half, network.input_size_for(*half)) if half else ():
        try:
            network.check_size(*crop)
        except SpecError:
            continue
        if math.prod(crop) < math.prod(size):
            return tuple(crop)
    return None
