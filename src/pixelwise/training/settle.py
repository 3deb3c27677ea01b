"""What a recipe leaves open, settled from the data and the network, so that a run records the outcome."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pixelwise import catalogue
from pixelwise.analysis import layer_table
from pixelwise.data.manifest import Manifest
from pixelwise.data.names import show_path
from pixelwise.data.strings import fewest_windows, parse_string
from pixelwise.errors import DataError, RecipeError, SpecError
from pixelwise.specs import Network, Spec
from pixelwise.tasks import TASKS
from pixelwise.training.recipe import AUTO, Recipe
from pixelwise.training.settle_batch import settle_batch
from pixelwise.training.settle_crops import refuse_crop_of_mirrors
from pixelwise.training.settle_patches import has_large_pictures, settle_patches
from pixelwise.training.settle_volumes import settle_volumes, volume_batch

DEFAULT_SIZE = (224, 224)
DEFAULT_CROP = (256, 256)
LARGEST_WHOLE_PX = 512 * 512

_STEPS, _FEWEST_EPOCHS, _MOST_EPOCHS = 1_000, 5, 300
_DIGITS_PX = 32
_LARGEST_VAL_BATCH = 256
_FEWEST_STEPS = 4
_FEWEST_STEPS_BY_PIXEL = 16
_SMALLEST_BATCH_BY_PIXEL = 4
_TILE_CHANNELS = 32


@dataclass(frozen=True, slots=True)
class Sizes:
    """What pictures a network meets during training and validation."""

    picture: tuple[int, ...] | None
    """Size after preprocessing; None = unequal."""
    train: tuple[int, ...]
    """Size of the training pictures or crops, of volumes the patches: such that the network fills nothing up itself."""
    val_crop: tuple[int, ...] | None
    """Crops for validation, where the network cannot take whole pictures or they are large: one from the centre, or
    of large pictures as many as for training, at places that stay the same."""


def settle_channels(manifest: Manifest) -> int:
    """Return the number of channels that every picture is brought to: grey among colour becomes colour.

    Raises:
        DataError: other mixtures.

    """
    found = sorted({int(channels) for channels in np.unique(manifest.column("channels"))})
    if len(found) == 1:
        return found[0]
    if found == [1, 3] and manifest.form.dimensions == 2:
        return 3
    raise DataError(
        f"The pictures have {' and '.join(map(str, found))} channels",
        expected="one number of channels, or grey (1) and colour (3) mixed",
        do="Convert the odd ones; `pixelwise check` lists them",
    )


def settle_recipe(
    recipe: Recipe,
    manifest: Manifest,
    network: Network,
    *,
    is_batch_open: bool,
    shows_colours: Callable[[], bool] = lambda: False,
) -> Recipe:
    """Fill in what the recipe leaves open: batch no larger than the data, epochs, augmentation, sizes.

    Args:
        recipe: may have ``None`` and ``"auto"`` fields; of the outcome, ``crop`` and ``size`` may still be None, which
            then means whole pictures as they are.
        manifest: with splits.
        network: may lie on the meta device.
        is_batch_open: whether the batch may be made smaller than the recipe's; see :func:`largest_batch`.
        shows_colours: tells whether the pictures are photographs in colour; asked only where that decides.

    Raises:
        SpecError: the network cannot take the size that is asked for.
        RecipeError: it cannot be trained on a batch of one, or crops are far larger than the pictures.
        DataError: there are no training pictures.

    """
    recipe = recipe.with_sides(manifest.form.dimensions)
    count = len(manifest.indices("train"))
    if count == 0:
        raise DataError("No picture is in the training split", expected="at least one", do="Change the splits")
    recipe = settle_patches(_settle_size(recipe, manifest, network), manifest)
    found = sizes(recipe, manifest, network)
    count *= recipe.patches or 1
    most = largest_batch(count, network.spec) if is_batch_open else count
    if is_batch_open and manifest.form.dimensions == 3:
        most = min(most, volume_batch(found.train))
    recipe = dataclasses.replace(recipe, batch_size=min(recipe.batch_size, most))
    recipe = settle_batch(recipe, network, found.train, count=count, is_batch_open=is_batch_open)
    if recipe.epochs is None:
        steps = math.ceil(count / (recipe.batch_size * recipe.accumulate))
        epochs = min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, math.ceil(_STEPS / steps)))
        recipe = dataclasses.replace(recipe, epochs=epochs)
    if recipe.augment == AUTO:
        recipe = dataclasses.replace(recipe, augment=_augmentation(manifest, found, shows_colours))
    return recipe


def largest_batch(count: int, spec: Spec) -> int:
    """Return the largest batch that leaves an epoch of ``count`` pictures or crops enough steps, where that is open.

    Four steps an epoch; sixteen for networks that answer every pixel, down to batches of four pictures: each of these
    has many pixels to learn from, so that steps count for more than large batches.
    """
    most = max(1, count // _FEWEST_STEPS)
    if spec.task != "segmentation" or spec.dimensions != 2:
        return most
    return min(most, max(_SMALLEST_BATCH_BY_PIXEL, count // _FEWEST_STEPS_BY_PIXEL))


def sizes(recipe: Recipe, manifest: Manifest, network: Network) -> Sizes:
    """Return the sizes that follow from a settled recipe, having checked that the network takes them.

    Raises:
        SpecError: it does not; says which sizes are legal.

    """
    picture = recipe.size or common_size(manifest)
    train = recipe.crop or picture
    if train is None:
        raise SpecError(
            "The pictures differ in size, and neither size nor crop is given",
            expected="one size for all pictures of a batch",
            do="Use --set size=224 to resize them or --set crop=224 to cut pieces out of them",
        )
    _check_size(network, train)
    train = network.filled_size(*train)
    if manifest.form.dimensions == 3:
        return Sizes(picture, train, None)  # validation has sizes of its own: settle_volumes.validated_windows
    if recipe.crop is not None and has_large_pictures(manifest):
        return Sizes(picture, train, train)
    whole_is_legal = picture is None or takes(network, picture)
    if manifest.form.by_pixel and picture is None:
        whole_is_legal = all(takes(network, size) for size in _all_sizes(manifest))
    return Sizes(picture, train, None if whole_is_legal else train)


def val_batch_size(recipe: Recipe, found: Sizes) -> int:
    """Return how many pictures are validated at once: without gradients, twice the training batch's pixels."""
    if found.picture is None and found.val_crop is None:
        return 1
    whole = math.prod(found.val_crop or found.picture or found.train)
    return max(1, min(_LARGEST_VAL_BATCH, 2 * recipe.batch_size * math.prod(found.train) // whole))


def common_size(manifest: Manifest) -> tuple[int, ...] | None:
    """Return the height and width that all pictures have, or volumes' depth, height, width; None when they differ."""
    sizes = manifest.sizes()
    return tuple(sizes[0].tolist()) if (sizes == sizes[0]).all() else None


def takes(network: Network, size: tuple[int, ...]) -> bool:
    """Whether the network can take pictures of this height and width, or volumes of this depth, height and width."""
    try:
        network.check_size(*size)
    except SpecError:
        return False
    return True


def _check_size(network: Network, size: tuple[int, ...]) -> None:
    """As ``network.check_size``, with the remedy that a run has for networks of one fixed size."""
    try:
        network.check_size(*size)
    except SpecError as error:
        if network.spec.fixed_size is None:
            raise
        remedy = f"Leave size and crop out, or use --set image_size={size[0]},{size[1]}"
        raise SpecError(error.came, expected=error.expected, do=remedy) from None


def is_wide(network: Network, found: Sizes) -> bool:
    """Whether most of the network's multiply-adds are in layers with at least 32 output channels."""
    rows = [row for row in layer_table(network, (network.in_channels, *found.train)) if row.level == "layer"]
    wide = sum(row.macs for row in rows if row.output_shape[0] >= _TILE_CHANNELS)
    return 2 * wide >= sum(row.macs for row in rows)


def build_on_meta(spec: Spec, in_channels: int, num_outputs: int) -> Network:
    """Build a network without memory for its weights, to ask it about sizes."""
    with torch.device("meta"):
        return spec.build(in_channels, num_outputs)


def _settle_size(recipe: Recipe, manifest: Manifest, network: Network) -> Recipe:
    """Decide ``resize``, ``size`` and ``crop``."""
    if manifest.form.dimensions == 3:
        return settle_volumes(recipe, manifest, network)
    recipe = _settle_picture_size(recipe, manifest, network)
    refuse_crop_of_mirrors(recipe, manifest, network)
    return recipe


def _settle_picture_size(recipe: Recipe, manifest: Manifest, network: Network) -> Recipe:
    if recipe.normalise == "picture" or recipe.clip is not None or recipe.spacing is not None:
        raise RecipeError(
            "normalise=picture, clip or spacing for pictures",
            expected="volumes, whose scans have scales and spacings of their own",
            do="Leave them out: pictures are normalised with the mean and standard deviation of the training pictures",
        )
    changes: dict[str, Any] = {"normalise": "data_set"}
    common = common_size(manifest)
    if manifest.form.by_pixel:
        if recipe.resize == AUTO:
            changes["resize"] = "none" if recipe.size is None else "stretch"
        picture = recipe.size or common
        is_small = picture is not None and math.prod(picture) <= LARGEST_WHOLE_PX and takes(network, picture)
        if recipe.crop is None and not is_small:
            changes["crop"] = _legal_crop(network, picture or _smallest_sides(manifest))
        return dataclasses.replace(recipe, **changes)
    if network.spec.task == "sequence":
        return dataclasses.replace(recipe, **changes, **_line_size(recipe, manifest, network))
    fits = common is not None and math.prod(common) <= LARGEST_WHOLE_PX and takes(network, common)
    # Objects keep their size in crops, as under masks; one class for a picture is that of the picture as a whole.
    is_cut = manifest.task == "detection" and recipe.crop is not None
    if recipe.resize == "none" or (recipe.resize == AUTO and recipe.size is None and (fits or is_cut)):
        changes["resize"] = "none"
    else:
        changes["resize"] = "stretch" if recipe.resize == AUTO else recipe.resize
        changes["size"] = recipe.size or (common if fits else _own_size(network))
    return dataclasses.replace(recipe, **changes)


def _line_size(recipe: Recipe, manifest: Manifest, network: Network) -> dict[str, Any]:
    """Bring lines of text to the network's height, as wide as the widest picture then is, and fill up the others."""
    common = common_size(manifest)
    fits = common is not None and takes(network, common)
    if recipe.resize == "none" or (recipe.resize == AUTO and recipe.size is None and fits):
        return {"resize": "none"}
    widest = max((network.input_size_for(*size) for size in _all_sizes(manifest)), key=lambda size: size[1])
    return {"resize": "pad" if recipe.resize == AUTO else recipe.resize, "size": recipe.size or widest}


def check_strings(manifest: Manifest, network: Network, found: Sizes) -> None:
    """Refuse strings that a network for sequences cannot say, because it has too few windows.

    Raises:
        DataError: names the picture.

    """
    if network.spec.task != "sequence":
        return
    height, width = found.train
    windows = network.eval()(torch.empty(1, network.in_channels, height, width, device="meta")).shape[1]
    for split in ("train", "val"):
        for index in manifest.indices(split).tolist():
            needed = fewest_windows(parse_string(manifest.annotations[index]))
            if needed > windows:
                text = "".join(manifest.classes[character] for character in parse_string(manifest.annotations[index]))
                raise DataError(
                    f"{show_path(manifest.paths[index])}: its text {text!r} needs {needed} windows, and pictures of "
                    f"{height} x {width} have {windows}",
                    expected="a window for each character, and one more between equal neighbours",
                    do=f"Widen the pictures with --set size={height},WIDTH, or correct the text",
                )


def _smallest_sides(manifest: Manifest) -> tuple[int, ...]:
    return tuple(manifest.sizes().min(axis=0).tolist())


def _own_size(network: Network) -> tuple[int, ...]:
    """Return the input size of the paper's row, from which other columns may have been changed; else a usual one."""
    spec = network.spec
    if spec.fixed_size:
        return spec.fixed_size
    row = catalogue.spec(spec.name) if spec.name in catalogue.names() else spec
    if row.facts is None or not takes(network, row.facts.input_size[1:]):
        return DEFAULT_SIZE
    return row.facts.input_size[1:]


def _legal_crop(network: Network, picture: tuple[int, ...]) -> tuple[int, ...]:
    wanted = min(picture[0], DEFAULT_CROP[0]), min(picture[1], DEFAULT_CROP[1])
    return wanted if takes(network, wanted) else network.input_size_for(*wanted)


def _augmentation(manifest: Manifest, found: Sizes, shows_colours: Callable[[], bool]) -> str:
    if manifest.form.dimensions == 3:
        return "volumes"
    if manifest.form.by_pixel:
        # Large pictures are slides, scans of tissue or views from above: they have no up and down whatever they show.
        return "scenes" if not has_large_pictures(manifest) and shows_colours() else "cells"
    if manifest.task == "sequence":
        return "strings"
    return "digits" if max(found.train) <= _DIGITS_PX else "objects"


def _all_sizes(manifest: Manifest) -> set[tuple[int, ...]]:
    return {tuple(sides) for sides in np.unique(manifest.sizes(), axis=0).tolist()}


def split_counts(manifest: Manifest) -> dict[str, int]:
    """Return the number of pictures in each split."""
    return {split: len(manifest.indices(split)) for split in ("train", "val", "test")}


def refuse_task(spec: Spec, manifest: Manifest) -> None:
    """Refuse a network for another task than the data's.

    Raises:
        SpecError: says what the data hold.

    """
    kind = TASKS[manifest.task].network_kind
    dimensions = manifest.form.dimensions
    if spec.task == kind and spec.dimensions != dimensions:
        looks, needs = ("volumes", "pictures") if spec.dimensions == 3 else ("pictures", "volumes")
        raise SpecError(
            f"{spec.name} is a network for {looks}, and the data hold {needs}",
            expected=f"a network for {needs}",
            do=f"Use {TASKS[manifest.task].default_networks[0]}, or another: `pixelwise nets` lists them",
        )
    if spec.task != kind:
        raise SpecError(
            f"{spec.name} is a network for {spec.task}, and the data hold {manifest.form.holds}",
            expected=f"a network for {kind}",
            do="`pixelwise nets` lists them",
        )
