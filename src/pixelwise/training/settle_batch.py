"""The fewest pictures that a network can be trained on at once: of a single one, some see one value of a map."""

import dataclasses

import torch

from pixelwise.errors import RecipeError, SpecError
from pixelwise.specs import Network
from pixelwise.training.recipe import Recipe


def fewest_together(network: Network, size: tuple[int, ...]) -> int:
    """Return 2 for a network that normalises what it pooled over the whole picture, else 1.

    Batch normalisation has no variance of one value. The network is asked, on the meta device.
    """
    network.train()
    return 2 if not _learns_from(network, 1, size) and _learns_from(network, 2, size) else 1


def settle_batch(recipe: Recipe, network: Network, size: tuple[int, ...], *, count: int, is_batch_open: bool) -> Recipe:
    """Make a batch of one larger, or refuse it, where the network cannot be trained on it.

    A last batch of one that is left over in an epoch is left out by the loop.

    Args:
        recipe: with its batch.
        network: on the meta device.
        size: of the training pictures or crops.
        count: of the training pictures, or of the crops of an epoch.
        is_batch_open: whether the batch may be made larger.

    Raises:
        RecipeError: it may not, or there is only one picture.

    """
    if recipe.batch_size > 1 or fewest_together(network, size) == 1:
        return recipe
    if is_batch_open and count > 1:
        return dataclasses.replace(recipe, batch_size=2)
    raise RecipeError(
        f"{network.spec.name} with a batch of one picture",
        expected="at least two: of one, its batch normalisation sees a single value of every pooled map",
        do="Use --batch 2, or a network without image pooling such as fcn_resnet50"
        if count > 1
        else "Take more training pictures, crops of them (--set patches=4), or another network such as fcn_resnet50",
    )


def _learns_from(network: Network, count: int, size: tuple[int, ...]) -> bool:
    try:
        network.training_logits(torch.empty(count, network.in_channels, *size, device="meta"))
    except (SpecError, ValueError):  # torch's batch normalisation raises the latter
        return False
    return True
