"""From data, network and recipe to everything that a run is made of, before its first epoch.

Each fault that can be found early is found here: a network for another task, a size or a stage that it does not have,
weights that do not fit.
"""

import dataclasses
import math
import platform
import sys
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch

from pixelwise import catalogue
from pixelwise.analysis import free_memory_bytes, suggest_batch_size, training_memory
from pixelwise.data.colour import are_coloured
from pixelwise.data.manifest import Manifest
from pixelwise.data.measuring import measure_preprocess
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.reading import Glimpses, SampleReader
from pixelwise.data.volumes.measuring import measure_volumes
from pixelwise.errors import DataError, RecipeError, TrainingError, suggest
from pixelwise.predict.postprocess import Pipeline, default_pipeline
from pixelwise.runs.folder import RunConfig
from pixelwise.specs import Network, Spec
from pixelwise.tasks import TASKS, Task, make_task
from pixelwise.tasks.views import hidden_objects
from pixelwise.training.class_weights import ClassWeights, settle_class_weights
from pixelwise.training.device import Precision, describe_machine, settle_precision
from pixelwise.training.failures import out_of_memory_error
from pixelwise.training.initial import plan_initial_weights
from pixelwise.training.parts import check_parts
from pixelwise.training.recipe import NOTHING_FROZEN, Recipe
from pixelwise.training.sample_sets import check_augmentation
from pixelwise.training.settle import (
    build_on_meta,
    check_strings,
    is_wide,
    refuse_task,
    settle_channels,
    settle_recipe,
    sizes,
)
from pixelwise.training.settle_batch import fewest_together
from pixelwise.training.settle_metadata import conditioned, settle_metadata
from pixelwise.training.source import Source

CROP_FRACTION = 0.875
"""Share of the short side that resize=crop keeps: 224 of 256, as usual for ImageNet."""

MOST_HIDDEN = 0.9
"""Share of a split's objects that may be cut away: with fewer left there is nothing to learn or to measure."""

OPTIONS = frozenset({
    "seed", "device", "precision", "workers", "batch", "weights", "adapt", "class_weights", "name", "out", "task",
    "bad_images",
})  # fmt: skip
"""What the command line and :func:`~pixelwise.training.session.train` take under one name; no fields of a recipe."""

MOST_OF_FREE = 2
"""Times the free memory that a training step is let try where failing is harmless: some may come free yet."""

HALF_PRECISION_SHARE = 0.7
"""Share of float32's memory that a step takes in bfloat16: some of what is kept stays float32. Measured with unet16."""

SMALL_PX = 64
"""Largest side of pictures that CIFAR's networks suit."""
_ANY_OUTPUTS = 2


def choose_spec(spec: Spec | str, recipe: Recipe, settings: dict[str, str]) -> tuple[Spec, Recipe]:
    """Apply ``--set`` overrides to the network's row and the recipe: every key belongs to one of them.

    Raises:
        SpecError, RecipeError: an unknown key (with near misses in both), a value that does not fit, or a recipe that
            speaks of stages which the network does not have.

    """
    spec = catalogue.spec(spec) if isinstance(spec, str) else spec
    recipe_fields = {field.name for field in dataclasses.fields(Recipe)}
    columns = set(spec.columns())
    unknown = next((key for key in settings if key not in recipe_fields | columns), None)
    if unknown is not None:
        raise RecipeError(
            f"neither the recipe nor {spec.name} has a field {unknown!r}",
            do=_option(unknown, settings[unknown])
            or suggest(unknown, recipe_fields | columns)
            or f"They have {', '.join(sorted(recipe_fields | columns))}",
        )
    spec = spec.override({key: text for key, text in settings.items() if key not in recipe_fields})
    recipe = recipe.override({key: text for key, text in settings.items() if key in recipe_fields})
    if recipe.speaks_of_stages:
        channels = 3 if spec.facts is None else spec.facts.input_size[0]
        check_parts(recipe, build_on_meta(spec, channels, _ANY_OUTPUTS))
    return spec, recipe


def _option(key: str, text: str) -> str:
    """Name the option that a key is, where it is one; else empty."""
    if key not in OPTIONS:
        return ""
    return f"Use --{key.replace('_', '-')} {text}, in Python {key}={text}"


def default_network(manifest: Manifest) -> str:
    """Return the name of a network that suits data of this kind and size."""
    largest = max(int(manifest.column("height").max()), int(manifest.column("width").max()))
    for_small, for_large = TASKS[manifest.task].default_networks
    return for_small if largest <= SMALL_PX else for_large


def choose_task(recipe: Recipe, manifest: Manifest, class_weights: ClassWeights, root: Path) -> Task:
    """Make the task that the data ask for, with the recipe's loss."""
    return make_task(
        manifest.task,
        manifest.classes,
        loss=recipe.loss,
        class_weights=settle_class_weights(class_weights, TASKS[manifest.task], manifest, root),
        label_smoothing=recipe.label_smoothing,
        auxiliary_weight=recipe.auxiliary_weight,
        separate=recipe.separate,
    )


def fit_to_memory(
    recipe: Recipe,
    network: Network,
    found: tuple[int, ...],
    device: torch.device,
    *,
    precision: Precision = "float32",
    is_batch_open: bool = True,
) -> Recipe:
    """Split the recipe's batch into parts that fit into the device's memory; the gradient's batch stays as large.

    Args:
        recipe: settled.
        network: may lie on the meta device.
        found: size of the training pictures or crops.
        device: where training will run.
        precision: of the run, settled.
        is_batch_open: whether the batch may be split.

    Raises:
        TrainingError: the smallest part, or a batch that may not be split, takes more than there is.

    """
    free = free_memory_bytes(device)
    if not is_batch_open:
        if (
            recipe.freeze == NOTHING_FROZEN
        ):  # what is frozen keeps nothing for the backward pass, and is not counted out
            _refuse_memory(recipe, recipe.batch_size, network, found, _let_try(free, device, precision))
        return recipe
    fitting = suggest_batch_size(network, (network.in_channels, *found), free, optimiser=recipe.optimiser)
    if fitting >= recipe.batch_size:
        return recipe
    least = fewest_together(network, found)
    if not fitting:
        _refuse_memory(recipe, least, network, found, _let_try(free, device, precision))
    parts = math.ceil(recipe.batch_size / max(least, fitting))
    size = math.ceil(recipe.batch_size / parts)
    return dataclasses.replace(recipe, batch_size=size, accumulate=recipe.accumulate * parts)


def _let_try(free: int, device: torch.device, precision: Precision) -> int:
    """Return the bytes, by the count of float32, that a training step may take and is still tried.

    On a GPU an allocation fails, and training says so. A computer lets a process have more than there is, and kills it
    when it is used: there, no more than what is free.
    """
    if device.type != "cpu":
        return MOST_OF_FREE * free
    return free if precision == "float32" else int(free / HALF_PRECISION_SHARE)


def _refuse_memory(recipe: Recipe, count: int, network: Network, found: tuple[int, ...], most: int) -> None:
    batch = (count, network.in_channels, *found)
    needed = training_memory(network, batch, optimiser=recipe.optimiser)
    if needed > most:
        error = out_of_memory_error(batch, recipe.accumulate, network)
        raise TrainingError(f"{error.came}, which takes {needed / 1e9:,.1f} GB or more", do=error.do)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """What the caller of a run decides besides data, network and recipe."""

    name: str
    recipe_name: str
    seed: int
    workers: int
    device: torch.device
    precision: Precision
    deterministic: bool
    batch: int | Literal["auto"]
    class_weights: ClassWeights
    weights: Path | None
    adapt: Collection[str]
    checkpoint_seconds: float
    checkpoint_steps: int | None


def settle_request(
    manifest: Manifest, spec: Spec, recipe: Recipe, choices: Choices, *, root: Path
) -> tuple[Task, Network, Recipe]:
    """Return the task, the network on the meta device and the recipe that follow from a request and its pictures.

    They do not depend on the machine: its memory may divide the batch later.

    Raises:
        DataError, SpecError, RecipeError, UsageError: each says what does not fit.

    """
    refuse_task(spec, manifest)
    metadata = settle_metadata(manifest)
    spec = conditioned(spec, metadata)
    task = choose_task(recipe, manifest, choices.class_weights, root)
    (Pipeline.parse(recipe.post) if recipe.post else default_pipeline(task)).check_task(task)
    network = build_on_meta(spec, settle_channels(manifest) + (metadata.width if metadata else 0), task.num_outputs)
    if choices.batch != "auto":
        recipe = dataclasses.replace(recipe, batch_size=choices.batch)
    settled = settle_recipe(
        recipe,
        manifest,
        network,
        is_batch_open=choices.batch == "auto",
        shows_colours=lambda: are_coloured(SampleReader(root, manifest), manifest.indices("train")),
    )
    return task, network, settled


def plan_run(source: Source, spec: Spec, recipe: Recipe, choices: Choices) -> RunConfig:
    """Settle everything that a run depends on, and refuse what cannot work.

    Raises:
        DataError, SpecError, RecipeError, UsageError, TrainingError: each says what does not fit.

    """
    manifest = source.manifest
    task, network, recipe = settle_request(manifest, spec, recipe, choices, root=source.root)
    check_augmentation(manifest.task, recipe.augment)
    found = sizes(recipe, manifest, network)
    precision = settle_precision(choices.precision, choices.device, is_wide=is_wide(network, found))
    recipe = fit_to_memory(
        recipe, network, found.train, choices.device, precision=precision, is_batch_open=choices.batch == "auto"
    )
    check_strings(manifest, network, found)
    initial = plan_initial_weights(choices.weights, choices.adapt, network)
    preprocess = _preprocess(source, recipe, settle_channels(manifest), initial)
    preprocess = dataclasses.replace(preprocess, metadata=settle_metadata(manifest))
    check_objects(manifest, preprocess)
    return RunConfig(
        name=choices.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        status="running",
        pixelwise=version("pixelwise"),
        torch=torch.__version__,
        python=platform.python_version(),
        machine=describe_machine(),
        command=sys.argv,
        spec=network.spec.to_json(),
        in_channels=network.in_channels,
        num_classes=network.num_classes,
        task=task.to_json(),
        recipe={"name": choices.recipe_name, **recipe.to_json()},
        preprocess=preprocess.to_json(),
        seed=choices.seed,
        workers=choices.workers,
        device=str(choices.device),
        threads=torch.get_num_threads(),
        precision=precision,
        deterministic=choices.deterministic,
        checkpoint_seconds=choices.checkpoint_seconds,
        checkpoint_steps=choices.checkpoint_steps,
        data=source.to_json(),
        init_weights=initial,
    )


def check_objects(manifest: Manifest, preprocess: Preprocess) -> None:
    """Refuse a preprocessing that cuts away nearly all objects of a split.

    Raises:
        DataError: says how many.

    """
    for split in ("train", "val"):
        indices = manifest.indices(split)
        hidden = hidden_objects(manifest, preprocess, indices)
        if hidden > MOST_HIDDEN * len(indices):
            raise DataError(
                f"resize=crop cuts away all of the object in {hidden} of {len(indices)} pictures of the {split} split",
                expected="objects that the network is shown",
                do="Use --set resize=pad or --set resize=stretch",
            )


def _preprocess(source: Source, recipe: Recipe, channels: int, initial: dict[str, Any] | None) -> Preprocess:
    """Measure the training pictures; mean and standard deviation are those that the weights to start from expect."""
    if source.manifest.form.dimensions == 3:
        return measure_volumes(
            SampleReader(source.root, source.manifest),
            source.manifest.indices("train"),
            channels=channels,
            statistics=recipe.normalise,  # type: ignore[arg-type] # settled: no longer auto
            clip=recipe.clip,
            spacing=recipe.spacing,
        )
    measured = measure_preprocess(
        Glimpses(SampleReader(source.root, source.manifest)),
        source.manifest.indices("train"),
        channels=channels,
        resize=recipe.resize,  # type: ignore[arg-type] # settled: no longer auto
        size=recipe.size,  # type: ignore[arg-type] # settled: of two sides
        crop_fraction=CROP_FRACTION if recipe.resize == "crop" else 1.0,
    )
    if initial is None or initial["pretraining"] is None:
        return measured
    expected = initial["pretraining"]
    return dataclasses.replace(measured, mean=tuple(expected["mean"]), std=tuple(expected["std"]))
