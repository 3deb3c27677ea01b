"""How many crops of each picture an epoch takes, and whether they can be aimed at the foreground."""

import dataclasses
import math
from typing import Final

import numpy as np

from pixelwise.data.augment import Augment
from pixelwise.data.manifest import Manifest
from pixelwise.data.regions import LARGE_PIXELS
from pixelwise.errors import RecipeError
from pixelwise.training.recipe import AUTO, Recipe

MOST_PATCHES: Final = 64
"""Crops of a large picture in an epoch, unless the recipe says otherwise."""


def settle_patches(recipe: Recipe, manifest: Manifest) -> Recipe:
    """Decide ``patches``: one, or of pictures that are read by window so many as cover them, up to ``MOST_PATCHES``.

    Args:
        recipe: whose sizes are settled.
        manifest: with splits.

    Raises:
        RecipeError: crops are to be placed where pictures are taken whole, or aimed where nothing says at what.

    """
    for name, value in (("patches", recipe.patches), ("foreground", recipe.foreground)):
        if value and recipe.crop is None:
            raise RecipeError(
                f"recipe: {name}={value} for whole pictures",
                expected="crops that can lie here or there",
                do=f"Add for example --set crop=256, or leave {name} out",
            )
    if recipe.foreground and not manifest.form.by_pixel:
        raise RecipeError(
            f"recipe: foreground={recipe.foreground:g} for {manifest.task}",
            expected="masks, which say where the foreground is",
            do="Leave foreground out",
        )
    if recipe.foreground and draws_windows_by_area(recipe, manifest):
        raise RecipeError(
            f"recipe: foreground={recipe.foreground:g} with augment={recipe.augment}",
            expected="crops of one size, and this augmentation draws windows by their area",
            do="Choose another augmentation, such as cells, or leave foreground out",
        )
    if recipe.patches is not None:
        return recipe
    patches = 1
    if recipe.crop is not None and has_large_pictures(manifest):
        pixels = manifest.sizes()[manifest.indices("train")].prod(axis=1).mean()
        patches = min(MOST_PATCHES, max(1, round(float(pixels) / math.prod(recipe.crop))))
    return dataclasses.replace(recipe, patches=patches)


def has_large_pictures(manifest: Manifest) -> bool:
    """Whether some pictures are so large that training reads windows of them."""
    is_flat = manifest.form.by_pixel and manifest.form.dimensions == 2
    return is_flat and int(np.max(manifest.sizes().prod(axis=1), initial=0)) > LARGE_PIXELS


def draws_windows_by_area(recipe: Recipe, manifest: Manifest) -> bool:
    """Whether the augmentation shows windows of any size, so that there is no crop to be placed."""
    return recipe.augment != AUTO and manifest.form.dimensions == 2 and Augment.named(recipe.augment).area is not None
