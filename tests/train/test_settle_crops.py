"""Crops far larger than the pictures are refused; crops of pictures with boxes leave these their size."""

import numpy as np
import pytest

from pixelwise import catalogue
from pixelwise.data.task_names import TARGET_FORMS
from pixelwise.errors import RecipeError
from pixelwise.specs import Network
from pixelwise.training.recipe import Recipe
from pixelwise.training.settle import build_on_meta, settle_recipe, sizes
from pixelwise.training.settle_crops import covering_size, is_mostly_mirrored


class Pictures:
    """As much of a manifest as sizes need."""

    def __init__(self, task, *found):
        self.task, self.form, self._sizes = task, TARGET_FORMS[task], np.array(found)

    def sizes(self):
        return self._sizes

    def indices(self, _):
        return np.arange(len(self._sizes))


def network(name: str) -> Network:
    return build_on_meta(catalogue.spec(name), 3, 2)


def settle(name, manifest, **fields):
    own = network(name)
    recipe = settle_recipe(Recipe(**{"augment": "none", **fields}), manifest, own, is_batch_open=True)
    return recipe, sizes(recipe, manifest, own)


@pytest.mark.parametrize(
    ("task", "name", "size", "crop", "do"),
    [
        ("segmentation", "unet16", (360, 480), (4096,), "crop=368,480"),
        ("segmentation", "unet16", (64, 64), (512,), "crop=64,64"),
        ("segmentation", "unet16", (64, 64), (32, 1024), "crop=64,64"),
        ("segmentation", "unet", (64, 64), (700,), "crop=252,252"),
        ("classification", "resnet20_cifar", (28, 28), (224,), "crop=28,28"),
        ("classification", "lenet5_relu", (12, 12), (64,), "crop=28,28"),
        ("detection", "unet16", (64, 64), (512,), "crop=64,64"),
    ],
)
def test_crops_that_are_mostly_mirror_images(task, name, size, crop, do):
    manifest = Pictures(task, *[size] * 8)
    with pytest.raises(RecipeError) as caught:
        settle(name, manifest, crop=crop, resize="none")
    asked = ",".join(map(str, crop * 2 if len(crop) == 1 else crop))
    assert str(caught.value) == (
        f"recipe: crop={asked} for pictures of at most {size[0]} x {size[1]} px. Expected crops about as large as the"
        f" pictures, or smaller: what lies beyond is their mirror image. Use --set {do}, or leave crop out; --set"
        f" size={asked} instead enlarges the pictures."
    )


@pytest.mark.parametrize(
    ("task", "name", "size", "fields"),
    [
        ("segmentation", "deeplabv3_resnet50", (360, 480), {"crop": (513,)}),  # as its recipe
        ("segmentation", "unet", (512, 512), {"crop": (572,)}),  # what its valid convolutions consume
        ("segmentation", "unet", (30, 30), {"crop": (252,)}),  # and on pictures far smaller than that
        ("segmentation", "unet16", (64, 64), {"size": (512,), "crop": (256,)}),
        ("segmentation", "unet16", (64, 64), {"crop": (128,)}),
        ("classification", "resnet18", (28, 28), {"size": (224,)}),
        ("classification", "resnet18", (28, 28), {"size": (256,), "crop": (224,)}),
        ("classification", "resnet18", (28, 28), {"crop": (224,), "augment": "imagenet"}),  # windows, enlarged
        ("classification", "lenet5_relu", (12, 12), {"crop": (28,), "resize": "none"}),
    ],
)
def test_enlarged_pictures_and_crops_that_the_network_needs_are_legal(task, name, size, fields):
    recipe, found = settle(name, Pictures(task, *[size] * 8), **fields)
    side = fields.get("crop", fields.get("size"))[0]
    assert (recipe.crop or recipe.size) == (side, side)
    assert min(found.train) >= side


def test_the_largest_of_unequal_pictures_counts():
    manifest = Pictures("segmentation", (32, 32), (64, 500), (400, 48))
    assert settle("unet16", manifest, crop=(512,))[0].crop == (512, 512)


def test_twice_as_long_on_every_side_is_the_limit():
    assert not is_mostly_mirrored((40, 40), (20, 20))
    assert is_mostly_mirrored((41, 40), (20, 20))
    assert not is_mostly_mirrored((32, 32, 32), (16, 16, 16))
    assert is_mostly_mirrored((32, 32, 33), (16, 16, 16))
    assert covering_size(network("unet16"), (33, 40)) == (48, 48)
    assert covering_size(network("lenet5_relu"), (12, 12)) == (28, 28)


@pytest.mark.parametrize(
    ("found", "fields", "resize", "size"),
    [
        ([(1040, 1388), (256, 320)], {"crop": (128,)}, "none", None),
        ([(1040, 1388)], {"crop": (128,)}, "none", None),
        ([(256, 320), (256, 256)], {}, "stretch", (128, 128)),
        ([(256, 320), (256, 256)], {"crop": (128,), "size": (200,)}, "stretch", (200, 200)),
        ([(256, 320), (256, 256)], {"crop": (128,), "resize": "pad"}, "pad", (128, 128)),
    ],
)
def test_crops_of_pictures_with_boxes_leave_them_as_they_are(found, fields, resize, size):
    """Pictures of unequal size were squeezed to the network's usual size first, so that the crops were all of it."""
    recipe, seen = settle("unet16", Pictures("detection", *found * 4), **fields)
    assert (recipe.resize, recipe.size) == (resize, size)
    assert seen.train == (fields.get("crop", (128,)) * 2)


def test_crops_of_classified_pictures_are_cut_from_what_they_are_resized_to():
    recipe, _ = settle("resnet18", Pictures("classification", (300, 400), (500, 400)), crop=(200,))
    assert (recipe.resize, recipe.size, recipe.crop) == ("stretch", (224, 224), (200, 200))
