"""What a person is told before the first epoch: what the data were taken for, and what will be done with them."""

import math
from collections.abc import Iterator
from typing import Any

from pixelwise import catalogue
from pixelwise.analysis import count_parameters
from pixelwise.data.manifest import Manifest
from pixelwise.data.metadata import MetadataColumn
from pixelwise.data.names import counted, some
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.task_names import TARGET_FORMS
from pixelwise.runs.folder import RunConfig
from pixelwise.specs import Network
from pixelwise.tasks.views import hidden_objects
from pixelwise.training.assemble import recipe_of
from pixelwise.training.parts import frozen_stages, parameters_of_stages
from pixelwise.training.recipe import AUTO, NOTHING_FROZEN, Recipe
from pixelwise.training.settle import build_on_meta
from pixelwise.training.source import Source

_FINDINGS_SHOWN = 5
_OTHER_AUGMENTATIONS = {
    "cells": "pictures are turned and mirrored freely; where they have an up and a down: --set augment=scenes.",
    "scenes": "pictures in colour keep their up and down; where they have none (tissue, views from above): "
    "--set augment=cells.",
}


def describe_source(source: Source) -> Iterator[str]:
    """Say how the data folder is read and divided, and what the check warns of; at most five warnings."""
    yield f"Data {source.root}: {source.manifest.describe()}"
    warnings = [finding for finding in source.findings if finding["severity"] == "warning"]
    if not source.is_checked:
        yield "Check: left out."
        return
    count = f"{len(warnings)} warning{'' if len(warnings) == 1 else 's'}" if warnings else "no warnings"
    more = f"; `pixelwise check {source.root}` lists all" if warnings else ""
    yield f"Check: no errors, {count}{more}."
    for finding in warnings[:_FINDINGS_SHOWN]:
        yield f"  {finding['code']}: {finding['message']}"


def describe_plan(config: RunConfig, folder: object, epoch: int = 0) -> Iterator[str]:
    """Say with which network, sizes, recipe, device and numbers a run is trained, and where it lies.

    Args:
        config: the run's settings.
        folder: where it lies.
        epoch: how many epochs are done: other stages may be frozen by now than at first.

    """
    spec = catalogue.spec_from_json(config.spec)
    network = build_on_meta(spec, config.in_channels, config.num_classes)
    parameters = count_parameters(network)
    preprocess = Preprocess.from_json(config.preprocess)
    channels = counted(preprocess.channels, "channel")
    noun = TARGET_FORMS[config.task["name"]].samples
    yield f"Network: {spec.name}, {parameters:,} parameters; {noun} of {channels}, {_sizes(config.recipe)}."
    if preprocess.metadata is not None:
        yield f"Metadata: {'; '.join(map(_column, preprocess.metadata.columns))}."
    if config.init_weights is not None:
        yield from _weights(config.init_weights, noun)
    yield from _frozen(recipe_of(config), network, epoch, has_weights=config.init_weights is not None)
    yield f"Recipe: {_recipe(config.recipe, config.task)}."
    threads = f"{config.threads} thread{'' if config.threads == 1 else 's'}"
    yield f"Device: {config.device}, {config.precision}, {threads}, seed {config.seed}."
    yield f"Run: {folder}"


def describe_augmentation(asked: Recipe, config: RunConfig) -> Iterator[str]:
    """Name the other choice where the data decided whether pictures have an up and a down."""
    augment = config.recipe["augment"]
    if asked.augment == AUTO and augment in _OTHER_AUGMENTATIONS:
        yield f"Augmentation {augment}: {_OTHER_AUGMENTATIONS[augment]}"


def describe_cuts(config: RunConfig, manifest: Manifest) -> Iterator[str]:
    """Warn of objects that the network will not be shown, because the preprocessing cuts them away."""
    preprocess = Preprocess.from_json(config.preprocess)
    for split in ("train", "val", "test"):
        indices = manifest.indices(split)
        if hidden := hidden_objects(manifest, preprocess, indices):
            yield (
                f"Warning: resize=crop cuts away all of the object in {hidden} of {len(indices)} pictures of the "
                f"{split} split; --set resize=pad shows them."
            )


def _column(column: MetadataColumn) -> str:
    if column.values:
        return f"{column.name} is one of {some(list(column.values))}"
    return f"{column.name} is a number, {column.mean:.4g} on average (standard deviation {column.std:.4g})"


def _weights(initial: dict[str, Any], noun: str) -> Iterator[str]:
    expected = initial.get("pretraining")
    if expected is None:
        whose = f"{noun} are normalised with their own mean and standard deviation"
    else:
        mean, std = (", ".join(f"{value:.3f}" for value in expected[key]) for key in ("mean", "std"))
        whose = f"{noun} are normalised as for {expected['source']} (mean {mean}; standard deviation {std})"
    yield f"Weights: {initial.get('given', initial['path'])}; {whose}."
    for note in initial.get("notes", ()):
        yield f"  {note}"


def _frozen(recipe: Recipe, network: Network, epoch: int, *, has_weights: bool) -> Iterator[str]:
    if recipe.freeze == NOTHING_FROZEN:
        return
    frozen, every = frozen_stages(recipe, network, epoch), recipe.unfreeze_epochs
    thaws = every is not None and every < (recipe.epochs or math.inf)
    if frozen == 0:
        yield "Frozen: nothing any more."
        return
    parts = parameters_of_stages(network)
    count = sum(parameter.numel() for part in parts[:frozen] for parameter in part)
    what = f"{frozen} of {len(network.stages)} stages" if frozen < len(network.stages) else "all but the head"
    when = "" if not thaws else " now" if epoch else " at first"
    until = f"; one stage more learns after every {'epoch' if every == 1 else f'{every} epochs'}" if thaws else ""
    yield f"Frozen{when}: {what}, {count:,} parameters{until}."
    if every is not None and not thaws:
        epochs = "1 epoch" if recipe.epochs == 1 else f"{recipe.epochs} epochs"
        yield f"  Nothing unfreezes: the run has {epochs}, and unfreeze_epochs={every}."
    if not has_weights:
        yield "  What is frozen keeps the random weights that it begins with: --weights gives it others."


def _sizes(recipe: dict[str, Any]) -> str:
    how = {"stretch": "stretched to", "crop": "resized and cropped to", "pad": "resized and padded to"}
    whole = "as they are" if recipe["size"] is None else f"{how[recipe['resize']]} {_pair(recipe['size'])} px"
    if len(recipe["crop"] or ()) == 3:
        return f"{_at_spacing(recipe)}, in random patches of {_pair(recipe['crop'])} voxels"
    return f"{whole}, in random crops of {_pair(recipe['crop'])} px" if recipe["crop"] else whole


def _at_spacing(recipe: dict[str, Any]) -> str:
    own = "each on a scale of its own" if recipe["normalise"] == "picture" else "on one scale"
    return f"brought to {_pair(recipe['spacing'])} mm, {own}" if recipe["spacing"] else own


def _recipe(recipe: dict[str, Any], task: dict[str, Any]) -> str:
    epochs = "1 epoch" if recipe["epochs"] == 1 else f"{recipe['epochs']} epochs"
    parts = f" x {recipe['accumulate']}" if recipe["accumulate"] > 1 else ""
    decay = recipe.get("rate_decay", 1.0)
    lower = "" if decay == 1 else f", times {decay:g} for each stage below the head"
    rate = f"{recipe['learning_rate']:g} ({recipe['schedule']}{lower})"
    return (
        f"{recipe['name']}, {epochs}, batches of {recipe['batch_size']}{parts}, {recipe['optimiser']}, rate {rate}, "
        f"loss {task['loss']}, augmentation {recipe['augment']}"
    )


def _pair(size: list[float]) -> str:
    return " x ".join(f"{side:g}" for side in size)
