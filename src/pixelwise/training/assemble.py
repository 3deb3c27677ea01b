"""From a run's settings to the objects that train: the same way for a new run and for a resumed one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from pixelwise import catalogue
from pixelwise.data.manifest import Manifest
from pixelwise.data.preprocess import Preprocess
from pixelwise.predict.postprocess import Pipeline
from pixelwise.runs.folder import MODEL_FOLDER, Run, RunConfig
from pixelwise.runs.journal import Journal
from pixelwise.runs.model import Model, save_model
from pixelwise.tasks import task_from_json
from pixelwise.training.checkpoint import TrainState
from pixelwise.training.device import Precision, choose_precision
from pixelwise.training.ema import MovingAverage
from pixelwise.training.identity import identity_of
from pixelwise.training.initial import load_initial_weights
from pixelwise.training.job import Job
from pixelwise.training.optim import make_optimiser
from pixelwise.training.progress import Progress
from pixelwise.training.recipe import Recipe
from pixelwise.training.sample_sets import make_sample_sets
from pixelwise.training.settle import build_on_meta, sizes, val_batch_size
from pixelwise.training.signals import StopRequest


def recipe_of(config: RunConfig) -> Recipe:
    """Return the settled recipe of a run."""
    return Recipe.from_json({key: value for key, value in config.recipe.items() if key != "name"})


def make_state(config: RunConfig, device: torch.device, *, is_restored: bool = False) -> TrainState:
    """Return the state at step 0: a pure function of the settings.

    Args:
        config: the run's settings.
        device: where to train.
        is_restored: a checkpoint is put into the state next, so that the weights to start from are not needed.

    Raises:
        WeightsError: the weights to start from are gone, or are no longer what they were.

    """
    recipe = recipe_of(config)
    torch.manual_seed(config.seed)
    network = catalogue.spec_from_json(config.spec).build(config.in_channels, config.num_classes)
    if config.init_weights is not None and not is_restored:
        load_initial_weights(network, config.init_weights)
    innermost = torch.channels_last_3d if network.spec.dimensions == 3 else torch.channels_last
    network = network.to(device=device, memory_format=innermost)  # type: ignore[call-overload] # torch's stub
    optimiser = make_optimiser(recipe, network)
    average = MovingAverage(network, recipe.ema_decay) if recipe.ema_decay is not None else None
    loss_sum = torch.zeros((), dtype=torch.float32 if device.type == "mps" else torch.float64, device=device)
    return TrainState(network, optimiser, average, loss_sum)


def make_job(run: Run, device: torch.device, *, journal: Journal, progress: Progress, stop: StopRequest) -> Job:
    """Return everything that the loop needs besides the state."""
    config, manifest, recipe = run.config, run.manifest, recipe_of(run.config)
    root = Path(config.data["root"])
    network = build_on_meta(catalogue.spec_from_json(config.spec), config.in_channels, config.num_classes)
    found = sizes(recipe, manifest, network)
    preprocess = Preprocess.from_json(config.preprocess)
    task = task_from_json(config.task)
    train_set, val_set = make_sample_sets(
        manifest, root, preprocess, recipe, network=network, found=found, seed=config.seed, is_weighed=task.is_weighed
    )
    precision: Precision = config.precision  # type: ignore[assignment] # checked by choose_precision
    return Job(
        folder=run.path,
        task=task,
        recipe=recipe,
        epochs=recipe.epochs or 1,
        train_set=train_set,
        val_set=val_set if len(val_set) else None,
        val_batch_size=val_batch_size(recipe, found),
        preprocess=preprocess,
        device=device,
        dtype=choose_precision(precision, device),
        seed=config.seed,
        workers=config.workers,
        identity=identity_of(config),
        journal=journal,
        progress=progress,
        stop=stop,
        describe_batch=lambda indices: batch_files(manifest, indices),
        save_best=lambda state: save_model(run.path / MODEL_FOLDER, _model(config, preprocess, state)),
        checkpoint_seconds=config.checkpoint_seconds,
        checkpoint_steps=config.checkpoint_steps,
    )


def batch_files(manifest: Manifest, indices: NDArray[Any]) -> Sequence[str]:
    """Return the file of each sample, with its frame where a file holds several."""
    samples = [manifest[int(index)] for index in indices]
    return [sample.path if sample.frame < 0 else f"{sample.path}[{sample.frame}]" for sample in samples]


def _model(config: RunConfig, preprocess: Preprocess, state: TrainState) -> Model:
    task, counters = task_from_json(config.task), state.counters
    card = {
        "name": config.name,
        "created": config.created,
        "pixelwise": config.pixelwise,
        "torch": config.torch,
        "recipe": config.recipe,
        "seed": config.seed,
        "data": {key: config.data[key] for key in ("manifest_digest", "layout", "num_samples", "splits")},
        "classes": list(task.classes),
        "epoch": counters.epoch,
        "step": counters.step,
        "validation": {"metric": task.metric, "value": counters.best},
    }
    steps = config.recipe.get("post")
    return Model(
        network=state.evaluated,
        spec=catalogue.spec_from_json(config.spec),
        task=task,
        preprocess=preprocess,
        card=card,
        post=Pipeline.parse(steps).to_json() if steps else None,
    )
