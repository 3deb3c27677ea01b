"""What a recipe leaves open for volumes: patches, spacing, how they are normalised; and what validation looks at."""

import dataclasses
import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.manifest import Manifest
from pixelwise.data.names import show_path
from pixelwise.data.volumes.dataset import sizes_at
from pixelwise.data.volumes.volume import Spacing, show_size, show_spacing
from pixelwise.errors import DataError, RecipeError, SpecError
from pixelwise.predict.placement import place
from pixelwise.specs import Network
from pixelwise.training.recipe import AUTO, Recipe
from pixelwise.training.settle_crops import covering_size, is_mostly_mirrored

DEFAULT_PATCH: Final = 64
"""Longest side of training patches, in voxels, where the recipe leaves it open."""

SMALLEST_BATCH: Final = 2
BATCH_VOXELS: Final = 2**18
"""About so many voxels are in a batch."""

LARGEST_VALIDATED: Final = 128
"""Longest side of the part of a volume, its centre, that is validated after an epoch. Evaluation sees all of it."""


def settle_volumes(recipe: Recipe, manifest: Manifest, network: Network) -> Recipe:
    """Decide ``crop`` and ``normalise``; see :func:`~pixelwise.training.settle.settle_recipe`.

    Raises:
        DataError: volumes of several spacings, and none to bring them to; or one that does not know its spacing.
        RecipeError: sizes of pictures; patches that are mostly mirror images.

    """
    if recipe.size is not None or recipe.resize not in (AUTO, "none"):
        raise RecipeError(
            "size or resize for volumes",
            expected="spacing, which brings all to one scale",
            do="Use --set spacing=1,1,1",
        )
    check_spacings(manifest, recipe.spacing)
    changes: dict[str, Any] = {"resize": "none"}
    if recipe.normalise == AUTO:
        changes["normalise"] = "picture"
    if recipe.crop is None:
        sides = sizes_at(manifest, manifest.indices("train"), recipe.spacing)
        changes["crop"] = _patch(network, np.median(sides, axis=0))
    else:
        _refuse_patch_of_mirrors(recipe.crop, manifest, recipe.spacing, network)
    return dataclasses.replace(recipe, **changes)


def _refuse_patch_of_mirrors(
    patch: tuple[int, ...], manifest: Manifest, spacing: Spacing | None, network: Network
) -> None:
    """Refuse patches that are mostly the mirror images of volumes.

    Raises:
        RecipeError: names the largest sides of the volumes, and a patch that covers them.

    """
    largest = tuple(sizes_at(manifest, manifest.indices("train"), spacing).max(axis=0).tolist())
    covering = covering_size(network, largest)
    if is_mostly_mirrored(patch, covering):
        raise RecipeError(
            f"recipe: crop={','.join(map(str, patch))} for volumes of at most {show_size(largest)} voxels",
            expected="patches about as large as the volumes, or smaller",
            do=f"Use --set crop={','.join(map(str, covering))}, or leave crop out",
        )


def volume_batch(patch: tuple[int, ...]) -> int:
    """Return how many patches make up a batch where that is open: few, as each has many voxels to learn from."""
    return max(SMALLEST_BATCH, BATCH_VOXELS // math.prod(patch))


def check_spacings(manifest: Manifest, spacing: Spacing | None) -> None:
    """Refuse volumes of several spacings, unless all are brought to one.

    Raises:
        DataError: names two that differ.

    """
    first: dict[Spacing | None, int] = {}
    for index in range(len(manifest)):
        first.setdefault(manifest.spacing(index), index)
    if spacing is None and len(first) > 1:
        (one, at), (other, place) = list(first.items())[:2]
        middle = np.median([known for known in first if known is not None], axis=0)
        raise DataError(
            f"The volumes have {len(first)} different spacings: {show_path(manifest.paths[at])} has {_show(one)}, "
            f"{show_path(manifest.paths[place])} has {_show(other)}",
            expected="one spacing, so that a voxel means the same length everywhere",
            do=f"Bring all to one with --set spacing={','.join(f'{length:g}' for length in middle)}",
        )


def validated_windows(
    manifest: Manifest, indices: NDArray[np.int64], spacing: Spacing | None, network: Network
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the window begins that is validated of each volume, and its size, each (n, 3).

    It is the whole volume, with the surroundings that a prediction gives it (:mod:`pixelwise.predict.placement`); of
    one longer than :data:`LARGEST_VALIDATED` the centre.

    Raises:
        SpecError: the network has no legal size for one of them.

    """
    whole = sizes_at(manifest, indices, spacing)
    seen = np.minimum(whole, LARGEST_VALIDATED)
    placed = {size: place(network, *size) for size in map(tuple, seen.tolist())}
    around = np.array([(placed[size].before, placed[size].after) for size in map(tuple, seen.tolist())], np.int64)
    before, after = around.reshape(-1, 2, 3).swapaxes(0, 1)
    return (whole - seen) // 2 - before, before + seen + after


def _patch(network: Network, sides: NDArray[np.float64]) -> tuple[int, ...]:
    """A legal size about that of the volumes: whole multiples of the coarsest stride, where the network allows it."""
    stride = max((stage.stride for stage in network.stages), default=1)
    wanted = [min(-(-round(side) // stride) * stride, DEFAULT_PATCH) for side in sides.tolist()]
    try:
        network.check_size(*wanted)
    except SpecError:
        return network.input_size_for(*(min(round(side), DEFAULT_PATCH) for side in sides.tolist()))
    return tuple(wanted)


def _show(spacing: Spacing | None) -> str:
    return "none" if spacing is None else show_spacing(spacing)
