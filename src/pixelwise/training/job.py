"""What a training run is given: everything that does not change while it goes on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from pixelwise.data.preprocess import Preprocess
from pixelwise.data.sample_set import SampleSet
from pixelwise.runs.journal import Journal
from pixelwise.tasks.base import Task
from pixelwise.training.checkpoint import TrainState
from pixelwise.training.progress import Progress
from pixelwise.training.recipe import Recipe
from pixelwise.training.signals import StopRequest


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """The data, settings and outlets of a run."""

    folder: Path
    """The run folder."""
    task: Task
    recipe: Recipe
    epochs: int
    """Passes over the training pictures, settled."""
    train_set: SampleSet
    val_set: SampleSet | None
    val_batch_size: int
    preprocess: Preprocess
    device: torch.device
    dtype: torch.dtype
    """What convolutions compute in: float32 or, under autocast, bfloat16."""
    seed: int
    workers: int
    identity: dict[str, Any]
    """What every checkpoint records of the run, to be compared when it is resumed."""
    journal: Journal
    progress: Progress
    stop: StopRequest
    describe_batch: Callable[[NDArray[Any]], Sequence[str]]
    """Names the files of the samples with these indices."""
    save_best: Callable[[TrainState], None]
    """Keeps the evaluated network as the run's model."""
    checkpoint_seconds: float
    """Time between checkpoints within an epoch; there is one at the end of every epoch besides."""
    checkpoint_steps: int | None = None
    """Optimiser steps between checkpoints within an epoch; None = by time only."""
