"""From a folder of pictures to everything that a run is made of, before its first epoch.

Each fault that can be found early is found here: unreadable data, one class, a network for another task, a size that
the network cannot take, a missing device, a folder that cannot be written.
"""

import dataclasses
import math
import platform
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self

import torch

from pixelwise import catalogue
from pixelwise.analysis import free_memory_bytes, suggest_batch_size
from pixelwise.data.augment import Augment
from pixelwise.data.check import check_data
from pixelwise.data.manifest import Manifest, build_manifest
from pixelwise.data.masks import IGNORE, MaskKind
from pixelwise.data.measuring import measure_preprocess
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.reading import SampleReader
from pixelwise.data.split import split_manifest
from pixelwise.data.task_names import TaskName
from pixelwise.errors import DataError, RecipeError, suggest
from pixelwise.runs.folder import RunConfig
from pixelwise.specs import Network, Spec
from pixelwise.tasks import TASKS, Task, make_task
from pixelwise.training.device import Precision, describe_machine, settle_precision
from pixelwise.training.initial import plan_initial_weights
from pixelwise.training.parts import check_parts
from pixelwise.training.recipe import Recipe
from pixelwise.training.settle import (
    build_on_meta,
    check_strings,
    is_wide,
    refuse_task,
    settle_channels,
    settle_recipe,
    sizes,
    split_counts,
)

BadImages = Literal["refuse", "skip"]
ClassWeights = Sequence[float] | Literal["balanced"] | None

CROP_FRACTION = 0.875
"""Share of the short side that resize=crop keeps: 224 of 256, as usual for ImageNet."""

SMALL_PX = 64
"""Largest side of pictures that CIFAR's networks suit."""
_FINDINGS_SHOWN = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class DataOptions:
    """How a folder is read and split; recorded in the run, so that resuming reads it the same way."""

    task: TaskName | None = None
    layout: str | None = None
    classes: tuple[str, ...] | None = None
    mask_kind: MaskKind | None = None
    colours: tuple[tuple[int, int, int], ...] = ()
    ignore: int | None = IGNORE
    bad_images: BadImages = "refuse"
    group_by: str | None = None
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)

    def to_json(self) -> dict[str, Any]:
        """Return the options as plain JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Read what :meth:`to_json` gave."""
        classes = content["classes"]
        return cls(**{
            **content,
            "classes": None if classes is None else tuple(classes),
            "colours": tuple((r, g, b) for r, g, b in content["colours"]),
            "fractions": tuple(content["fractions"]),
        })  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """A data set that was read, checked and split."""

    root: Path
    options: DataOptions
    manifest: Manifest
    is_checked: bool
    findings: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """Return what a run records of its data."""
        return {
            "root": str(self.root.resolve()),
            "options": self.options.to_json(),
            "manifest_digest": self.manifest.digest(),
            "layout": self.manifest.layout,
            "num_samples": len(self.manifest),
            "splits": split_counts(self.manifest),
            "skipped": [list(pair) for pair in self.manifest.skipped],
            "findings": list(self.findings),
        }


def read_source(root: Path, options: DataOptions, *, seed: int, should_check: bool) -> Source:
    """Check, index and split a data set.

    Raises:
        DataError: the check found errors (the first few are named), or nothing can be trained on.

    """
    findings: tuple[dict[str, Any], ...] = ()
    undecodable: dict[str, str] = {}
    if should_check:
        report = check_data(
            root, task=options.task, layout=options.layout, classes=options.classes, mask_kind=options.mask_kind,
            colours=options.colours, ignore=options.ignore, bad_images=options.bad_images,
        )  # fmt: skip
        errors = [finding for finding in report.findings if finding.severity == "error"]
        if errors:
            shown = " ".join(f"{finding.message} {finding.fix}" for finding in errors[:_FINDINGS_SHOWN])
            raise DataError(
                f"{root} has {len(errors)} error{'s' if len(errors) > 1 else ''}: {shown}",
                do=f"`pixelwise check {root}` lists everything",
            )
        findings = tuple(finding.to_json() for finding in report.findings)
        undecodable = dict(report.undecodable)
    manifest = index_source(root, options, seed=seed, exclude=undecodable)
    return Source(root, options, manifest, should_check, findings)


def index_source(
    root: Path, options: DataOptions, *, seed: int, exclude: Mapping[str, str] = MappingProxyType({})
) -> Manifest:
    """Index and split a data set; the same files give the same manifest. ``exclude``: see ``build_manifest``."""
    manifest = build_manifest(
        root, task=options.task, layout=options.layout, classes=options.classes, mask_kind=options.mask_kind,
        colours=options.colours, ignore=options.ignore, bad_images=options.bad_images,
        exclude=exclude,
    )  # fmt: skip
    return split_manifest(manifest, fractions=options.fractions, seed=seed, group_by=options.group_by)


def choose_spec(spec: Spec | str, recipe: Recipe, settings: dict[str, str]) -> tuple[Spec, Recipe]:
    """Apply ``--set`` overrides to the network's row and the recipe: every key belongs to one of them.

    Raises:
        SpecError, RecipeError: an unknown key (with near misses in both), or a value that does not fit.

    """
    spec = catalogue.spec(spec) if isinstance(spec, str) else spec
    recipe_fields = {field.name for field in dataclasses.fields(Recipe)}
    columns = set(spec.columns())
    unknown = next((key for key in settings if key not in recipe_fields | columns), None)
    if unknown is not None:
        raise RecipeError(
            f"neither the recipe nor {spec.name} has a field {unknown!r}",
            do=suggest(unknown, recipe_fields | columns) or f"They have {', '.join(sorted(recipe_fields | columns))}",
        )
    for_recipe = {key: text for key, text in settings.items() if key in recipe_fields}
    for_spec = {key: text for key, text in settings.items() if key not in recipe_fields}
    return spec.override(for_spec), recipe.override(for_recipe)


def default_network(manifest: Manifest) -> str:
    """Return the name of a network that suits data of this kind and size."""
    largest = max(int(manifest.column("height").max()), int(manifest.column("width").max()))
    for_small, for_large = TASKS[manifest.task].default_networks
    return for_small if largest <= SMALL_PX else for_large


def choose_task(recipe: Recipe, manifest: Manifest, class_weights: ClassWeights) -> Task:
    """Make the task that the data ask for, with the recipe's loss."""
    kind = TASKS[manifest.task]
    weights = kind.balanced_weights(manifest) if class_weights == "balanced" else class_weights
    return make_task(
        manifest.task,
        manifest.classes,
        loss=recipe.loss,
        class_weights=None if weights is None else tuple(weights),
        label_smoothing=recipe.label_smoothing,
        auxiliary_weight=recipe.auxiliary_weight,
    )


def fit_to_memory(recipe: Recipe, network: Network, found: tuple[int, int], device: torch.device) -> Recipe:
    """Split the recipe's batch into parts that fit into the device's memory; the gradient's batch stays as large."""
    has_two_moments = recipe.optimiser in ("adamw", "rmsprop")
    optimiser: Literal["sgd", "adamw"] = "adamw" if has_two_moments else "sgd"
    fitting = suggest_batch_size(network, (network.in_channels, *found), free_memory_bytes(device), optimiser=optimiser)
    if fitting >= recipe.batch_size:
        return recipe
    parts = math.ceil(recipe.batch_size / max(1, fitting))
    size = math.ceil(recipe.batch_size / parts)
    return dataclasses.replace(recipe, batch_size=size, accumulate=recipe.accumulate * parts)


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


def plan_run(source: Source, spec: Spec, recipe: Recipe, choices: Choices) -> RunConfig:
    """Settle everything that a run depends on, and refuse what cannot work.

    Raises:
        DataError, SpecError, RecipeError, UsageError: each says what does not fit.

    """
    manifest = source.manifest
    refuse_task(spec, manifest)
    task = choose_task(recipe, manifest, choices.class_weights)
    network = build_on_meta(spec, settle_channels(manifest), task.num_outputs)
    if choices.batch != "auto":
        recipe = dataclasses.replace(recipe, batch_size=choices.batch)
    recipe = settle_recipe(recipe, manifest, network, is_batch_open=choices.batch == "auto")
    Augment.named(recipe.augment)
    found = sizes(recipe, manifest, network)
    if choices.batch == "auto":
        recipe = fit_to_memory(recipe, network, found.train, choices.device)
    check_strings(manifest, network, found)
    check_parts(recipe, network)
    initial = plan_initial_weights(choices.weights, choices.adapt, network)
    preprocess = _preprocess(source, recipe, network.in_channels, initial)
    return RunConfig(
        name=choices.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        status="running",
        pixelwise=version("pixelwise"),
        torch=torch.__version__,
        python=platform.python_version(),
        machine=describe_machine(),
        command=sys.argv,
        spec=spec.to_json(),
        in_channels=network.in_channels,
        num_classes=network.num_classes,
        task=task.to_json(),
        recipe={"name": choices.recipe_name, **recipe.to_json()},
        preprocess=preprocess.to_json(),
        seed=choices.seed,
        workers=choices.workers,
        device=str(choices.device),
        threads=torch.get_num_threads(),
        precision=settle_precision(choices.precision, choices.device, is_wide=is_wide(network, found)),
        deterministic=choices.deterministic,
        checkpoint_seconds=choices.checkpoint_seconds,
        checkpoint_steps=choices.checkpoint_steps,
        data=source.to_json(),
        init_weights=initial,
    )


def _preprocess(source: Source, recipe: Recipe, channels: int, initial: dict[str, Any] | None) -> Preprocess:
    """Measure the training pictures; mean and standard deviation are those that the weights to start from expect."""
    measured = measure_preprocess(
        SampleReader(source.root, source.manifest),
        source.manifest.indices("train"),
        channels=channels,
        resize=recipe.resize,  # type: ignore[arg-type] # settled: no longer auto
        size=recipe.size,
        crop_fraction=CROP_FRACTION if recipe.resize == "crop" else 1.0,
    )
    if initial is None or initial["pretraining"] is None:
        return measured
    expected = initial["pretraining"]
    return dataclasses.replace(measured, mean=tuple(expected["mean"]), std=tuple(expected["std"]))
