"""What a resumed run is continued with: device, precision and recipe, as they were unless they may change."""

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from pixelwise.catalogue import spec_from_json
from pixelwise.errors import DeviceError, RunError
from pixelwise.runs.folder import Run, RunConfig
from pixelwise.specs import Spec
from pixelwise.training.assemble import recipe_of
from pixelwise.training.checkpoint import Counters
from pixelwise.training.device import choose_own_device, has_bfloat16
from pixelwise.training.identity import differences, may_change
from pixelwise.training.initial import weights_asked_for, weights_recorded
from pixelwise.training.recipe import Recipe
from pixelwise.training.settle_metadata import conditioned, settle_metadata
from pixelwise.training.source import DataOptions
from pixelwise.training.start import Choices, settle_request
from pixelwise.values import show_value

_log = logging.getLogger(__name__)


def same_device(before: str, asked: str | None) -> torch.device:
    """Return the device to resume on: the one asked for, else the run's own, else the CPU.

    Raises:
        DeviceError: the one asked for is not there.

    """
    try:
        place = choose_own_device(asked or before)
    except DeviceError:
        if asked is not None:
            raise
        place = torch.device("cpu")
    if place.type != torch.device(before).type:
        _log.warning("The run goes on on %s and not on %s: its bits will not be those of one device.", place, before)
    return place


def same_precision(before: str, place: torch.device) -> str:
    """Return the precision to resume in: the run's own, or float32 where the device does not have it."""
    if before == "bfloat16" and not has_bfloat16(place):
        _log.warning("%s has no bfloat16, so the run goes on in float32: its bits will not be the same.", place)
        return "float32"
    return before


def changed_recipe(recipe: dict[str, Any], settings: dict[str, str]) -> dict[str, Any]:
    """Return a run's recipe with other fields; whether they may be others is not decided here."""
    fields = Recipe.from_json({key: value for key, value in recipe.items() if key != "name"})
    return {"name": recipe["name"], **fields.override(settings).to_json()}


def begin_comparison(counters: Counters, events: Sequence[Mapping[str, Any]], metric: str) -> str:
    """Forget the best value so far where another score gave it, as in runs of an earlier version.

    Args:
        counters: of the run; changed.
        events: its journal.
        metric: what is compared from now on.

    Returns:
        What is done, to be told; empty where values go on to be compared.

    """
    before = next((event["metric"] for event in reversed(events) if event["event"] == "best"), metric)
    if counters.best is None or before == metric:
        return ""
    counters.best = counters.best_loss = None
    return f"The best weights so far are those of {before}. {metric} chooses from now on: the next epoch is its first."


def same_request(
    run: Run, spec: Spec, recipe: Recipe, choices: Choices, *, root: Path, options: DataOptions
) -> dict[str, str]:
    """Refuse to go on with a run in answer to a request for another one.

    The request is settled anew from the run's pictures, and compared with what the run records: data, network, recipe,
    batch, class weights, weights to start from, seed, precision, and whether kernels must repeat. An ``auto`` precision
    is the run's own. Device, workers and times of checkpoints may be others.

    Args:
        run: finished or not.
        spec: the network asked for.
        recipe: the recipe asked for.
        choices: everything else that was asked for.
        root: where the data are to be.
        options: how they are to be read.

    Returns:
        The fields of the recipe that a resumed run may change, as the request has them, in text.

    Raises:
        RunError: shows every difference.
        DataError, SpecError, RecipeError, UsageError, WeightsError: the request itself cannot work.

    """
    config = run.config
    spec = conditioned(spec, settle_metadata(run.manifest))
    _refuse(run, differences(_recorded(config), _asked_for(config, spec, choices, root, options)))
    then = recipe_of(config)
    task, _, settled = settle_request(run.manifest, spec, recipe, choices, root=root)
    if choices.batch == "auto":
        settled = _divided(settled, then)
    weights = {"class_weights": config.task.get("class_weights")}, {"class_weights": task.to_json()["class_weights"]}
    found = differences(*weights) | differences({"recipe": then.to_json()}, {"recipe": settled.to_json()})
    changeable = {field.name for field in dataclasses.fields(Recipe) if may_change(field.name, then)}
    _refuse(run, {key: text for key, text in found.items() if key.removeprefix("recipe.") not in changeable})
    return {key: show_value(getattr(settled, key)) for key in sorted(changeable)}


def _recorded(config: RunConfig) -> dict[str, Any]:
    return {
        "name": config.name,
        "spec": spec_from_json(config.spec).to_json(),
        "recipe": {"name": config.recipe["name"]},
        "seed": config.seed,
        "precision": config.precision,
        "deterministic": config.deterministic,
        "data": {"folder": config.data["root"], **DataOptions.from_json(config.data["options"]).to_json()},
        "weights": weights_recorded(config.init_weights),
    }


def _asked_for(config: RunConfig, spec: Spec, choices: Choices, root: Path, options: DataOptions) -> dict[str, Any]:
    return {
        "name": choices.name,
        "spec": spec.to_json(),
        "recipe": {"name": choices.recipe_name},
        "seed": choices.seed,
        "precision": config.precision if choices.precision == "auto" else choices.precision,
        "deterministic": choices.deterministic,
        "data": {"folder": str(root.resolve()), **options.to_json()},
        "weights": weights_asked_for(choices.weights, choices.adapt, config.init_weights),
    }


def _divided(settled: Recipe, then: Recipe) -> Recipe:
    """Divide the batch as the run's was divided to fit into memory, if that was the same batch."""
    parts, rest = divmod(then.accumulate, settled.accumulate)
    if rest or not parts or then.batch_size != math.ceil(settled.batch_size / parts):
        return settled
    return dataclasses.replace(settled, batch_size=then.batch_size, accumulate=then.accumulate)


def _refuse(run: Run, found: dict[str, str]) -> None:
    if found:
        raise RunError(
            f"{run.path} was started with other settings: {'; '.join(found.values())}",
            expected="the request that the run was started with",
            do=f"Repeat that; or go on with the run as it is: `pixelwise resume {run.path}`; or choose another folder",
        )
