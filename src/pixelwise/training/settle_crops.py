"""Crops of pictures and patches of volumes that would be mostly mirror images: refused, before they take all memory."""

import math

from pixelwise.data.manifest import Manifest
from pixelwise.errors import RecipeError, SpecError
from pixelwise.specs import Network
from pixelwise.training.recipe import Recipe
from pixelwise.training.settle_patches import draws_windows_by_area

_MOST_TIMES = 2


def refuse_crop_of_mirrors(recipe: Recipe, manifest: Manifest, network: Network) -> None:
    """Refuse crops that are mostly the mirror images of pictures.

    Pictures count as large as they are resized to; windows that augmentation draws by their area are enlarged, not
    filled up.

    Args:
        recipe: whose sizes are settled.
        manifest: with splits.
        network: may lie on the meta device.

    Raises:
        RecipeError: names the largest sides of the pictures, and a crop that covers them.

    """
    if recipe.crop is None or draws_windows_by_area(recipe, manifest):
        return
    largest = recipe.size or tuple(manifest.sizes()[manifest.indices("train")].max(axis=0).tolist())
    covering = covering_size(network, largest)
    if is_mostly_mirrored(recipe.crop, covering):
        larger = ""
        if recipe.size is None:
            larger = f"; --set size={_listed(recipe.crop)} instead enlarges the pictures"
        raise RecipeError(
            f"recipe: crop={_listed(recipe.crop)} for pictures of at most {' x '.join(map(str, largest))} px",
            expected="crops about as large as the pictures, or smaller: what lies beyond is their mirror image",
            do=f"Use --set crop={_listed(covering)}, or leave crop out{larger}",
        )


def is_mostly_mirrored(crop: tuple[int, ...], covering: tuple[int, ...]) -> bool:
    """Whether crops are, over all sides, more than twice as long as those that cover the largest picture or volume."""
    return math.prod(crop) > _MOST_TIMES ** len(crop) * math.prod(covering)


def covering_size(network: Network, size: tuple[int, ...]) -> tuple[int, ...]:
    """Return the smallest legal size of crops with which a network sees a whole picture or volume of this size."""
    try:
        network.check_size(*size)
    except SpecError:
        return network.spec.fixed_size or network.input_size_for(*size)
    return network.filled_size(*size) if network.output_size(*size) == size else network.input_size_for(*size)


def _listed(sides: tuple[int, ...]) -> str:
    return ",".join(map(str, sides))
