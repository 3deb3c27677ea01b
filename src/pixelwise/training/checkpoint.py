"""Checkpoints: everything that the rest of a run depends on, in one safetensors file, written atomically.

Sample order, augmentation and dropout are pure functions of the seed and the position, and the learning rate is one of
the step, so the state is small: weights, the optimiser's moments, the moving average, gradients gathered so far when
the file is written between two parts of an accumulated batch, and counters. ``state`` in the file's metadata holds the
counters and the run's identity as JSON, ``digest`` a sha256 over it and every tensor.
"""

import dataclasses
import hashlib
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from pixelwise.errors import CheckpointError, WeightsError
from pixelwise.specs import Network
from pixelwise.storage.arrays import read_tensors, write_tensors
from pixelwise.storage.atomic import make_folder
from pixelwise.training.ema import MovingAverage
from pixelwise.training.optim import like_parameter, load_optimiser_tensors, optimiser_tensors

FORMAT = 1
FOLDER_NAME = "checkpoints"
KEPT = 2
DAMAGED_SUFFIX = ".damaged"

_HEADER_LIMIT_BYTES = 64 << 20  # four tensors a parameter, thousands of parameters; the digest is checked besides
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Counters:
    """Where a run stands."""

    epoch: int = 0
    """Epochs finished, validation included."""
    batch: int = 0
    """Batches of the present epoch that were trained on."""
    step: int = 0
    """Optimiser steps done."""
    samples: int = 0
    """Pictures of the present epoch in ``TrainState.loss_sum``."""
    best: float | None = None
    """Best value of the task's metric so far; None while there was none."""
    best_loss: float | None = None
    """The validation loss at that moment."""
    best_epoch: int = 0
    """Number of finished epochs when it was reached."""
    seconds: float = 0.0
    """Training time, earlier processes of the run included."""
    journal_bytes: int = 0
    """Length of the journal when the checkpoint was written."""

    def is_better(self, value: float | None, loss: float | None) -> bool:
        """Whether an epoch is the best so far: by its metric, of equal ones by the lower loss.

        While no epoch had a metric, as with validation pictures that show no class at all, the loss alone decides; and
        without a loss the latest weights are kept.
        """
        if value != self.best:
            return self.best is None or (value is not None and value > self.best)
        if loss is None or self.best_loss is None:
            return value is None
        return loss < self.best_loss or math.isnan(self.best_loss)

    def best_by(self, metric: str) -> dict[str, str | float | None]:
        """Return what chose the best weights and its value: the task's metric, or ``val_loss`` while there was none."""
        if self.best is None and self.best_loss is not None:
            return {"metric": "val_loss", "value": self.best_loss}
        return {"metric": metric, "value": self.best}


@dataclass(slots=True)
class TrainState:
    """Everything that changes during training."""

    network: Network
    optimiser: Optimizer
    average: MovingAverage | None
    loss_sum: Tensor
    """Sum of the losses of this epoch's pictures, a scalar on the network's device."""
    counters: Counters = field(default_factory=Counters)

    @property
    def evaluated(self) -> Network:
        """The network that is validated and saved: the moving average where there is one."""
        return self.average.network if self.average else self.network  # type: ignore[return-value] # a copy of network


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was read and found whole."""

    path: Path
    counters: Counters
    identity: dict[str, Any]
    tensors: dict[str, Tensor] = field(repr=False)


def save_checkpoint(folder: Path, state: TrainState, identity: Mapping[str, Any]) -> Path:
    """Write ``step-N.safetensors`` into ``folder`` and remove all but the last two.

    Args:
        folder: ``checkpoints`` of the run.
        state: what to save.
        identity: what the run is (spec, recipe, data digest, ...), compared when it is resumed.

    Raises:
        OutputError: the disk is full or read-only; earlier checkpoints are unharmed.

    """
    make_folder(folder)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _named(state).items()}
    content = {"format": FORMAT, "counters": dataclasses.asdict(state.counters), "identity": dict(identity)}
    text = json.dumps(content, sort_keys=True)
    path = folder / f"step-{state.counters.step:07d}-{state.counters.epoch:04d}-{state.counters.batch:06d}.safetensors"
    write_tensors(path, tensors, {"state": text, "digest": _digest(text, tensors)})
    for old in _newest_first(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the newest whole checkpoint; None when there is none at all.

    A damaged one is set aside as ``NAME.damaged`` with a warning, and the one before it is taken.

    Raises:
        CheckpointError: every one is damaged, or one has a newer format.

    """
    paths = _newest_first(folder)
    for path in paths:
        try:
            return read_checkpoint(path)
        except WeightsError as error:
            aside = path.with_name(path.name + DAMAGED_SUFFIX)
            path.rename(aside)
            _log.warning("%s It was set aside as %s.", error, aside.name)
    if paths:
        raise CheckpointError(
            f"Every checkpoint in {folder} is damaged",
            expected="at least one whole one",
            do="Train again from the start",
        )
    return None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and check one checkpoint.

    Raises:
        WeightsError: missing, truncated, or not as it was written.
        CheckpointError: it was written by a newer version.

    """
    tensors, metadata = read_tensors(path, header_limit_bytes=_HEADER_LIMIT_BYTES)
    text = metadata.get("state", "")
    if metadata.get("digest") != _digest(text, tensors):
        raise WeightsError(f"{path} is damaged: its digest does not fit", expected="an unchanged checkpoint")
    content = json.loads(text)
    if content["format"] > FORMAT:
        raise CheckpointError(
            f"{path} has format {content['format']}",
            expected=f"format {FORMAT} or older",
            do="Update pixelwise: a newer version wrote this run",
        )
    return Checkpoint(path, Counters(**content["counters"]), content["identity"], tensors)


@torch.no_grad()
def restore(state: TrainState, checkpoint: Checkpoint) -> None:
    """Put a checkpoint into a state that was made from the same spec and recipe.

    Tensors are copied into the network's own, whose memory layout stays as it is.
    """
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimiser": {}, "gradient": {}, "loss": {}}
    for name, tensor in checkpoint.tensors.items():
        part, _, rest = name.partition(":")
        parts[part][rest] = tensor
    state.network.load_state_dict(parts["network"])
    if state.average:
        state.average.network.load_state_dict(parts["average"])
    load_optimiser_tensors(state.optimiser, state.network, parts["optimiser"].items())
    for name, parameter in state.network.named_parameters():
        gradient = parts["gradient"].get(name)
        parameter.grad = None if gradient is None else like_parameter(gradient, parameter)
    state.loss_sum.copy_(parts["loss"]["sum"])
    state.counters = dataclasses.replace(checkpoint.counters)


def _named(state: TrainState) -> dict[str, Tensor]:
    named = {f"network:{name}": tensor for name, tensor in state.network.state_dict().items()}
    if state.average:
        named |= {f"average:{name}": tensor for name, tensor in state.average.network.state_dict().items()}
    named |= {f"optimiser:{name}": value for name, value in optimiser_tensors(state.optimiser, state.network).items()}
    gradients = ((name, parameter.grad) for name, parameter in state.network.named_parameters())
    named |= {f"gradient:{name}": gradient for name, gradient in gradients if gradient is not None}
    return named | {"loss:sum": state.loss_sum}


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode("utf-8"))
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
