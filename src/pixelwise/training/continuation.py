"""What a resumed run is continued with: device, precision and recipe, as they were unless they may change."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import torch

from pixelwise.errors import DeviceError
from pixelwise.runs.folder import RunConfig
from pixelwise.specs import Spec
from pixelwise.training.assemble import recipe_of
from pixelwise.training.device import choose_own_device, has_bfloat16
from pixelwise.training.identity import check_same
from pixelwise.training.recipe import Recipe
from pixelwise.training.start import DataOptions

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


def recipe_settings(settings: dict[str, str]) -> dict[str, str]:
    """Return the overrides that concern the recipe and not the network."""
    fields = {field.name for field in dataclasses.fields(Recipe)}
    return {key: text for key, text in settings.items() if key in fields}


def check_same_request(
    config: RunConfig, spec: Spec, recipe_name: str, *, seed: int, root: Path, options: DataOptions
) -> None:
    """Refuse to resume a run in answer to a request for another: other data, network, recipe or seed.

    Raises:
        RunError: shows every difference.

    """
    then = DataOptions.from_json(config.data["options"])

    def request(spec_json: dict[str, Any], recipe: str, seed: int, root: str, options: DataOptions) -> dict[str, Any]:
        data = {"folder": root, **options.to_json()}
        return {"spec": spec_json, "recipe": {"name": recipe}, "seed": seed, "data": data}

    before = request(config.spec, config.recipe["name"], config.seed, config.data["root"], then)
    after = request(spec.to_json(), recipe_name, seed, str(root.resolve()), options)
    check_same(before, after, recipe_of(config))
